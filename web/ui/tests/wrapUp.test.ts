/** A wrap-up on a page that was just opened: the agent may be done before the outcomes have been read. */
import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, describe, expect, it, vi } from 'vitest'

const rest = vi.hoisted(() => ({ dispositions: vi.fn(), notReadyReasons: vi.fn(), readDraft: vi.fn(), writeDraft: vi.fn() }))
vi.mock('@/api/rest', () => ({ ...rest, DraftConflict: class extends Error {} }))

const NOW = '2026-11-22T10:00:00.000Z'
const OUTCOMES = [
  { code: 'helped', name: 'Helped', category: 'Done', requires_note: false },
  { code: 'referred', name: 'Referred', category: 'Done', requires_note: true },
]
const WRAP = { call: 'c1', queue: null, started_at: NOW, deadline: NOW, extensions_left: 1 }

let panel: VueWrapper
let reading: Promise<void>
let arrive: (outcomes: typeof OUTCOMES) => void
let refuse: (why: Error) => void
const asked: unknown[] = []
afterEach(() => panel.unmount())

/** The panel in its wrap-up; each page reads the outcomes anew, so the modules are new as well. */
async function open(): Promise<void> {
  vi.resetModules()
  localStorage.clear()
  asked.length = 0
  setActivePinia(createPinia())
  rest.notReadyReasons.mockResolvedValue([])
  rest.dispositions.mockReturnValue(new Promise((resolve, reject) => ([arrive, refuse] = [resolve, reject])))
  rest.readDraft.mockResolvedValue({ note: '', disposition: null, revision: 0 })
  rest.writeDraft.mockImplementation((_: string, draft: object) => Promise.resolve({ ...draft, revision: 1 }))
  const { i18n } = await import('@/i18n')
  const { useDesk } = await import('@/stores/desk')
  const { default: WrapUpPanel } = await import('@/components/desk/WrapUpPanel.vue')
  const desk = useDesk()
  desk.ask = ((type: string, data: object) => Promise.resolve(void asked.push([type, data]))) as never
  desk.apply({ v: 1, type: 'agent.state', epoch: 1, seq: 1, ts: NOW, data: { wrap_up: WRAP } } as never)
  reading = (await import('@/components/desk/reference')).loadReference()
  panel = mount(WrapUpPanel, { global: { plugins: [i18n] }, attachTo: document.body })
  await flushPromises()
}
const at = (name: string) => panel.find(`[data-test=${name}]`)
const finished = (disposition: string) => [['wrapup.finish', { call: 'c1', disposition, note: '' }]]

describe('a wrap-up before its outcomes are there', () => {
  it('keeps the digit and the end until they are', async () => {
    await open()
    expect(panel.text()).toContain('being read')
    await at('disposition-search').trigger('keydown', { key: '1' })
    await at('finish').trigger('click')
    await flushPromises()
    expect([asked, panel.text().includes('Choose an outcome first')]).toEqual([[], false])
    arrive(OUTCOMES)
    await flushPromises()
    expect(asked).toEqual(finished('helped'))
  })

  it('takes the last of two digits', async () => {
    await open()
    await at('disposition-search').trigger('keydown', { key: '2' })
    await at('disposition-search').trigger('keydown', { key: '1' })
    arrive(OUTCOMES)
    await flushPromises()
    await at('finish').trigger('click')
    await flushPromises()
    expect(asked).toEqual(finished('helped'))
  })

  it('forgets the digit of somebody who goes on to search', async () => {
    await open()
    await at('disposition-search').trigger('keydown', { key: '1' })
    await at('disposition-search').setValue('ref')
    arrive(OUTCOMES)
    await flushPromises()
    expect(panel.findAll('input[type=radio]').map((one) => (one.element as HTMLInputElement).checked)).toEqual([false])
  })

  it('files nothing for another call whose wrap-up began meanwhile', async () => {
    await open()
    await at('disposition-search').trigger('keydown', { key: '1' })
    await at('finish').trigger('click')
    const { useDesk } = await import('@/stores/desk')
    useDesk().apply({ v: 1, type: 'agent.state', epoch: 1, seq: 2, ts: NOW, data: { wrap_up: { ...WRAP, call: 'c2' } } } as never)
    arrive(OUTCOMES)
    await flushPromises()
    expect([asked, panel.findAll('input:checked').length]).toEqual([[], 0])
  })

  it('asks for the note that a late outcome needs', async () => {
    await open()
    await at('disposition-search').trigger('keydown', { key: '2' })
    await at('finish').trigger('click')
    arrive(OUTCOMES)
    await flushPromises()
    expect([asked, panel.text().includes('needs a note')]).toEqual([[], true])
  })

  it('says that they could not be read, and takes the digit when they could', async () => {
    await open()
    await at('disposition-search').trigger('keydown', { key: '1' })
    refuse(new Error('away'))
    await reading
    await flushPromises()
    expect(panel.text()).toContain('could not be read')
    rest.dispositions.mockResolvedValue(OUTCOMES)
    await at('finish').trigger('click')
    await flushPromises()
    expect(asked).toEqual(finished('helped'))
  })
})
