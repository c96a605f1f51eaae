/** One agent, two queues, one caller at a time. */
import type { WebSocket } from 'ws'
import type {
  AgentState, CallState, DeskAnswers, DeskClientMessage, DeskClientMessages, DeskServerMessages, Offer, Pop, QueueState, Snapshot,
} from '../src/api/messages.ts'
import type { SipPeer } from './sip.ts'

const at = (ms = 0) => new Date(Date.now() + ms).toISOString()
const QUEUE = { id: 'q1', name: 'Child helpline' }
const PARTY = { number: '+254712345678', name: null }
const CONTACT = { id: 'c1', name: 'Wanjiru Kamau', organization: 'Mathare Primary School', preferred_language: 'sw', tags: ['parent', 'follow-up'] }

export class World {
  agent: AgentState = {
    id: 'u1', effective: 'offline', since: at(), intent: 'not_ready', reason: '', next: null, missing: ['shift'],
    set_aside: false, shift: null, wrap_up: null,
  }
  offer: Offer | null = null
  call: CallState | null = null
  queues: QueueState[] = [
    { ...QUEUE, waiting: 2, oldest_arrival: at(-94_000), ready: 1, busy: 3 },
    { id: 'q2', name: 'Information line', waiting: 0, oldest_arrival: null, ready: 2, busy: 1 },
  ]
  live: Snapshot['live'] = 'live'
  private sockets = new Set<WebSocket>()
  private seq = 1
  private serial = 0

  constructor(private readonly sip: SipPeer) {
    sip.onAnswer = (key) => this.answered(key)
    sip.onBye = (key, wilful) => this.ended(key, wilful)
  }

  attach(socket: WebSocket, signedIn: boolean): void {
    if (!signedIn) return socket.close(4401)
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('message', (data) => this.asked(socket, JSON.parse(String(data)) as DeskClientMessage))
    this.tell(socket, 'hello', {
      server_time: at(), ping_seconds: 5, lost_seconds: 15, tenant: { id: 't_mock', slug: 'mock', name: 'Mock' },
      user: { id: 'u1', name: 'Amina Otieno', email: 'amina@amani.example', role: 'agent', permissions: [] },
    })
    const { agent, offer, call, queues, live } = this
    this.tell(socket, 'snapshot', { agent, offer, call, queues, live })
    if (offer) this.tell(socket, 'pop', this.pop(offer))
  }

  act(name: string, options: URLSearchParams): void {
    if (name === 'reset') {
      this.offer = this.call = null
      this.become({ effective: 'offline', intent: 'not_ready', reason: '', next: null, missing: ['shift'], set_aside: false, shift: null, wrap_up: null })
    }
    if (name === 'arrive') this.arrive(options.has('returning'))
    if (name === 'caller_gone') this.ended(this.call?.leg ?? this.offer?.id ?? '', true)
    if (name === 'miss') this.missed()
    if (name === 'lose') this.lost()
    if (name === 'stale' || name === 'live' || name === 'offline') this.beat(name)
    if (name === 'elsewhere') this.all('notice', { code: 'elsewhere', level: 'warning', detail: '' })
    if (name === 'drop') this.sockets.forEach((one) => one.close(1012))
    if (name === 'expire') this.sockets.forEach((one) => one.close(4401))
  }

  private beat(name: Snapshot['live']): void {
    this.live = name
    this.all('notice', { code: name, level: 'warning', detail: '' })
  }

  private arrive(returning: boolean): void {
    const call = returning && this.call ? this.call.id : `018f0000-0000-7000-8000-00000000000${++this.serial}`
    const offer: Offer = {
      id: `${call}.${2 + this.serial}`, call, queue: QUEUE, attempt: 1, made_at: at(), deadline: at(20_000),
      arrived_at: at(-37_000), returning, party: PARTY,
    }
    this.offer = offer
    this.become({ effective: 'offered' })
    this.all('offer.created', offer)
    this.all('pop', this.pop(offer))
    this.sip.ring(offer.id)
  }

  private pop(offer: Offer): Pop {
    const recent = (days: number, disposition: string) => ({
      id: `r${days}`, started_at: at(-days * 86_400_000), queue: QUEUE.name, outcome: 'completed', disposition,
    })
    return { offer: offer.id, call: offer.call, party: PARTY, contact: CONTACT, matches: 1, recent_calls: [recent(3, 'counselling'), recent(19, 'information')] }
  }

  private answered(key: string): void {
    if (this.offer?.id !== key) return
    const { call, arrived_at } = this.offer
    this.call = {
      id: call, state: 'talking', since: at(), queue: QUEUE, arrived_at, connected_at: this.call?.connected_at ?? at(),
      muted: false, kept_until: null, leg: key, party: PARTY, contact: CONTACT,
    }
    this.all('offer.withdrawn', { id: key, outcome: 'accepted' })
    this.offer = null
    this.become({ effective: 'on_call' })
    this.all('call.state', this.call)
  }

