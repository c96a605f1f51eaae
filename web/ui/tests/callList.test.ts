/** The list of calls: what it shows is looked at again until it is over, and not longer. */
import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import CallList from '@/components/CallList.vue'
import { i18n } from '@/i18n'
import { useDesk } from '@/stores/desk'

const NOW = '2026-11-22T10:00:00.000Z'
const row = (ended: boolean) => ({
  id: 'c1', direction: 'inbound', status: ended ? 'completed' : 'ringing', caller_number: '+254110558100', caller_name: null,
  contact: null, queue: null, started_at: NOW, answered_at: null, ended_at: ended ? NOW : null, talk_seconds: 0,
  outcome: ended ? 'abandoned' : null, disposition: null,
})
let over: boolean[] = []
let reads = 0

beforeEach(() => {
  vi.useFakeTimers()
  setActivePinia(createPinia())
  reads = 0
  vi.stubGlobal('fetch', () => {
    const body = { data: [row(over[Math.min(reads++, over.length - 1)] ?? true)], next_cursor: null, has_more: false }
    return Promise.resolve(new Response(JSON.stringify(body), { status: 200 }))
  })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function list() {
  const wrapper = mount(CallList, { global: { plugins: [i18n], stubs: { RouterLink: { template: '<a><slot /></a>' } } } })
  await flushPromises()
  return wrapper
}
async function later(milliseconds: number) {
  await vi.advanceTimersByTimeAsync(milliseconds)
  await flushPromises()
}

it('looks again at a call that is not over, until it is or nobody looks', async () => {
  over = [false, false, true]
  const wrapper = await list()
  expect([reads, wrapper.text().includes('Ringing')]).toEqual([1, true])
  await later(10_000)
  await later(10_000)
  expect([reads, wrapper.text().includes('Ringing')]).toEqual([3, false])
  await later(60_000)
  expect(reads).toBe(3)

  over = [false]
  const left = await list()
  left.unmount()
  const before = reads
  await later(60_000)
  expect(reads).toBe(before)
})

it('looks again when an offer of this desk is gone', async () => {
  over = [true]
  await list()
  const offer = {
    id: 'c1.2', call: 'c1', queue: { id: 'q', name: 'Q' }, attempt: 1, made_at: NOW, deadline: NOW, arrived_at: NOW, returning: false, party: null,
  }
  const tell = (type: string, data: object) => useDesk().apply({ v: 1, type, epoch: 1, seq: 1, ts: NOW, data } as never)
  tell('offer.created', offer)
  await later(5_000)
  expect(reads).toBe(1)
  tell('offer.withdrawn', { id: 'c1.2', outcome: 'missed' })
  await later(1_000)
  expect(reads).toBe(2)
})
