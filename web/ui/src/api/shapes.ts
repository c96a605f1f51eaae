/**
 * What a desk reads and writes: the messages of its socket (generated, src/api/messages.ts) and the REST
 * resources (generated too, src/api/schema.d.ts, by `npm run generate`). Instants are RFC 3339 text in UTC; ids
 * are text. Unknown fields are ignored and unknown message types skipped, so that a newer server can serve an
 * older page.
 */
import type { components } from './schema'

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

/** RFC 9457; `code` is stable, `detail` is for people. */
export interface Problem {
  type: string
  title: string
  status: number
  detail?: string
  code?: string
  request_id?: string
  /** Seconds, as the answer's header says. */
  retry_after?: number
  errors?: { pointer: string; code: string; detail: string }[]
}

type Bodies = components['schemas']

export type MeAnswer = Bodies['MeAnswer']
export type Draft = Required<Bodies['DraftBody']>
export type Disposition = Required<Bodies['DispositionBody']>
export type NotReadyReason = Required<Bodies['ReasonBody']>
export type CallRow = Required<Bodies['CallBody']>
export type CallEventRow = Bodies['CallsEventBody']
export type Contact = Required<Bodies['ContactBody']>
export type ContactPhone = Bodies['PhoneBody']
export type ContactInput = Bodies['ContactBodyRequest']
export interface Page<T> {
  data: T[]
  next_cursor: string | null
  has_more: boolean
}
