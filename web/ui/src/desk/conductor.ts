/**
 * Joins the two lines of a desk: offers come by the socket, ringing legs by SIP, and they meet by the offer's id
 * (the leg's From user). Either may come first. A leg without an offer is a call of the survivable fallback and
 * gets a plain card. A `returning` offer gives a caller back to the agent who lost them: it is answered by itself.
 */
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { ApiError } from '@/api/http'
import { useDesk } from '@/stores/desk'
import { usePhone } from '@/stores/phone'
import { useShift } from '@/stores/shift'

export interface RingCard {
  id: string
  call: string | null
  queue: string | null
  attempt: number
  madeAt: string | null
  deadline: string | null
  arrivedAt: string | null
  returning: boolean
  number: string | null
  name: string | null
}

const LEG_PATIENCE_MS = 3_000
const RETURNING_PATIENCE_MS = 15_000 // after a reload the phone has to register first
const ORPHAN_MS = 1_500

export const useConductor = defineStore('conductor', () => {
  const desk = useDesk()
  const phone = usePhone()
  const shift = useShift()
  const accepting = ref<string | null>(null)
  const trouble = ref<'no_leg' | 'no_microphone' | null>(null)
  const plain = ref<RingCard | null>(null)
  const localMute = ref(false)
  let patience: ReturnType<typeof setTimeout> | undefined
  let orphan: ReturnType<typeof setTimeout> | undefined

  const card = computed<RingCard | null>(() => {
    const offer = desk.offer
    if (!offer || phone.active === offer.id) return plain.value
    const known = desk.pop?.offer === offer.id ? desk.pop : null
    const party = known?.party ?? offer.party
    return {
      id: offer.id,
      call: offer.call,
      queue: offer.queue.name,
      attempt: offer.attempt,
      madeAt: offer.made_at,
      deadline: offer.deadline,
      arrivedAt: offer.arrived_at,
      returning: offer.returning,
      number: party?.number ?? null,
      name: known?.contact?.name ?? party?.name ?? null,
    }
  })

  /** The leg of this tab that carries the desk's call, if it is here and not in another tab. */
  const leg = computed(() => phone.active)
  const hasSound = computed(() => phone.active !== null)

  function accept(): void {
    const ring = card.value
    if (!ring || accepting.value || shift.role !== 'media') return
    trouble.value = null
    accepting.value = ring.id
    phone.ringer.stop()
    clearTimeout(patience)
    patience = setTimeout(() => gaveUp(ring.id), ring.returning ? RETURNING_PATIENCE_MS : LEG_PATIENCE_MS)
    void answerIfHere()
  }

  async function answerIfHere(): Promise<void> {
    const id = accepting.value
    if (!id || phone.ringing?.key !== id) return
    clearTimeout(patience)
    if (!(await phone.answer(id)) && phone.microphone === 'failed') failed('no_microphone')
  }

  function gaveUp(id: string): void {
    if (accepting.value === id && phone.active !== id && phone.answering !== id) failed('no_leg')
  }

  function failed(why: 'no_leg' | 'no_microphone'): void {
    accepting.value = null
    trouble.value = why
    if (card.value) ring()
  }

  async function decline(): Promise<void> {
    const ring = card.value
    if (!ring) return
    phone.ringer.stop()
    if (desk.offer && desk.line === 'open') await desk.ask('offer.decline', { offer: ring.id, reason: '' })
    else phone.decline(ring.id)
  }

  /** A wilful end is the phone's own BYE; from a tab without the sound, the server is asked. */
  async function hangUp(): Promise<void> {
    if (phone.active && phone.hangUp(phone.active)) return
    if (desk.call) await desk.ask('call.hangup', { call: desk.call.id })
  }

  /** Silence is immediate on this side; the state shown is the server's. */
  async function setMuted(muted: boolean): Promise<void> {
    const key = phone.active
    if (key && muted) phone.setMuted(key, true)
    if (!desk.call || desk.line !== 'open') {
      if (key) phone.setMuted(key, muted)
      localMute.value = muted
      return
    }
    try {
      await desk.ask('call.mute', { call: desk.call.id, muted })
    } catch (error) {
      if (key) phone.setMuted(key, desk.call?.muted ?? false)
      throw error
    }
  }
  const muted = computed(() => (desk.call ? desk.call.muted || localMute.value : localMute.value))

  async function digits(keys: string): Promise<void> {
    if (desk.call && desk.line === 'open') {
      try {
        await desk.ask('call.dtmf', { call: desk.call.id, digits: keys })
        return
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 0) throw error
      }
    }
    if (phone.active) phone.digits(phone.active, keys)
  }

  function ring(): void {
    if (shift.role === 'media') phone.ringer.start(phone.choice.ringVolume)
  }

  watch([() => card.value?.id ?? null, () => shift.role], ([id]) => {
      trouble.value = null
      if (!id) {
        phone.ringer.stop()
        if (!phone.answering) accepting.value = null
        return
      }
      if (card.value?.returning && shift.role === 'media') accept()
      else if (!phone.active && !accepting.value) ring()
    })
  watch(
    () => phone.answering,
    (key) => {
      if (!key && !phone.active) accepting.value = null
    },
  )
  watch(
    () => phone.ringing?.key ?? null,
    (key) => {
      clearTimeout(orphan)
      if (key && accepting.value === key) return void answerIfHere()
      if (key && desk.offer?.id !== key) orphan = setTimeout(() => adopt(key), ORPHAN_MS)
      if (!key) plain.value = null
    },
  )
  watch(
    () => phone.active,
    (key) => {
      phone.ringer.stop()
      localMute.value = false
      if (key) accepting.value = null
      if (key) plain.value = null
    },
  )
  watch(
    () => desk.call?.muted,
    (now) => {
      if (phone.active && now !== undefined) phone.setMuted(phone.active, now)
      localMute.value = false
    },
  )

  function adopt(key: string): void {
    const incoming = phone.ringing
    if (incoming?.key !== key || desk.offer?.id === key) return
    plain.value = {
      id: key, call: null, queue: null, attempt: 1, madeAt: null, deadline: null, arrivedAt: null, returning: false,
      number: incoming.number, name: incoming.name || null,
    }
  }

  return { card, leg, hasSound, accepting, trouble, muted, accept, decline, hangUp, setMuted, digits }
})
