/** Setting up an authenticator app: key, proof, and recovery codes that are shown once. */
import { afterEach, describe, expect, it } from 'vitest'
import { HALF_IN, ME, Page, SIGNED_IN, problem } from './entrance.kit'

const SECRET: [number, unknown] = [200, { secret: 'ABCDEFGHIJ', uri: 'otpauth://totp/amani?secret=ABCDEFGHIJ' }]
let page: Page
afterEach(() => page.close())

describe('setting up a second factor', () => {
  it('is where a half open session is led, whatever it asks for', async () => {
    page = await Page.open('/', { 'GET /me/': ME, 'GET /session/': HALF_IN, 'POST /mfa/totp/': SECRET })
    expect(page.path()).toBe('/second-factor')
    expect(page.at('secret').text()).toBe('ABCD EFGH IJ')
    expect(page.at('otpauth').attributes('href')).toBe('otpauth://totp/amani?secret=ABCDEFGHIJ')
    expect(page.focused()).toBe('code')
  })

  it('shows the recovery codes once, and goes on when they are kept', async () => {
    page = await Page.open('/second-factor', {
      'GET /me/': ME, 'GET /session/': HALF_IN,
      'POST /mfa/totp/': SECRET,
      'POST /mfa/totp/confirm/': () => {
        page.replies['GET /session/'] = SIGNED_IN
        return [200, { recovery_codes: ['AAAA-1111', 'BBBB-2222'] }]
      },
    })
    await page.type('code', '123 456')
    await page.submit()
    expect(page.said('/mfa/totp/confirm/')).toEqual([{ code: '123456' }])
    expect(page.wrapper.findAll('[data-test=one-code]').map((one) => one.text())).toEqual(['AAAA-1111', 'BBBB-2222'])
    expect(page.at('go-on').attributes('disabled')).toBeDefined()
    await page.submit()
    expect(page.path()).toBe('/second-factor')
    await page.at('stored').setValue(true)
    await page.submit()
    expect(page.path()).toBe('/')
    expect(page.at('inside').exists()).toBe(true)
  })

  it('lets a wrong code be typed again', async () => {
    page = await Page.open('/second-factor', { 'POST /mfa/totp/': SECRET, 'POST /mfa/totp/confirm/': problem(401, 'second_factor_refused') })
    await page.type('code', '000000')
    await page.submit()
    expect(page.focused()).toBe('failure')
    expect(page.at('secret').exists()).toBe(true)
  })

  it('asks for the password where the session has not seen it lately', async () => {
    page = await Page.open('/second-factor', {
      'POST /mfa/totp/': ({ body }) => (body?.current_password === 'right' ? SECRET : problem(403, 'password_needed')),
    })
    expect([page.focused(), page.at('failure').exists()]).toEqual(['password', false])
    await page.type('password', 'wrong')
    await page.submit()
    expect(page.at('failure').text()).toContain('password is wrong')
    await page.type('password', 'right')
    await page.submit()
    expect(page.at('secret').exists()).toBe(true)
  })

  it('sends whoever is not signed in to the sign-in page', async () => {
    page = await Page.open('/second-factor', { 'POST /mfa/totp/': problem(401, 'not_authenticated') })
    expect(page.path()).toBe('/sign-in')
  })

  it('says so when one was set up elsewhere meanwhile', async () => {
    page = await Page.open('/second-factor', { 'GET /me/': ME, 'GET /session/': HALF_IN, 'POST /mfa/totp/': problem(409, 'conflict') })
    expect(page.at('failure').text()).toContain('set up elsewhere')
  })
})
