/**
 * One's own account, one function each: profile, password, second factors, places of sign-in. What changes the
 * way in takes the password too, for when the server has not seen it lately (see lib/proof.ts).
 */
import type { TotpSecret, Ceremony } from './entrance'
import { request } from './http'
import type { components } from './schema'
import type { MeAnswer } from './shapes'

type Bodies = components['schemas']
const AUTH = '/api/v1/auth'

export type Factors = Bodies['MfaAnswer']
export type PasskeyRow = Bodies['PasskeyBody']
export type SignInPlace = Bodies['SignInPlace']
type Codes = Bodies['CodesAnswer']

const proof = (password?: string) => (password ? { current_password: password } : {})
const one = (id: string) => `${encodeURIComponent(id)}/`

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await request<T>(method, AUTH + path, { body })).data
}

export const changeProfile = (values: { name?: string; language?: string }) => send<MeAnswer>('PATCH', '/me/', values)

export const changePassword = (current: string, next: string) =>
  send<null>('POST', '/password/', { current_password: current, new_password: next })

export const factors = () => send<Factors>('GET', '/mfa/')

/** A new secret for an authenticator app. */
export const beginTotp = (password?: string) => send<TotpSecret>('POST', '/mfa/totp/', proof(password))
/** The recovery codes that came with the first factor, shown once; null when there were some already. */
export const confirmTotp = async (code: string) => (await send<Codes>('POST', '/mfa/totp/confirm/', { code })).recovery_codes
export const removeTotp = (password?: string) => send<null>('DELETE', '/mfa/totp/', proof(password))

export const beginPasskey = (password?: string) => send<Ceremony>('POST', '/mfa/passkeys/begin/', proof(password))
export const finishPasskey = (ceremony: string, credential: Record<string, unknown>, name: string) =>
  send<Bodies['PasskeyAnswer']>('POST', '/mfa/passkeys/', { ceremony, credential, name })
export const renamePasskey = (id: string, name: string) => send<PasskeyRow>('PATCH', `/mfa/passkeys/${one(id)}`, { name })
export const removePasskey = (id: string, password?: string) => send<null>('DELETE', `/mfa/passkeys/${one(id)}`, proof(password))

/** Ten new ones; the older ones stop working. */
export const renewCodes = async (password?: string) =>
  (await send<Codes>('POST', '/mfa/recovery-codes/', proof(password))).recovery_codes ?? []

export const signIns = async () => (await send<{ data: SignInPlace[] }>('GET', '/sessions/')).data
export const endSignIn = (id: string) => send<null>('DELETE', `/sessions/${one(id)}`)
export const endOtherSignIns = () => send<null>('DELETE', '/sessions/')
