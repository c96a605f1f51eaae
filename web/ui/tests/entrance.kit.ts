/** Mounts a page of the way in, or of one's account, with the real router, stores and words; only the network is written down here. */
import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { vi } from 'vitest'
import type { Router } from 'vue-router'
import App from '@/App.vue'
import { i18n } from '@/i18n'
import { carriedNote, carriedToken, watchLinks } from '@/lib/carried'
import { makeRouter } from '@/router'

// What lies behind the door is not of this test, and takes seconds to read.
const inside = vi.hoisted(() => async () => {
  const { h } = await import('vue')
  return { default: { render: () => h('p', { 'data-test': 'inside' }) } }
})
vi.setConfig({ testTimeout: 20_000 })
vi.mock('@/views/ShellView.vue', async () => {
  const { h } = await import('vue')
  const { RouterView } = await import('vue-router')
  return { default: { render: () => h(RouterView) } }
})
vi.mock('@/views/DeskView.vue', () => inside())
vi.mock('@/views/CallsView.vue', () => inside())

export interface Asked {
  method: string
  path: string
  body: Record<string, unknown> | undefined
}
export type Answer = [number, unknown, Record<string, string>?]
export type Reply = Answer | ((asked: Asked) => Answer)

export const problem = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Answer => [
  status,
  { type: 'about:blank', title: code, status, code, ...more },
  headers,
]
export const NOTE = { state: 'note-1', methods: ['totp', 'recovery_code'] }
export const ANSWER = { user: null, csrf_token: 'c', mfa_required: false, mfa: null, mfa_enrolment_required: false }
export const ASKS_FACTOR: [number, unknown] = [200, { ...ANSWER, mfa_required: true, mfa: NOTE }]
export const SIGNED_IN: [number, unknown] = [200, ANSWER]
export const HALF_IN: [number, unknown] = [200, { ...ANSWER, mfa_enrolment_required: true }]
const NOBODY = problem(401, 'not_authenticated')
export const ME: [number, unknown] = [
  200,
  { user: { id: 'u1', email: 'amina@amani.example', name: 'Amina', language: 'en' }, tenant: { time_zone: 'UTC' }, permissions: {} },
]

let stopWatching: () => void = () => undefined

export class Page {
  readonly asked: Asked[] = []
  wrapper!: VueWrapper
  router!: Router

  private constructor(readonly replies: Record<string, Reply>) {}

  /** Opens `address`; `replies` by "METHOD /path under /api/v1/auth". Who is signed in is nobody unless said. */
  static async open(address: string, replies: Record<string, Reply> = {}): Promise<Page> {
    const page = new Page({ 'GET /me/': NOBODY, 'GET /session/': SIGNED_IN, 'GET /oidc/': [200, { data: [] }], ...replies })
    carriedToken.value = carriedNote.value = null
    setActivePinia(createPinia())
    vi.stubGlobal('fetch', (path: string, init: RequestInit) => Promise.resolve(page.answer(path, init)))
    history.replaceState(null, '', address)
    stopWatching()
    stopWatching = watchLinks()
    page.router = makeRouter()
    page.wrapper = mount(App, { global: { plugins: [i18n, page.router] }, attachTo: document.body })
    await page.settle()
    return page
  }

  private answer(path: string, init: RequestInit): Response {
    const short = path.replace('/api/v1/auth', '')
    const body = init.body ? (JSON.parse(init.body as string) as Record<string, unknown>) : undefined
    const asked = { method: init.method ?? 'GET', path: short, body }
    this.asked.push(asked)
    const reply = this.replies[`${asked.method} ${short}`] ?? problem(404, 'not_found')
    const [status, said, headers] = typeof reply === 'function' ? reply(asked) : reply
    return new Response(status === 204 || said === null ? null : JSON.stringify(said), { status, headers })
  }

  async settle(): Promise<void> {
    for (let n = 0; n < 3; n += 1) {
      await vi.dynamicImportSettled()
      await flushPromises()
    }
  }

  at = (name: string) => this.wrapper.find(`[data-test="${name}"]`)
  focused = () => document.activeElement?.id
  text = () => this.wrapper.text()
  path = () => this.router.currentRoute.value.fullPath
  said = (path: string) => this.asked.filter((one) => one.path === path && one.method === 'POST').map((one) => one.body)

  async type(id: string, value: string): Promise<void> {
    await this.wrapper.find(`#${id}`).setValue(value)
  }

  async press(name: string): Promise<void> {
    await this.at(name).trigger('click')
    await this.settle()
  }

  async submit(): Promise<void> {
    await this.wrapper.find('form').trigger('submit')
    await this.settle()
  }

  async signIn(): Promise<void> {
    await this.type('email', 'amina@amani.example')
    await this.type('password', 'a long password')
    await this.submit()
  }

  close(): void {
    this.wrapper.unmount()
    document.body.innerHTML = ''
    vi.unstubAllGlobals()
  }
}
