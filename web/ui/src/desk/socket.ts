/**
 * The desk's line to the server. `hello` and `snapshot` first, then deltas; a lost socket comes back by itself
 * (full jitter, 0.5 to 15 s) and asks to go on after the last seq. Nothing heard for `lost_seconds` is a lost
 * socket, whatever the browser thinks of it. An ask is answered or fails within ASK_MS, and all that are open
 * fail when the socket does: an ask is never sent twice, because the reader of the screen may have moved on.
 */
import { ApiError } from '@/api/http'
import type { DeskAnswers, DeskClientMessages, DeskServerMessage, Envelope, Hello } from '@/api/shapes'
import { learnServerTime } from '@/lib/clock'
import { everySecond } from '@/lib/ticker'
import { uuid } from '@/lib/uuid'

export type LineState = 'closed' | 'connecting' | 'open'
export type CloseReason = 'signed_out' | 'forbidden' | 'replaced' | 'lost'
export interface LineHandlers {
  message: (envelope: DeskServerMessage) => void
  state: (state: LineState, why?: CloseReason) => void
}

const ASK_MS = 4_000
const BACKOFF_MS = { first: 500, most: 15_000 }

interface Pending {
  resolve: (data: unknown) => void
  reject: (error: ApiError) => void
  timer: ReturnType<typeof setTimeout>
}

export class DeskSocket {
  private socket: WebSocket | null = null
  private pending = new Map<string, Pending>()
  private wanted = false
  private attempts = 0
  private epoch = 0
  private seq = 0
  private heardAt = 0
  private pingMs = 5_000
  private lostMs = 15_000
  private retry: ReturnType<typeof setTimeout> | undefined
  private stopBeat: () => void = () => undefined
  private pings = new Map<string, number>()

  constructor(
    private readonly tab: string,
    private readonly handlers: LineHandlers,
    private readonly address = deskAddress(),
  ) {}

  open(): void {
    if (this.wanted && this.socket) return
    this.wanted = true
    this.connect()
  }

  close(): void {
    this.wanted = false
    this.drop()
    this.handlers.state('closed')
  }

  /** Milliseconds since the last frame, by this computer's steady clock. */
  silence(): number {
    return this.heardAt ? performance.now() - this.heardAt : 0
  }

  ask<K extends keyof DeskClientMessages>(type: K, data: DeskClientMessages[K]): Promise<DeskAnswers[K]> {
    const socket = this.socket
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(failure('not_connected'))
    const id = uuid()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.settle(id)?.reject(failure('no_answer')), ASK_MS)
      this.pending.set(id, { resolve: resolve as Pending['resolve'], reject, timer })
      this.transmit(socket, type, id, data)
    })
  }

  private transmit(socket: WebSocket, type: string, id: string, data: unknown): void {
    const { epoch, seq } = this
    socket.send(JSON.stringify({ v: 1, type, id, epoch, seq, ts: new Date().toISOString(), data }))
  }

  private connect(): void {
    this.drop()
    this.handlers.state('connecting')
    const query = new URLSearchParams({ tab: this.tab })
    if (this.seq) {
      query.set('epoch', String(this.epoch))
      query.set('seq', String(this.seq))
    }
    const socket = new WebSocket(`${this.address}?${query}`, ['murima.v1'])
    this.socket = socket
    this.heardAt = performance.now()
    socket.onmessage = (event) => this.socket === socket && this.receive(String(event.data))
    socket.onclose = (event) => this.socket === socket && this.closed(event.code)
    this.stopBeat = everySecond(() => this.beat(socket))
  }

  private receive(text: string): void {
    this.heardAt = performance.now()
    let envelope: DeskServerMessage
    try {
      envelope = JSON.parse(text) as DeskServerMessage
    } catch {
      return
    }
    if (envelope.type === 'hello') this.greeted(envelope.data)
    if (envelope.type === 'pong') return this.ponged(envelope)
    if (envelope.type === 'ack') return this.settle(envelope.id)?.resolve(envelope.data)
    if (envelope.type === 'error' && envelope.id) {
      return this.settle(envelope.id)?.reject(new ApiError(envelope.data))
    }
    this.advance(envelope)
    this.handlers.message(envelope)
  }

  private advance(envelope: DeskServerMessage): void {
    if (envelope.type === 'hello' || typeof envelope.seq !== 'number') return
    if (envelope.type === 'snapshot' || envelope.epoch > this.epoch || envelope.seq > this.seq) {
      this.epoch = envelope.epoch
      this.seq = envelope.seq
    }
  }

  private greeted(hello: Hello): void {
    this.attempts = 0
    this.pingMs = (hello.ping_seconds || 5) * 1000
    this.lostMs = (hello.lost_seconds || 15) * 1000
    learnServerTime(hello.server_time, 500)
    this.handlers.state('open')
    if (this.socket) this.ping(this.socket)
  }

  private ponged(envelope: Envelope<'pong', { server_time: string }>): void {
    const sent = envelope.id ? this.pings.get(envelope.id) : undefined
    this.pings.clear()
    if (sent !== undefined) learnServerTime(envelope.data.server_time, performance.now() - sent)
  }

  private lastPing = 0
  private beat(socket: WebSocket): void {
    if (this.silence() > this.lostMs) return this.closed(4000)
    if (performance.now() - this.lastPing >= this.pingMs) this.ping(socket)
  }

  private ping(socket: WebSocket): void {
    if (socket.readyState !== WebSocket.OPEN) return
    const id = uuid()
    this.lastPing = performance.now()
    this.pings.set(id, this.lastPing)
    this.transmit(socket, 'ping', id, {})
  }

  private closed(code: number): void {
    this.drop()
    if (!this.wanted) return
    const final = FINAL[code]
    if (final) {
      this.wanted = false
      this.handlers.state('closed', final)
      return
    }
    this.handlers.state('connecting', 'lost')
    this.retry = setTimeout(() => this.connect(), backoff(this.attempts++))
  }

  private drop(): void {
    clearTimeout(this.retry)
    this.stopBeat()
    const socket = this.socket
    this.socket = null
    if (socket) {
      socket.onmessage = socket.onclose = null
      socket.close()
    }
    for (const id of [...this.pending.keys()]) this.settle(id)?.reject(failure('not_connected'))
  }

  private settle(id: string | null | undefined): Pending | undefined {
    const pending = id ? this.pending.get(id) : undefined
    if (!pending || !id) return undefined
    clearTimeout(pending.timer)
    this.pending.delete(id)
    return pending
  }
}

const FINAL: Record<number, CloseReason | undefined> = {
  4401: 'signed_out',
  4403: 'forbidden',
  4409: 'replaced',
}

export function backoff(attempt: number, draw = Math.random()): number {
  const most = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** Math.min(attempt, 10))
  return BACKOFF_MS.first / 2 + draw * most
}

function failure(code: 'not_connected' | 'no_answer'): ApiError {
  return new ApiError({ type: 'about:blank', title: code, status: 0, code })
}

function deskAddress(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/v1/desk`
}
