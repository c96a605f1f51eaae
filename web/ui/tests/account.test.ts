/** One's own account: what is asked of the server, what stands at which field, and what is asked before an act. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ME, Page, SIGNED_IN, problem, type Answer, type Reply } from './entrance.kit'
import { deviceName } from '@/lib/device'

const FACTORS = { totp: false, passkeys: [], recovery_codes_left: 0, required: false }
const PASSKEY = { id: 'k1', name: 'Phone', host: 'localhost', created_at: '2026-01-02T08:00:00Z', last_used_at: null }
const place = (id: string, current: boolean, kind = 'browser') => ({
  id, kind, device: `agent ${id}`, ip_address: '192.0.2.9', created_at: '2026-01-02T08:00:00Z', last_seen_at: null, current,
})
const SECRET: Answer = [200, { secret: 'ABCDEFGHIJ', uri: 'otpauth://totp/x?secret=ABCDEFGHIJ' }]
let page: Page
afterEach(() => page.close())

const open = (replies: Record<string, Reply> = {}) =>
  Page.open('/account', {
    'GET /me/': ME,
    'GET /mfa/': [200, FACTORS],
    'GET /sessions/': [200, { data: [place('s2', false), place('s1', true)] }],
    ...replies,
  })
/** Dialogs lie outside of the page's own tree. */
const shown = (name: string) => document.querySelector<HTMLElement>(`[data-test=${name}]`)
async function press(name: string): Promise<void> {
  shown(name)?.click()
  await page.settle()
}
async function type(id: string, text: string): Promise<void> {
  const input = document.querySelector<HTMLInputElement>(`#${id}`)!
  input.value = text
  input.dispatchEvent(new Event('input'))
  await page.settle()
}
async function send(name: string): Promise<void> {
  shown(name)?.dispatchEvent(new Event('submit', { cancelable: true }))
  await page.settle()
}
const asked = (method: string, path: string) =>
  page.asked.filter((one) => one.method === method && one.path === path).map((one) => one.body)

describe('name and language', () => {
  it('are stored, and the page speaks the language that was chosen', async () => {
    page = await open({ 'PATCH /me/': ({ body }) => [200, { ...(ME[1] as object), user: { email: 'a@b.example', ...body } }] })
    await type('account-name', 'Amina Otieno')
    await page.wrapper.find('#account-language').setValue('sw')
    await page.wrapper.find('[data-test=profile] form').trigger('submit')
    await page.settle()
    expect(asked('PATCH', '/me/')).toEqual([{ name: 'Amina Otieno', language: 'sw' }])
    expect(page.text()).toContain('Akaunti yangu')
    await page.wrapper.find('#account-language').setValue('en')
    await page.wrapper.find('[data-test=profile] form').trigger('submit')
    await page.settle()
  })

  it('say at the field what is wrong with it', async () => {
    page = await open({ 'PATCH /me/': problem(422, 'validation_error', { errors: [{ pointer: '/name', code: 'blank', detail: '' }] }) })
    await page.wrapper.find('[data-test=profile] form').trigger('submit')
    await page.settle()
    expect(page.at('account-name-error').text()).toContain('must not be empty')
    expect([page.focused(), page.at('failure').exists()]).toEqual(['account-name', false])
  })
})

describe('the password', () => {
  async function change(): Promise<void> {
    await type('current-password', 'the old one')
    await type('new-password', 'the new one is long')
    await page.wrapper.find('[data-test=password-card] form').trigger('submit')
    await page.settle()
  }

  it('is changed, and the page signs in with the new one at once', async () => {
    page = await open({ 'POST /password/': [204, null], 'POST /session/': SIGNED_IN })
    await change()
    expect(page.said('/password/')).toEqual([{ current_password: 'the old one', new_password: 'the new one is long' }])
    expect(page.said('/session/')).toEqual([{ email: 'amina@amani.example', password: 'the new one is long' }])
    expect(page.text()).toContain('Your new password is set')
    expect(page.wrapper.find<HTMLInputElement>('#new-password').element.value).toBe('')
  })

  it('says at each field what is wrong with it', async () => {
    page = await open({ 'POST /password/': problem(403, 'password_needed') })
    await change()
    expect(page.at('current-password-error').text()).toContain('password is wrong')
    expect(page.focused()).toBe('current-password')
    const errors = [{ pointer: '/new_password', code: 'password_too_common', detail: '' }]
    page.replies['POST /password/'] = problem(422, 'validation_error', { errors })
    await change()
    expect(page.at('new-password-error').text()).toContain('guessed first')
    expect([page.focused(), page.at('current-password-error').exists()]).toEqual(['new-password', false])
    expect(page.said('/session/')).toEqual([])
  })

  it('that was tried too often says when to try again', async () => {
    page = await open({ 'POST /password/': problem(429, 'throttled', {}, { 'Retry-After': '601' }) })
    await change()
    expect(page.at('failure').text()).toContain('again in 11 min')
  })
})

