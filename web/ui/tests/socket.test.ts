/** The desk's line: greeting, resume, asks that are answered or fail, and silence that is noticed. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DeskServerMessage } from '../src/api/shapes'
import { backoff, DeskSocket, type CloseReason, type LineState } from '../src/desk/socket'

class FakeSocket {
  static made: FakeSocket[] = []
  static OPEN = 1
  readyState = 1
  sent: { type: string; id: string }[] = []
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  constructor(readonly url: string, readonly protocols: string[]) {
    FakeSocket.made.push(this)
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string; id: string })
  }
  close(): void {
    this.readyState = 3
  }
  say(type: string, data: unknown, seq = 1, id?: string): void {
    this.onmessage?.({ data: JSON.stringify({ v: 1, type, id, epoch: 3, seq, ts: '', data }) })
  }
  static get last(): FakeSocket {
    return FakeSocket.made.at(-1) as FakeSocket
  }
}

const HELLO = { server_time: new Date().toISOString(), ping_seconds: 5, lost_seconds: 15 }
let states: [LineState, CloseReason | undefined][]
let messages: DeskServerMessage[]
let line: DeskSocket

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.made = []
  states = []
  messages = []
  vi.stubGlobal('WebSocket', FakeSocket)
  line = new DeskSocket('tab-1', { message: (one) => messages.push(one), state: (state, why) => states.push([state, why]) }, 'ws://mock/ws/v1/desk')
  line.open()
})
afterEach(() => {
  line.close()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

describe('the desk socket', () => {
  it('speaks murima.v1, names its tab, and is open only after hello', () => {
    expect(FakeSocket.last.protocols).toEqual(['murima.v1'])
    expect(FakeSocket.last.url).toContain('tab=tab-1')
    expect(states.at(-1)?.[0]).toBe('connecting')
    FakeSocket.last.say('hello', HELLO)
    expect(states.at(-1)?.[0]).toBe('open')
  })

  it('asks to go on where it was after a loss', async () => {
    FakeSocket.last.say('hello', HELLO)
    FakeSocket.last.say('snapshot', {}, 41)
    FakeSocket.last.say('queue.state', {}, 42)
    FakeSocket.last.onclose?.({ code: 1012 })
    expect(states.at(-1)).toEqual(['connecting', 'lost'])
    await vi.advanceTimersByTimeAsync(1_500)
    expect(FakeSocket.made.length).toBe(2)
    expect(FakeSocket.last.url).toContain('epoch=3&seq=42')
  })

  it('resolves an ask by its own ack and rejects it by its own error', async () => {
    FakeSocket.last.say('hello', HELLO)
    const good = line.ask('call.hold', { call: 'c' })
    const bad = line.ask('call.unhold', { call: 'c' })
    const [first, second] = FakeSocket.last.sent.filter((one) => one.type.startsWith('call.'))
    FakeSocket.last.say('error', { status: 409, title: 'no', code: 'not_held' }, 1, second?.id)
    FakeSocket.last.say('ack', { code: 'ok' }, 1, first?.id)
    await expect(good).resolves.toEqual({ code: 'ok' })
    await expect(bad).rejects.toMatchObject({ code: 'not_held' })
  })

  it('fails an ask that nobody answers, and all open ones when the line is lost', async () => {
    FakeSocket.last.say('hello', HELLO)
    const late = line.ask('call.hold', { call: 'c' }).catch((error: { code: string }) => error.code)
    await vi.advanceTimersByTimeAsync(4_001)
    expect(await late).toBe('no_answer')
    const cut = line.ask('call.hold', { call: 'c' }).catch((error: { code: string }) => error.code)
    FakeSocket.last.onclose?.({ code: 1006 })
    expect(await cut).toBe('not_connected')
    await expect(line.ask('call.hold', { call: 'c' })).rejects.toMatchObject({ code: 'not_connected' })
  })

  it('does not come back by itself when signed out or replaced', async () => {
    FakeSocket.last.onclose?.({ code: 4401 })
    expect(states.at(-1)).toEqual(['closed', 'signed_out'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(FakeSocket.made.length).toBe(1)
    line.open()
    expect(FakeSocket.made.length).toBe(2)
  })

  it('survives a frame that is no JSON', () => {
    FakeSocket.last.onmessage?.({ data: '{{{' })
    FakeSocket.last.say('hello', HELLO)
    expect(states.at(-1)?.[0]).toBe('open')
  })

  it('backs off with jitter between a quarter second and 15.25 s', () => {
    expect(backoff(0, 0)).toBe(250)
    expect(backoff(0, 1)).toBe(750)
    expect(backoff(20, 1)).toBe(15_250)
  })
})
