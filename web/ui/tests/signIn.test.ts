/** Signing in: the second factor in each of its kinds, what is said when one is refused, and the ways back. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ANSWER, ASKS_FACTOR, ME, Page, SIGNED_IN, problem } from './entrance.kit'

let page: Page
afterEach(() => page.close())

describe('the second step', () => {
  it('asks for the code, takes it with spaces, and goes where one wanted to', async () => {
    page = await Page.open('/sign-in?next=/calls', {
      'POST /session/': ASKS_FACTOR,
      'POST /session/mfa/': () => {
        page.replies['GET /me/'] = ME
        return SIGNED_IN
      },
    })
    expect(page.focused()).toBe('email')
    await page.signIn()
    const code = page.at('code')
    expect([page.focused(), code.attributes('autocomplete'), code.attributes('inputmode')]).toEqual(['code', 'one-time-code', 'numeric'])
    await page.type('code', ' 123 456 ')
    await page.submit()
    expect(page.said('/session/mfa/')).toEqual([{ state: 'note-1', method: 'totp', code: '123456' }])
    expect(page.path()).toBe('/calls')
  })

  it('says what to do when the code is refused, and has the way back', async () => {
    page = await Page.open('/sign-in', {
      'POST /session/': ASKS_FACTOR,
      'POST /session/mfa/': problem(401, 'second_factor_refused'),
    })
    await page.signIn()
    await page.type('code', '000000')
    await page.submit()
    expect(page.at('failure').text()).toContain('wait for the next one')
    expect(page.focused()).toBe('failure')
    expect(page.at('code').attributes('aria-describedby')).toBe('failure')
    await page.press('back')
    expect((page.wrapper.find('#email').element as HTMLInputElement).value).toBe('amina@amani.example')
    expect((page.wrapper.find('#password').element as HTMLInputElement).value).toBe('')
  })

  it('takes a recovery code', async () => {
    page = await Page.open('/sign-in', { 'POST /session/': ASKS_FACTOR, 'POST /session/mfa/': problem(429, 'throttled') })
    await page.signIn()
    await page.press('use-recovery_code')
    expect(page.focused()).toBe('recovery-code')
    await page.type('recovery-code', 'ABCD-EFGH-JKMN-PQRS')
    await page.submit()
    expect(page.said('/session/mfa/')).toEqual([{ state: 'note-1', method: 'recovery_code', code: 'ABCD-EFGH-JKMN-PQRS' }])
    expect(page.at('failure').text()).toContain('Begin again with your password')
  })
})

describe('a passkey', () => {
  const options = { publicKey: { challenge: 'AQID', rpId: 'x', allowCredentials: [{ id: '_-8', type: 'public-key' }] } }
  const bytes = (...values: number[]) => Uint8Array.from(values).buffer
  const replies = {
    'POST /session/': [200, { ...ANSWER, mfa_required: true, mfa: { state: 'n', methods: ['passkey', 'recovery_code'] } }] as [number, unknown],
    'POST /session/mfa/passkey/': [200, { ceremony: 'cer', options }] as [number, unknown],
    'POST /session/mfa/': problem(401, 'second_factor_refused'),
  }
  function browser(get: (asked: CredentialRequestOptions) => Promise<unknown>): void {
    vi.stubGlobal('PublicKeyCredential', class {})
    Object.defineProperty(navigator, 'credentials', { value: { get }, configurable: true })
  }

  it('is asked with the bytes of the options, and sent as the server reads it', async () => {
    let asked: CredentialRequestOptions | undefined
    browser((one) => {
      asked = one
      const response = { clientDataJSON: bytes(1), authenticatorData: bytes(2), signature: bytes(255, 239), userHandle: null }
      return Promise.resolve({ id: '_-8', rawId: bytes(255, 239), type: 'public-key', response, getClientExtensionResults: () => ({}) })
    })
    page = await Page.open('/sign-in', replies)
    await page.signIn()
    await page.submit()
    expect([...(asked?.publicKey?.challenge as Uint8Array)]).toEqual([1, 2, 3])
    expect([...(asked?.publicKey?.allowCredentials?.[0]?.id as Uint8Array)]).toEqual([255, 239])
    expect(page.said('/session/mfa/')[0]).toMatchObject({
      state: 'n',
      method: 'passkey',
      ceremony: 'cer',
      credential: { id: '_-8', rawId: '_-8', response: { clientDataJSON: 'AQ', authenticatorData: 'Ag', signature: '_-8' } },
    })
  })

  it('that was not given leaves the other ways', async () => {
    browser(() => Promise.reject(new DOMException('no', 'NotAllowedError')))
    page = await Page.open('/sign-in', replies)
    await page.signIn()
    await page.submit()
    expect(page.said('/session/mfa/')).toEqual([])
    expect(page.at('failure').text()).toContain('No passkey was given')
    expect(page.at('use-recovery_code').exists()).toBe(true)
  })
})

describe('coming back from an identity provider', () => {
  it('goes on with the second factor, and the note is not in the address', async () => {
    page = await Page.open('/#mfa=note-9&methods=totp,recovery_code', { 'POST /session/mfa/': problem(401, 'second_factor_refused') })
    expect([page.path(), location.hash]).toEqual(['/sign-in', ''])
    await page.type('code', '123456')
    await page.submit()
    expect(page.said('/session/mfa/')[0]).toMatchObject({ state: 'note-9' })
  })

  it('says why it was refused, and forgets it', async () => {
    page = await Page.open('/?sign_in_error=not_invited')
    expect(page.text()).toContain('not invited here yet')
    expect(page.path()).toBe('/sign-in')
    expect(page.focused()).toBe('refusal')
  })

  it('repeats no reason that it does not know', async () => {
    page = await Page.open('/?sign_in_error=Call%20this%20number')
    expect(page.text()).not.toContain('Call this number')
    expect(page.at('failure').text()).toContain('answer was refused')
  })

  it('is offered on the sign-in page', async () => {
    page = await Page.open('/sign-in?next=/calls', {
      'GET /oidc/': [200, { data: [{ slug: 'work', name: 'Work', start: '/api/v1/auth/oidc/work/start/' }] }],
    })
    expect(page.at('provider-work').attributes('href')).toBe('/api/v1/auth/oidc/work/start/?next=%2Fcalls')
  })
})

it('leads whoever must have a second factor to setting one up', async () => {
  page = await Page.open('/sign-in', {
    'POST /session/': [200, { ...ANSWER, mfa_enrolment_required: true }],
    'POST /mfa/totp/': [200, { secret: 'ABCDEFGH', uri: 'otpauth://totp/x' }],
  })
  await page.signIn()
  expect(page.path()).toBe('/second-factor')
})