  private missed(): void {
    if (!this.offer) return
    this.sip.cancel(this.offer.id)
    this.all('offer.withdrawn', { id: this.offer.id, outcome: 'missed' })
    this.offer = null
    this.become({ effective: 'not_responding', set_aside: true })
  }

  private lost(): void {
    if (!this.call) return
    this.sip.bye(this.call.leg ?? '')
    this.change({ state: 'kept', kept_until: at(20_000), leg: null })
    this.become({ effective: 'unreachable' })
  }

  private ended(key: string, wilful: boolean): void {
    if (this.offer && this.offer.id === key) {
      this.all('offer.withdrawn', { id: key, outcome: 'withdrawn' })
      this.sip.cancel(key)
      this.offer = null
      return this.become({ effective: 'ready' })
    }
    if (!this.call || this.call.leg !== key) return
    if (!wilful) return this.lost()
    this.sip.bye(key)
    this.become({
      effective: 'wrap_up',
      wrap_up: { call: this.call.id, queue: QUEUE, started_at: at(), deadline: at(60_000), extensions_left: 3 },
    })
    this.change({ state: 'ended', leg: null })
  }

  private asked(socket: WebSocket, message: DeskClientMessage): void {
    if (message.type === 'ping') return this.tell(socket, 'pong', { server_time: at() }, message.id)
    const answer = this.carryOut(message)
    setTimeout(() => this.tell(socket, 'ack', answer, message.id), 120)
  }

  private carryOut(message: DeskClientMessage): DeskAnswers[Exclude<keyof DeskClientMessages, 'ping'>] {
    switch (message.type) {
      case 'shift.start':
        this.become({ shift: { endpoint: 'd0123456789ab' }, missing: [], effective: this.agent.shift ? this.agent.effective : 'not_ready' })
        return { code: 'ok', sip: { user: 'd0123456789ab', password: 'mock', uri: 'sip:d0123456789ab@mock.invalid', websocket: '/ws/sip', realm: 'asterisk' } }
      case 'shift.end':
        this.become({ shift: null, missing: ['shift'], effective: 'offline', intent: 'not_ready' })
        break
      case 'status.set':
        this.status(message.data.intent, message.data.reason ?? '')
        break
      case 'offer.decline':
        this.missed()
        break
      case 'call.hold':
        this.change({ state: 'held' })
        break
      case 'call.unhold':
        this.change({ state: 'talking' })
        break
      case 'call.mute':
        if (this.call) this.all('call.state', (this.call = { ...this.call, muted: message.data.muted }))
        break
      case 'call.hangup':
        this.ended(this.call?.leg ?? '', true)
        break
      case 'wrapup.extend': {
        const wrap = this.agent.wrap_up
        if (wrap) this.become({ wrap_up: { ...wrap, deadline: new Date(Date.parse(wrap.deadline) + 30_000).toISOString(), extensions_left: wrap.extensions_left - 1 } })
        break
      }
      case 'wrapup.finish':
        this.call = null
        this.become({ wrap_up: null, effective: this.agent.next?.intent === 'not_ready' ? 'not_ready' : 'ready', ...(this.agent.next ?? {}), next: null })
    }
    return { code: 'ok' }
  }

  private status(intent: AgentState['intent'], reason: string): void {
    const busy = ['on_call', 'offered', 'wrap_up'].includes(this.agent.effective)
    const same = intent === this.agent.intent && reason === this.agent.reason
    if (busy) return this.become({ next: same ? null : { intent, reason } })
    this.become({ intent, reason, set_aside: false, effective: intent === 'ready' ? 'ready' : 'not_ready' })
  }

  private become(change: Partial<AgentState>): void {
    const moved = change.effective !== undefined && change.effective !== this.agent.effective
    this.agent = { ...this.agent, ...change, since: moved ? at() : this.agent.since }
    this.all('agent.state', this.agent)
  }

  private change(change: Partial<CallState>): void {
    if (!this.call) return
    this.call = { ...this.call, ...change, since: at() }
    this.all('call.state', this.call)
  }

  private all<T extends keyof DeskServerMessages>(type: T, data: DeskServerMessages[T]): void {
    this.seq += 1
    this.sockets.forEach((one) => this.tell(one, type, data))
  }

  private tell<T extends keyof DeskServerMessages>(socket: WebSocket, type: T, data: DeskServerMessages[T], id?: string): void {
    socket.send(JSON.stringify({ v: 1, type, id, epoch: 1, seq: this.seq, ts: at(), data }))
  }
}
