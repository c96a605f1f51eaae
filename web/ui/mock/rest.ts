/** The REST resources of a desk, in memory. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CallEventRow, CallRow, Contact, Disposition, Draft, MeAnswer, NotReadyReason, Page } from '../src/api/shapes.ts'


const at = (ms: number) => new Date(Date.now() + ms).toISOString()
const page = <T>(data: T[]): Page<T> => ({ data, next_cursor: null, has_more: false })
const ME: MeAnswer = {
  user: { id: 'u1', email: 'amina@amani.example', name: 'Amina Otieno', language: 'en' },
  tenant: { id: 't_mock', slug: 'amani', name: 'Amani Child Helpline', time_zone: 'Africa/Nairobi', region: 'KE', language: 'en' },
  sip_websocket: '',
  role: { name: 'agent', display_name: 'Agent' },
  permissions: { 'calls.take': 'own', 'contacts.view': 'all' },
}
const FACTORS = { totp: false, passkeys: [], recovery_codes_left: 0, required: false }
const PLACE = { id: 's1', kind: 'browser', device: 'Mock/1', ip_address: '127.0.0.1', created_at: at(-3_600_000), last_seen_at: at(0), current: true }
const NAMES: [string, string, string][] = [
  ['counselling', 'Counselling given', 'Helped'], ['information', 'Information given', 'Helped'],
  ['referral', 'Referred to a service', 'Helped'], ['callback', 'Call back agreed', 'Follow-up'],
  ['emergency', 'Emergency, handed to police', 'Urgent'], ['silent', 'Silent call', 'No contact'],
  ['wrong_number', 'Wrong number', 'No contact'], ['abusive', 'Abusive call', 'No contact'],
  ['test', 'Test call', 'Other'], ['complaint', 'Complaint taken', 'Other'],
]
const DISPOSITIONS: Disposition[] = NAMES.map(([code, name, category], n) => ({
  id: code, code, name, category, is_active: true, sort_order: n,
  requires_note: code === 'emergency', requires_follow_up: false, requires_case_creation: false,
}))
const REASONS: NotReadyReason[] = [['break', 'Break'], ['lunch', 'Lunch'], ['meeting', 'Meeting'], ['training', 'Training'], ['debrief', 'Debrief']]
  .map(([code = '', name = ''], n) => ({ id: code, code, name, is_active: true, sort_order: n }))
const CONTACTS: Contact[] = [
  ['Wanjiru', 'Kamau', '+254712345678'], ['Baraka', 'Mwangi', '+254733100200'], ['Zawadi', 'Njeri <img onerror=alert(1)>', '+254110555111'],
].map(([first = '', last = '', phone = ''], n) => ({
  id: `c${n + 1}`, name: `${first} ${last}`, first_name: first, last_name: last, email: '', phone,
  phones: [{ number: phone, label: 'mobile', is_primary: true }], organization: n ? '' : 'Mathare Primary School', preferred_language: 'sw', tags: [],
  address: '', custom_fields: {}, date_of_birth: null, is_active: true, preferred_contact_method: '', title: '',
  addresses: [], is_anonymous: false, legal_hold: false, legal_hold_reason: 'other', time_zone: '', redacted: [],
  created_at: at(0), updated_at: at(0),
}))
const row = (n: number): CallRow => ({
  tenant: 't_mock', asterisk_ids: {}, recordings: [], id: `r${n}`, direction: 'inbound', status: 'completed', caller_number: `+25471234567${n % 10}`, caller_name: null,
  contact: n % 3 ? null : { id: 'c1', name: 'Wanjiru Kamau' }, queue: { id: 'q1', name: 'Child helpline' },
  agent: { id: 'u1', name: 'Amina Otieno' }, started_at: at(-n * 1_700_000), answered_at: n % 4 ? at(-n * 1_690_000) : null,
  ended_at: at(-n * 1_600_000), wait_seconds: 12 + n, talk_seconds: n % 4 ? 61 * n : 0, hold_seconds: n, wrap_up_seconds: 30,
  case: null, outcome: n % 4 ? 'completed' : 'abandoned', disposition: n % 4 ? { code: 'information', name: 'Information given' } : null, note: '',
})
const EVENTS: CallEventRow[] = ['call.arrived', 'call.queued', 'offer.made', 'offer.ended', 'call.connected', 'call.held', 'call.resumed', 'agent_leg.ended', 'call.ended']
  .map((type, n) => ({ seq: n + 1, type, at: at(n * 4_321 - 300_000), actor: n > 1 ? 'u1' : null, actor_name: n > 1 ? 'Amina Otieno' : null, details: {} }))

export class Rest {
  signedIn = process.env.MURIMA_MOCK !== 'out'
  private drafts = new Map<string, Draft>()

  async answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const path = url.pathname.replace('/api/v1', '')
    const body = await read(request)
    const [status, data] = this.route(request.method ?? 'GET', path, body, url)
    response.statusCode = status
    response.setHeader('Content-Type', status < 400 ? 'application/json' : 'application/problem+json')
    response.setHeader('ETag', '"1"')
    response.end(data === null ? '' : JSON.stringify(data))
  }

  private route(method: string, path: string, body: Record<string, unknown>, url: URL): [number, unknown] {
    if (path === '/auth/session/') return this.session(method, body)
    if (!this.signedIn) return problem(401, 'not_authenticated', 'Sign in first.')
    if (path.startsWith('/auth/')) return this.account(method, path, body)
    if (path === '/calls/dispositions/') return [200, page(DISPOSITIONS)]
    if (path === '/calls/not-ready-reasons/') return [200, page(REASONS)]
    if (path === '/calls/') return [200, page([1, 2, 3, 4, 5, 6, 7].slice(0, Number(url.searchParams.get('limit'))).map(row))]
    const draft = /^\/calls\/([^/]+)\/draft\/$/.exec(path)?.[1]
    if (draft) return this.draft(method, draft, body)
    if (/^\/calls\/[^/]+\/events\/$/.test(path)) return [200, page(EVENTS)]
    const call = /^\/calls\/r?(\d+)\/$/.exec(path)?.[1]
    if (call) return [200, row(Number(call) || 1)]
    return this.contacts(method, path, body, url)
  }

  private session(method: string, body: Record<string, unknown>): [number, unknown] {
    if (method === 'DELETE') this.signedIn = false
    if (method !== 'POST') return [204, null]
    if (body.password !== 'murima') return problem(401, 'wrong_credentials', 'The email or the password is wrong.')
    this.signedIn = true
    return [200, { user: ME.user, csrf_token: 'mock', mfa_required: false }]
  }

  private account(method: string, path: string, body: Record<string, unknown>): [number, unknown] {
    if (path === '/auth/me/') return [200, method === 'PATCH' ? { ...ME, user: Object.assign(ME.user, body) } : ME]
    if (path === '/auth/mfa/') return [200, FACTORS]
    if (path === '/auth/sessions/' && method === 'GET') return [200, { data: [PLACE] }]
    if (path === '/auth/mfa/totp/' && method === 'POST') return [200, { secret: 'JBSWY3DPEHPK3PXP', uri: 'otpauth://totp/mock?secret=JBSWY3DPEHPK3PXP' }]
    return problem(404, 'not_found', '')
  }

  private draft(method: string, call: string, body: Record<string, unknown>): [number, unknown] {
    const stored = this.drafts.get(call) ?? { note: '', disposition: null, revision: 0 }
    if (method === 'GET') return [200, stored]
    if (body.revision !== stored.revision) return [409, { ...(problem(409, 'stale_draft', 'A newer draft is stored.')[1] as object), draft: stored }]
    const next = { ...(body as unknown as Draft), revision: stored.revision + 1 }
    this.drafts.set(call, next)
    return [200, next]
  }

  private contacts(method: string, path: string, body: Record<string, unknown>, url: URL): [number, unknown] {
    const q = (url.searchParams.get('q') ?? '').toLowerCase()
    if (path === '/contacts/' && method === 'GET') return [200, page(CONTACTS.filter((one) => `${one.name} ${one.phone}`.toLowerCase().includes(q)))]
    if (path === '/contacts/') {
      const made = { ...CONTACTS[1], ...body, id: `c${CONTACTS.length + 1}`, name: `${body.first_name} ${body.last_name}` } as Contact
      CONTACTS.push(made)
      return [201, made]
    }
    const found = CONTACTS.find((one) => path === `/contacts/${one.id}/`)
    if (!found) return problem(404, 'not_found', '')
    return [200, method === 'PATCH' ? Object.assign(found, body) : found]
  }
}

function problem(status: number, code: string, detail: string): [number, unknown] {
  return [status, { type: 'about:blank', title: code, status, code, detail, request_id: 'req-mock-1' }]
}

async function read(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text ? (JSON.parse(text) as Record<string, unknown>) : {}
}
