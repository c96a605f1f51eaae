/** The REST resources of a desk, one function each; addresses are written here and, for the way in, in entrance.ts. */
import { ApiError, rememberCsrf, request, type Answer } from './http'
import type {
  CallEventRow,
  CallRow,
  Contact,
  ContactInput,
  Disposition,
  Draft,
  MeAnswer,
  NotReadyReason,
  Page,
  Problem,
} from './shapes'

const BASE = '/api/v1'

export const signOut = () => request<null>('DELETE', `${BASE}/auth/session/`)

export async function me(): Promise<MeAnswer> {
  return (await request<MeAnswer>('GET', `${BASE}/auth/me/`)).data
}

export async function dispositions(): Promise<Disposition[]> {
  const found = listOf(await request<Page<Disposition> | Disposition[]>('GET', `${BASE}/calls/dispositions/?limit=200`))
  return found
    .filter((one) => one.is_active !== false)
    .sort((a, b) => a.sort_order - b.sort_order || a.name.localeCompare(b.name))
}

export async function notReadyReasons(): Promise<NotReadyReason[]> {
  return listOf(
    await request<Page<NotReadyReason> | NotReadyReason[]>('GET', `${BASE}/calls/not-ready-reasons/?limit=200`),
  )
}

export async function calls(cursor: string | null, limit = 30): Promise<Page<CallRow>> {
  const query = new URLSearchParams({ limit: String(limit) })
  if (cursor) query.set('cursor', cursor)
  return (await request<Page<CallRow>>('GET', `${BASE}/calls/?${query}`)).data
}

export async function call(id: string): Promise<CallRow> {
  return (await request<CallRow>('GET', `${BASE}/calls/${encodeURIComponent(id)}/`)).data
}

export async function callEvents(id: string): Promise<CallEventRow[]> {
  return listOf(
    await request<Page<CallEventRow> | CallEventRow[]>(
      'GET',
      `${BASE}/calls/${encodeURIComponent(id)}/events/`,
    ),
  )
}

export async function readDraft(id: string): Promise<Draft> {
  return (await request<Draft>('GET', `${BASE}/calls/${encodeURIComponent(id)}/draft/`)).data
}

export class DraftConflict extends Error {
  constructor(readonly stored: Draft) {
    super('conflict')
  }
}

/** Stores a draft on top of `revision`; a newer one on the server comes back as DraftConflict. */
export async function writeDraft(id: string, draft: Draft, keepalive = false): Promise<Draft> {
  try {
    const path = `${BASE}/calls/${encodeURIComponent(id)}/draft/`
    return (await request<Draft>('PUT', path, { body: draft, keepalive, timeoutMs: 5_000 })).data
  } catch (error) {
    const stored = error instanceof ApiError && error.status === 409 ? storedDraft(error) : null
    if (stored) throw new DraftConflict(stored)
    throw error
  }
}

function storedDraft(error: ApiError): Draft | null {
  const body = error.body as (Problem & { draft?: Draft; stored?: Draft } & Partial<Draft>) | null
  const found = body?.draft ?? body?.stored ?? body
  return typeof found?.revision === 'number' ? (found as Draft) : null
}

export async function contacts(search: string, cursor: string | null): Promise<Page<Contact>> {
  const query = new URLSearchParams({ limit: '50' })
  if (search) query.set('q', search)
  if (cursor) query.set('cursor', cursor)
  return (await request<Page<Contact>>('GET', `${BASE}/contacts/?${query}`)).data
}

export async function contact(id: string): Promise<Answer<Contact>> {
  return request<Contact>('GET', `${BASE}/contacts/${encodeURIComponent(id)}/`)
}

export async function createContact(input: ContactInput, key: string): Promise<Contact> {
  return (await request<Contact>('POST', `${BASE}/contacts/`, { body: input, idempotent: key })).data
}

export async function updateContact(id: string, input: ContactInput, etag: string): Promise<Contact> {
  const path = `${BASE}/contacts/${encodeURIComponent(id)}/`
  return (await request<Contact>('PATCH', path, { body: input, etag })).data
}

function listOf<T>(answer: Answer<Page<T> | T[]>): T[] {
  return Array.isArray(answer.data) ? answer.data : answer.data.data
}

/** After signing out: the next person gets a token of their own. */
export function forget(): void {
  rememberCsrf(null)
}
