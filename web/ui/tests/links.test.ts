/** Pages behind mailed links: an invitation, and a new password. */
import { afterEach, describe, expect, it } from 'vitest'
import { ASKS_FACTOR, ME, Page, SIGNED_IN, problem } from './entrance.kit'

const preview = (known: boolean): [number, unknown] => [
  200,
  { email: 'amina@amani.example', organization: 'Amani', role: 'Agent', known },
]
const JOINED: [number, unknown] = [201, { user: 'u1', email: 'amina@amani.example' }]
let page: Page
afterEach(() => page.close())

describe('an invitation', () => {
  it('is shown, accepted with name and password, and signs in', async () => {
    page = await Page.open('/invitation#mri_x', {
      'POST /invitations/preview/': preview(false),
      'POST /invitations/accept/': JOINED,
      'POST /session/': () => {
        page.replies['GET /me/'] = ME
        return SIGNED_IN
      },
    })
    expect(page.text()).toContain('join Amani as Agent')
    expect([page.focused(), location.hash]).toEqual(['name', ''])
    await page.type('name', ' Amina ')
    await page.type('new-password', 'a long password')
    await page.submit()
    expect(page.said('/invitations/accept/')).toEqual([{ token: 'mri_x', name: 'Amina', password: 'a long password' }])
    expect(page.path()).toBe('/')
    expect(page.asked.every((one) => !one.path.includes('mri_x'))).toBe(true)
  })

  it('asks who has an account for its password, and then for the second factor', async () => {
    page = await Page.open('/invitation#mri_x', {
      'POST /invitations/preview/': preview(true),
      'POST /invitations/accept/': problem(401, 'bad_credentials'),
      'POST /session/': ASKS_FACTOR,
    })
    expect(page.wrapper.find('#name').exists()).toBe(false)
    await page.type('password', 'wrong')
    await page.submit()
    expect(page.at('failure').text()).toContain('password of your account is wrong')
    page.replies['POST /invitations/accept/'] = JOINED
    await page.submit()
    expect([page.path(), page.at('code').exists()]).toEqual(['/sign-in', true])
  })

  it('says what is wrong with the password that was chosen', async () => {
    const errors = [{ pointer: '/password', code: 'password_too_short', detail: 'server words' }]
    page = await Page.open('/invitation#mri_x', {
      'POST /invitations/preview/': preview(false),
      'POST /invitations/accept/': problem(422, 'validation_error', { errors }),
    })
    await page.submit()
    expect(page.at('failure').text()).toContain('at least 10 characters')
  })

  it('that works no more says so', async () => {
    page = await Page.open('/invitation#mri_x', { 'POST /invitations/preview/': problem(422, 'link_refused') })
    expect(page.at('failure').text()).toContain('does not work any more')
    expect(page.at('invitation').exists()).toBe(false)
  })

  it('is looked at anew when another link is pasted into the open page', async () => {
    page = await Page.open('/invitation#mri_x', { 'POST /invitations/preview/': problem(422, 'link_refused') })
    page.replies['POST /invitations/preview/'] = preview(false)
    history.pushState(null, '', '/invitation#mri_y')
    dispatchEvent(new PopStateEvent('popstate', { state: null }))
    await page.settle()
    expect(page.said('/invitations/preview/')).toEqual([{ token: 'mri_x' }, { token: 'mri_y' }])
    expect([page.at('invitation').exists(), location.hash, page.path()]).toEqual([true, '', '/invitation'])
  })

  it('without its token asks nothing of the server', async () => {
    page = await Page.open('/invitation')
    expect(page.at('failure').text()).toContain('Open the link')
    expect(page.said('/invitations/preview/')).toEqual([])
  })
})

describe('a forgotten password', () => {
  it('is asked for from the sign-in page, with an answer for everybody', async () => {
    page = await Page.open('/sign-in', { 'POST /password/reset/': [202, null] })
    await page.press('forgot')
    expect([page.path(), page.focused()]).toEqual(['/password-reset', 'email'])
    await page.type('email', 'amina@amani.example')
    await page.submit()
    expect(page.said('/password/reset/')).toEqual([{ email: 'amina@amani.example' }])
    expect(page.at('reset-done').text()).toContain('If this email belongs to somebody here')
  })

  it('goes on when the mailed link is pasted into the page where it was asked for', async () => {
    page = await Page.open('/password-reset', { 'POST /password/reset/': [202, null] })
    await page.type('email', 'amina@amani.example')
    await page.submit()
    expect(page.at('reset-done').exists()).toBe(true)
    history.pushState(null, '', '/password-reset#mrp_y')
    dispatchEvent(new PopStateEvent('popstate', { state: null }))
    await page.settle()
    expect([page.at('reset-choose').exists(), page.focused(), location.hash]).toEqual([true, 'new-password', ''])
  })

  it('is replaced with the mailed link', async () => {
    page = await Page.open('/password-reset#mrp_x', { 'POST /password/reset/confirm/': [204, null] })
    expect([page.focused(), location.hash]).toEqual(['new-password', ''])
    await page.type('new-password', 'a new password')
    await page.submit()
    expect(page.said('/password/reset/confirm/')).toEqual([{ token: 'mrp_x', new_password: 'a new password' }])
    expect(page.at('reset-done').text()).toContain('signed out everywhere')
  })

  it('keeps the link for a better password, and asks for a new link when it is used up', async () => {
    const errors = [{ pointer: '/new_password', code: 'password_too_common', detail: '' }]
    page = await Page.open('/password-reset#mrp_x', { 'POST /password/reset/confirm/': problem(422, 'validation_error', { errors }) })
    await page.submit()
    expect(page.at('failure').text()).toContain('guessed first')
    expect(page.at('reset-choose').exists()).toBe(true)
    page.replies['POST /password/reset/confirm/'] = problem(422, 'link_refused')
    await page.submit()
    expect(page.at('failure').text()).toContain('Ask for a new one')
    expect(page.at('reset-ask').exists()).toBe(true)
  })
})
