/**
 * The way in: password, second factor, invitation and reset; one function each.
 * Secrets travel in bodies only, never in an address.
 */
import { rememberCsrf, request } from './http'
import type { components } from './schema'

type Bodies = components['schemas']
const AUTH = '/api/v1/auth'

export type SessionAnswer = Bodies['SessionAnswer']
export type MfaNote = Bodies['MfaNote']
export type Method = MfaNote['methods'][number]
export type InvitationPreview = Bodies['InvitationPreview']
export type TotpSecret = Bodies['TotpAnswer']
export interface Ceremony {
  ceremony: string
  options: Record<string, unknown>
}
export interface ProviderChoice {
  slug: string
  name: string
  start: string
}
/** What proves the second factor: a code, or what the browser answered to a ceremony. */
export type Proof =
  | { method: 'totp' | 'recovery_code'; code: string }
  | { method: 'passkey'; ceremony: string; credential: Record<string, unknown> }
/** Where a step of signing in leads. */
export type SignedIn =
  | { next: 'in' }
  | { next: 'enrol' }
  | { next: 'second_factor'; note: MfaNote }

const post = async <T>(path: string, body?: unknown): Promise<T> =>
  (await request<T>('POST', `${AUTH}${path}`, { body: body ?? {} })).data

export async function signIn(email: string, password: string): Promise<SignedIn> {
  return outcome(await post<Partial<SessionAnswer> | null>('/session/', { email, password }))
}

export async function secondStep(state: string, proof: Proof): Promise<SignedIn> {
  return outcome(await post<Partial<SessionAnswer> | null>('/session/mfa/', { state, ...proof }))
}

export const secondStepPasskey = (state: string) => post<Ceremony>('/session/mfa/passkey/', { state })

/** Without e-mail and password: a passkey shows that the device and its owner are here. */
export const passkeyAlone = () => post<Ceremony>('/session/passkey/begin/')
export async function signInByPasskey(ceremony: string, credential: Record<string, unknown>): Promise<SignedIn> {
  return outcome(await post<Partial<SessionAnswer> | null>('/session/passkey/', { ceremony, credential }))
}

/** Whether the server lets this browser's session do nothing but set up a second factor. */
export async function mustEnrol(): Promise<boolean> {
  const { data } = await request<Partial<SessionAnswer> | null>('GET', `${AUTH}/session/`)
  rememberCsrf(data?.csrf_token ?? null)
  return data?.mfa_enrolment_required === true
}

/** The organisation's own identity providers, for the sign-in page. */
export async function providers(): Promise<ProviderChoice[]> {
  return (await request<{ data: ProviderChoice[] }>('GET', `${AUTH}/oidc/`)).data.data
}

export const askForReset = (email: string) => post<null>('/password/reset/', { email })
export const resetPassword = (token: string, password: string) =>
  post<null>('/password/reset/confirm/', { token, new_password: password })

export const previewInvitation = (token: string) => post<InvitationPreview>('/invitations/preview/', { token })
export const acceptInvitation = (token: string, name: string, password: string) =>
  post<{ user: string; email: string }>('/invitations/accept/', { token, name, password })

function outcome(answer: Partial<SessionAnswer> | null): SignedIn {
  rememberCsrf(answer?.csrf_token ?? null)
  if (answer?.mfa_required && answer.mfa) return { next: 'second_factor', note: answer.mfa }
  return { next: answer?.mfa_enrolment_required ? 'enrol' : 'in' }
}