describe('second factors', () => {
  it('ask for the password where the server does, until it is right', async () => {
    page = await open({
      'POST /mfa/totp/': ({ body }) => (body?.current_password === 'right' ? SECRET : problem(403, 'password_needed')),
      'POST /mfa/totp/confirm/': [200, { recovery_codes: ['AAAA-1111', 'BBBB-2222'] }],
    })
    await press('add-app')
    expect([shown('proof') !== null, shown('proof-password-error')]).toEqual([true, null])
    await type('proof-password', 'wrong')
    await send('proof')
    expect(shown('proof-password-error')?.textContent).toContain('password is wrong')
    await type('proof-password', 'right')
    await send('proof')
    expect(shown('secret')?.textContent).toBe('ABCD EFGH IJ')
    await type('code', '123 456')
    await send('enrol')
    expect(asked('POST', '/mfa/totp/confirm/')).toEqual([{ code: '123456' }])
    expect(shown('recovery-codes')?.textContent).toContain('AAAA-1111')
    await send('recovery-codes')
    expect(shown('recovery-codes'), 'they stay until they are kept').not.toBeNull()
    shown('stored')!.click()
    await page.settle()
    await send('recovery-codes')
    expect(shown('recovery-codes')).toBeNull()
  })

  it('are left alone when the password is not given', async () => {
    page = await open({ 'POST /mfa/totp/': problem(403, 'password_needed') })
    await press('add-app')
    document.querySelector<HTMLElement>('[role=dialog] button[aria-label=Close]')!.click()
    await page.settle()
    expect([shown('proof'), shown('secret'), shown('failure')]).toEqual([null, null, null])
    expect(asked('POST', '/mfa/totp/')).toEqual([{}])
  })

  it('are removed after a question that says what follows', async () => {
    page = await open({ 'GET /mfa/': [200, { ...FACTORS, totp: true, recovery_codes_left: 2 }], 'DELETE /mfa/totp/': [204, null] })
    expect(page.text()).toContain('Only few left')
    await press('remove-app')
    expect(document.querySelector('[role=dialog]')?.textContent).toContain('your password alone will let you in')
    await press('cancel')
    expect(asked('DELETE', '/mfa/totp/')).toEqual([])
    await press('remove-app')
    await press('confirm-act')
    expect(asked('DELETE', '/mfa/totp/')).toEqual([{}])
  })

  it('keep the last one where the role must have one', async () => {
    page = await open({ 'GET /mfa/': [200, { ...FACTORS, totp: true, required: true }] })
    expect(page.at('remove-app').attributes('disabled')).toBeDefined()
    expect(page.text()).toContain('Set up another one before')
  })

  it('renew recovery codes after a question', async () => {
    page = await open({
      'GET /mfa/': [200, { ...FACTORS, totp: true, recovery_codes_left: 10 }],
      'POST /mfa/recovery-codes/': [200, { recovery_codes: ['CCCC-3333'] }],
    })
    await press('renew-codes')
    expect(asked('POST', '/mfa/recovery-codes/')).toEqual([])
    await press('confirm-act')
    expect(shown('recovery-codes')?.textContent).toContain('CCCC-3333')
  })
})

