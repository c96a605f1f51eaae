/**
 * Who is signed in. When the server says that the cookie is no longer good, the page stays as it is and only
 * `expired` is set: a dialog asks for the password over whatever was being typed.
 */
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { ApiError, onUnauthorized } from '@/api/http'
import * as rest from '@/api/rest'
import { showTimesIn } from '@/lib/format'
import type { MeAnswer } from '@/api/shapes'

export const useSession = defineStore('session', () => {
  const me = ref<MeAnswer | null>(null)
  const known = ref(false)
  const expired = ref(false)
  const signedIn = computed(() => me.value !== null)

  watch(me, (who) => showTimesIn(who?.tenant?.time_zone))
  onUnauthorized(() => {
    if (me.value) expired.value = true
  })

  /** Asks once who we are; a network failure is thrown, "nobody" is not. */
  async function load(): Promise<void> {
    if (known.value) return
    try {
      me.value = await rest.me()
    } catch (error) {
      if (!(error instanceof ApiError) || ![401, 403].includes(error.status)) throw error
    }
    known.value = true
  }

  async function signIn(email: string, password: string): Promise<rest.SignedIn> {
    const outcome = await rest.signIn(email, password)
    if (outcome.mfaRequired) return outcome
    const found = await rest.me()
    if (me.value && me.value.user.id !== found.user.id) location.reload() // another person: start from a clean page
    me.value = found
    known.value = true
    expired.value = false
    return outcome
  }

  async function signOut(): Promise<void> {
    await rest.signOut().catch(() => undefined)
    me.value = null
    expired.value = false
    rest.forget()
  }

  function can(permission: string): boolean {
    return permission in (me.value?.permissions ?? {})
  }

  return { me, known, expired, signedIn, load, signIn, signOut, can }
})
