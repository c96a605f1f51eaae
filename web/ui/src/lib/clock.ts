/**
 * The server's time, as well as this page knows it. A computer's clock may be minutes wrong and a timer in a
 * hidden tab may sleep, so every timer on the screen is "server instant minus server now", computed anew at
 * each tick. Of all samples the one with the shortest round trip is believed, until it is old.
 */
import { computed, onScopeDispose, ref, type ComputedRef, type Ref } from 'vue'

const KEEP_MS = 10 * 60_000
let offset = 0
let best = Number.POSITIVE_INFINITY
let bestAt = 0

/** Takes a sample: the server said `serverTime` while `roundTrip` ms passed on this side. */
export function learnServerTime(serverTime: string, roundTrip: number, localNow = Date.now()): void {
  const told = Date.parse(serverTime)
  if (Number.isNaN(told)) return
  if (roundTrip > best && localNow - bestAt < KEEP_MS) return
  best = roundTrip
  bestAt = localNow
  offset = told + roundTrip / 2 - localNow
}

/** Milliseconds since the Unix epoch by the server's clock. */
export function serverNow(localNow = Date.now()): number {
  return localNow + offset
}

export function forgetServerTime(): void {
  offset = 0
  best = Number.POSITIVE_INFINITY
}

const now: Ref<number> = ref(serverNow())
let watchers = 0
let timer: ReturnType<typeof setInterval> | undefined

/** A ref of `serverNow()`, ticking four times a second while anybody looks at it. */
export function useNow(): Ref<number> {
  now.value = serverNow()
  if (watchers++ === 0) timer = setInterval(() => (now.value = serverNow()), 250)
  onScopeDispose(() => {
    if (--watchers === 0) clearInterval(timer)
  })
  return now
}

/** Seconds since an instant (never negative), or null without one. */
export function useSecondsSince(instant: () => string | null | undefined): ComputedRef<number | null> {
  const tick = useNow()
  return computed(() => {
    const from = instant()
    return from ? Math.max(0, (tick.value - Date.parse(from)) / 1000) : null
  })
}

/** Seconds until an instant (never negative), or null without one. */
export function useSecondsUntil(instant: () => string | null | undefined): ComputedRef<number | null> {
  const tick = useNow()
  return computed(() => {
    const to = instant()
    return to ? Math.max(0, (Date.parse(to) - tick.value) / 1000) : null
  })
}
