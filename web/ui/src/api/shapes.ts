/**
 * What a desk reads and writes: the messages of its socket (generated, src/api/messages.ts) and the REST
 * resources. Instants are RFC 3339 text in UTC; ids are text. Unknown fields are ignored and unknown message
 * types skipped, so that a newer server can serve an older page.
 */
import type { Instant, QueueRef } from './messages'

export type {
  AgentState,
  CallPhase,
  CallState,
  ContactCard,
  DeskAnswers,
  DeskClientMessages,
  DeskServerMessage,
  DeskServerMessages,
  Effective,
  Envelope,
  Hello,
  Instant,
  Intent,
  Live,
  Notice,
  Offer,
  Pop,
  QueueState,
  RecentCall,
  SipCredentials,
  Snapshot,
  Who,
  WrapUpState,
} from './messages'
export type Named = QueueRef

/** RFC 9457; `code` is stable, `detail` is for people. */
export interface Problem {
  type: string
  title: string
  status: number
  detail?: string
  code?: string
  request_id?: string
  errors?: { pointer: string; code: string; detail: string }[]
}

/** `GET /auth/me/`; `permissions` maps a code to its scope. */
export interface MeAnswer {
  user: { id: string; email: string; name: string; language: string }
  tenant: { id: string; slug: string; name: string; time_zone: string; region: string; language: string } | null
  role: { name: string; display_name: string } | null
  permissions: Record<string, 'own' | 'team' | 'all'>
}
export interface Draft {
  note: string
  disposition: string | null
  revision: number
}
export interface Disposition {
  code: string
  name: string
  category: string
  is_active: boolean
  sort_order: number
}
export interface NotReadyReason {
  code: string
  name: string
}
export interface CallRow {
  id: string
  direction: string
  status: string
  caller_number: string | null
  caller_name: string | null
  contact: Named | null
  queue: Named | null
  agent: Named | null
  started_at: Instant
  answered_at: Instant | null
  ended_at: Instant | null
  wait_seconds: number
  talk_seconds: number
  hold_seconds: number
  wrap_up_seconds: number
  outcome: string | null
  disposition: { code: string; name: string } | null
  note: string
}
export interface CallEventRow {
  seq: number
  type: string
  at: Instant
  actor: string | null
  actor_name: string | null
  details: Record<string, unknown>
}
export interface ContactPhone {
  number: string
  label?: string
  is_primary: boolean
}
export interface Contact {
  id: string
  name: string
  first_name: string
  last_name: string
  email: string
  phone: string
  phones: ContactPhone[]
  organization: string
  preferred_language: string
  tags: string[]
}
export interface Page<T> {
  data: T[]
  next_cursor: string | null
  has_more: boolean
}
