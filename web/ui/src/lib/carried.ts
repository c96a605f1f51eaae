/**
 * What a link brought behind its `#`: the token of an invitation or a reset, or the note of a sign-in that came
 * back from an identity provider. It is a secret, so it is taken out of the address bar before anything else
 * runs (`watchLinks`, before the router) and lives in memory only: no history, no log, no Referer holds it.
 */
import { ref } from 'vue'
import type { Method, MfaNote } from '@/api/entrance'

const PAGES = new Set(['/invitation', '/password-reset'])
const METHODS: readonly string[] = ['totp', 'passkey', 'recovery_code'] satisfies Method[]

export const carriedToken = ref<{ page: string; token: string } | null>(null)
export const carriedNote = ref<MfaNote | null>(null)

/** Takes what the address carries, and leaves the address without it. */
export function takeFromAddress(): void {
  const text = location.hash.slice(1)
  const page = location.pathname.replace(/\/+$/, '')
  const isLink = PAGES.has(page)
  if (!text || !(isLink || text.startsWith('mfa='))) return
  history.replaceState(history.state, '', location.pathname + location.search)
  if (isLink) carriedToken.value = { page, token: decoded(text) }
  else carriedNote.value = noteIn(text)
}

/** Now, and whenever a link is pasted into the address bar of the open page. Call it before the router is made. */
export function watchLinks(): () => void {
  takeFromAddress()
  addEventListener('popstate', takeFromAddress)
  return () => removeEventListener('popstate', takeFromAddress)
}

/** The token that was brought for this page; it stays until `dropToken`, for a second try. */
export function tokenFor(page: string): string {
  return carriedToken.value?.page === page ? carriedToken.value.token : ''
}

export function dropToken(): void {
  carriedToken.value = null
}

export function takeNote(): MfaNote | null {
  const note = carriedNote.value
  carriedNote.value = null
  return note
}

function noteIn(text: string): MfaNote | null {
  const values = new URLSearchParams(text)
  const state = values.get('mfa') ?? ''
  const methods = (values.get('methods') ?? '').split(',').filter((one) => METHODS.includes(one))
  return state && methods.length ? { state, methods: methods as Method[] } : null
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
