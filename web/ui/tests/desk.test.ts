/** The desk's picture of the world: only what the server said, in whatever order it said it. */
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { AgentState, CallState, DeskServerMessages, Offer } from '../src/api/shapes'
import { useDesk } from '../src/stores/desk'

const NOW = '2026-11-22T10:00:00.000Z'
const agent = (change: Partial<AgentState> = {}): AgentState => ({
  id: 'u1', effective: 'ready', since: NOW, intent: 'ready', reason: '', next: null, missing: [], set_aside: false,
  shift: { endpoint: 'd1' }, wrap_up: null, ...change,
})
const call = (change: Partial<CallState> = {}): CallState => ({
  id: 'c1', state: 'talking', since: NOW, queue: null, arrived_at: NOW, connected_at: NOW, muted: false,
  kept_until: null, leg: 'c1.2', party: null, contact: null, ...change,
})
const offer: Offer = {
  id: 'c1.2', call: 'c1', queue: { id: 'q', name: 'Q' }, attempt: 1, made_at: NOW, deadline: NOW, arrived_at: NOW, returning: false, party: null,
}
const wrap = { call: 'c1', queue: { id: 'q', name: 'Q' }, started_at: NOW, deadline: NOW, extensions_left: 1 }

function tell<T extends keyof DeskServerMessages>(type: T, data: DeskServerMessages[T]): void {
  useDesk().apply({ v: 1, type, epoch: 1, seq: 1, ts: NOW, data } as never)
}

beforeEach(() => {
  vi.useFakeTimers()
  setActivePinia(createPinia())
})

describe('the desk', () => {
  it('takes a snapshot whole', () => {
    tell('snapshot', { agent: agent(), offer, call: null, queues: [], live: 'live' })
    expect(useDesk().offer?.id).toBe('c1.2')
    tell('snapshot', { agent: agent(), offer: null, call: call(), queues: [], live: 'stale' })
    expect([useDesk().offer, useDesk().call?.id, useDesk().live]).toEqual([null, 'c1', 'stale'])
  })

  it('keeps the ended call through its wrap-up, whichever word comes first', () => {
    const desk = useDesk()
    tell('call.state', call())
    tell('call.state', call({ state: 'ended' }))
    expect(desk.focusCall).toBe('c1')
    tell('agent.state', agent({ effective: 'wrap_up', wrap_up: wrap }))
    vi.advanceTimersByTime(5_000)
    expect(desk.focusCall).toBe('c1')
    tell('agent.state', agent())
    expect(desk.focusCall).toBeNull()
  })

  it('does not bring a call back that is written up, whatever is said of it afterwards', () => {
    const desk = useDesk()
    tell('call.state', call())
    tell('call.state', call({ state: 'ended' }))
    tell('agent.state', agent({ effective: 'wrap_up', wrap_up: wrap }))
    tell('agent.state', agent())
    expect(desk.focusCall).toBeNull()
    tell('call.state', call({ state: 'ended' }))
    expect(desk.focusCall).toBeNull()
  })

  it('lets an ended call go when no wrap-up comes', () => {
    const desk = useDesk()
    tell('call.state', call())
    tell('call.state', call({ state: 'ended' }))
    vi.advanceTimersByTime(2_000)
    expect(desk.focusCall).toBeNull()
  })

  it('lets a call go that waits again or was given away', () => {
    tell('call.state', call())
    tell('call.state', call({ state: 'kept', kept_until: NOW }))
    expect(useDesk().call?.state).toBe('kept')
    tell('call.state', call({ state: 'waiting' }))
    expect(useDesk().call).toBeNull()
  })

  it('withdraws only the offer that was named', () => {
    tell('offer.created', offer)
    tell('offer.withdrawn', { id: 'other', outcome: 'missed' })
    expect(useDesk().offer?.id).toBe('c1.2')
    tell('offer.withdrawn', { id: 'c1.2', outcome: 'missed' })
    expect(useDesk().offer).toBeNull()
  })

  it('is not live while the telephone system is silent', () => {
    tell('notice', { code: 'stale', level: 'warning', detail: '' })
    expect(useDesk().live).toBe('stale')
    tell('notice', { code: 'live', level: 'info', detail: '' })
    expect(useDesk().live).toBe('live')
  })

  it('skips a message that it does not know', () => {
    tell('snapshot', { agent: agent(), offer: null, call: null, queues: [], live: 'live' })
    useDesk().apply({ v: 1, type: 'something.new', epoch: 1, seq: 9, ts: NOW, data: {} } as never)
    expect(useDesk().agent?.id).toBe('u1')
  })
})
