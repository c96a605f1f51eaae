/**
 * Who is signed in. When the server says that the cookie is no longer good, the page stays as it is and only
 * `expired` is set: a dialog asks for the password over whatever was being typed. `enrolling`: the server lets
 * this session do nothing but set up a second factor. `note`: the password was shown already, and the dialog goes
 * on with the second factor.
 */
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { ApiError, onUnauthorized } from '@/api/http'
import * as entrance from '@/api/entrance'
import * as rest from '@/api/rest'
import { showTimesIn } from '@/lib/format'
import type { MeAnswer } from '@/api/shapes'
import { usePrefs } from './prefs'

function nobody(error: unknown): null {
  if (error instanceof ApiError && [401, 403].includes(error.status)) return null
  throw error
}

export const useSession = defineStore('session', () => {
  const me = ref<MeAnswer | null>(null)
  const known = ref(false)
  const expired = ref(false)
  const enrolling = ref(false)
  const note = ref<entrance.MfaNote | null>(null)
  let renewing: Promise<unknown> | null = null
  const signedIn = computed(() => me.value !== null)

  watch(me, (who) => showTimesIn(who?.tenant?.time_zone))
  onUnauthorized(() => {
    if (me.value && !renewing) expired.value = true
  })

  /** Asks once who we are; a network failure is thrown, "nobody" is not. */
  async function load(): Promise<void> {
    if (known.value) return
    // Not knowing whether it is half open keeps nobody out: the server refuses by itself what must not be.
    const [who, half] = await Promise.all([rest.me().catch(nobody), entrance.mustEnrol().catch(() => false)])
    me.value = who
    enrolling.value = half
    known.value = true
    if (who) usePrefs().adopt(who.user.language)
  }

  async function signIn(email: string, password: string): Promise<entrance.SignedIn> {
    return entered(await entrance.signIn(email, password))
  }

  async function secondStep(state: string, proof: entrance.Proof): Promise<entrance.SignedIn> {
    return entered(await entrance.secondStep(state, proof))
  }

  async function signInByPasskey(ceremony: string, credential: Record<string, unknown>): Promise<entrance.SignedIn> {
    return entered(await entrance.signInByPasskey(ceremony, credential))
  }

  async function entered(outcome: entrance.SignedIn): Promise<entrance.SignedIn> {
    enrolling.value = outcome.next === 'enrol'
    if (outcome.next !== 'in') return outcome
    const found = await rest.me()
    if (me.value && me.value.user.id !== found.user.id) location.reload() // another person: start from a clean page
    me.value = found
    known.value = true
    expired.value = false
    note.value = null
    usePrefs().adopt(found.user.language)
    return outcome
  }

  /**
   * For an act after which the server knows this sign-in no more, and the sign-in anew with what that act set.
   * Meanwhile nobody is asked to sign in. What is still missing, the dialog asks for.
   */
  async function renew(act: () => Promise<unknown>, email: string, password: string): Promise<void> {
    const both = act().then(() => signIn(email, password).catch(() => null))
    renewing = both
    try {
      const outcome = await both
      if (outcome?.next === 'second_factor') note.value = outcome.note
      if (outcome?.next !== 'in') expired.value = true
    } finally {
      renewing = null
    }
  }

  /** Asks the server whether this sign-in is still good, once what may change it is over; says so by `expired`. */
  async function stillIn(): Promise<boolean> {
    await renewing?.catch(() => undefined)
    return rest.me().then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof ApiError) || error.status !== 401) expired.value = me.value !== null
        return false
      },
    )
  }

  /** A second factor is set up now: who we are is asked anew. */
  async function enrolled(): Promise<void> {
    enrolling.value = known.value = false
    await load()
    if (me.value) expired.value = false
  }

  /** Nobody is signed in here any more, the server said so or ended it itself. */
  function left(): void {
    me.value = null
    note.value = null
    expired.value = enrolling.value = false
    rest.forget()
  }

  async function signOut(): Promise<void> {
    await rest.signOut().catch(() => undefined)
    left()
  }

  function can(permission: string): boolean {
    return permission in (me.value?.permissions ?? {})
  }

  return { me, known, expired, enrolling, note, signedIn, load, signIn, secondStep, signInByPasskey, renew, stillIn, enrolled, left, signOut, can }
})