describe('passkeys', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values).buffer
  const options = { publicKey: { challenge: 'AQID', user: { id: '_-8', name: 'a' }, excludeCredentials: [{ id: '_-8', type: 'public-key' }] } }
  function browser(create: (asked: CredentialCreationOptions) => Promise<unknown>): void {
    vi.stubGlobal('PublicKeyCredential', class {})
    Object.defineProperty(navigator, 'credentials', { value: { create, get: () => null }, configurable: true })
  }

  it('are made with a name, as the server reads them', async () => {
    let wanted: CredentialCreationOptions | undefined
    browser((one) => {
      wanted = one
      const response = { clientDataJSON: bytes(1), attestationObject: bytes(2), getTransports: () => ['internal'] }
      return Promise.resolve({ id: '_-8', rawId: bytes(255, 239), type: 'public-key', response, getClientExtensionResults: () => ({}) })
    })
    page = await open({
      'POST /mfa/passkeys/begin/': [200, { ceremony: 'cer', options }],
      'POST /mfa/passkeys/': [201, { passkey: PASSKEY, recovery_codes: null }],
    })
    await press('add-passkey')
    await type('passkey-name', 'Work laptop')
    await send('name-passkey')
    expect([...(wanted?.publicKey?.user.id as Uint8Array)]).toEqual([255, 239])
    expect([...(wanted?.publicKey?.excludeCredentials?.[0]?.id as Uint8Array)]).toEqual([255, 239])
    expect(asked('POST', '/mfa/passkeys/')[0]).toMatchObject({
      ceremony: 'cer', name: 'Work laptop', credential: { rawId: '_-8', response: { clientDataJSON: 'AQ', attestationObject: 'Ag' } },
    })
    expect(shown('name-passkey')).toBeNull()
  })

  it('that this device has already, or that were not given, say so', async () => {
    browser(() => Promise.reject(new DOMException('', 'InvalidStateError')))
    page = await open({ 'POST /mfa/passkeys/begin/': [200, { ceremony: 'cer', options }] })
    await press('add-passkey')
    await send('name-passkey')
    expect(shown('failure')?.textContent).toContain('has a passkey for your account already')
    browser(() => Promise.reject(new DOMException('', 'NotAllowedError')))
    await send('name-passkey')
    expect(shown('failure')?.textContent).toContain('No passkey was made')
    expect(asked('POST', '/mfa/passkeys/')).toEqual([])
  })

  it('are renamed and removed', async () => {
    browser(() => Promise.resolve(null))
    page = await open({
      'GET /mfa/': [200, { ...FACTORS, passkeys: [PASSKEY] }],
      'PATCH /mfa/passkeys/k1/': [200, PASSKEY],
      'DELETE /mfa/passkeys/k1/': [204, null],
    })
    await press('rename-passkey')
    await type('passkey-name', 'Old phone')
    await send('name-passkey')
    expect(asked('PATCH', '/mfa/passkeys/k1/')).toEqual([{ name: 'Old phone' }])
    await press('remove-passkey')
    expect(document.querySelector('[role=dialog]')?.textContent).toContain('Remove the passkey Phone')
    await press('confirm-act')
    expect(asked('DELETE', '/mfa/passkeys/k1/')).toEqual([{}])
  })
})

describe('places of sign-in', () => {
  it('show this one first, and end one or all others after a question', async () => {
    page = await open({ 'DELETE /sessions/s2/': [204, null], 'DELETE /sessions/': [204, null] })
    const rows = page.wrapper.findAll('[data-test=signins] li').map((one) => one.text())
    expect([rows[0]?.includes('This browser'), rows[1]?.includes('agent s2')]).toEqual([true, true])
    expect(page.wrapper.findAll('[data-test=end-signin]')).toHaveLength(1)
    await press('end-signin')
    await press('confirm-act')
    expect(asked('DELETE', '/sessions/s2/')).toHaveLength(1)
    await press('end-others')
    await press('cancel')
    expect(asked('DELETE', '/sessions/')).toHaveLength(0)
    await press('end-others')
    await press('confirm-act')
    expect(asked('DELETE', '/sessions/')).toHaveLength(1)
  })

  it('name the usual browsers, and show anything else as it came', () => {
    const chrome = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36'
    expect(deviceName(chrome)).toBe('Chrome, Windows')
    expect(deviceName(`${chrome} Edg/120.0`)).toBe('Edge, Windows')
    expect(deviceName('Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0')).toBe('Firefox, Linux')
    expect(deviceName('Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36')).toBe('Chrome, Android')
    expect(deviceName('Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 Version/17.5 Mobile/15E148 Safari/604.1')).toBe('Safari, iPhone')
    expect(deviceName('murima-client/1\u202e')).toBe('murima-client/1')
  })
})
