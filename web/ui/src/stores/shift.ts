/**
 * Going on shift, and what stands between an agent and Ready. `blockers` are codes with a sentence each in the
 * language files; Ready is refused while there is one, because a "ready" agent who cannot be reached is a caller
 * who waits for nobody.
 */
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import type { Intent } from '@/api/shapes'
import { MediaTab } from '@/desk/mediaTab'
import { useDesk } from './desk'
import { usePhone } from './phone'

export type Blocker =
  'connection' | 'telephony' | 'tab' | 'shift' | 'microphone' | 'ringer' | 'speaker' | 'phone' | 'desktop'

export const useShift = defineStore('shift', () => {
  const desk = useDesk()
  const phone = usePhone()
  const media = new MediaTab(`murima.phone.${location.host}`)
  const role = media.role
  const starting = ref(false)
  const gateOpen = ref(false)

  const onShift = computed(() => Boolean(desk.agent?.shift))
  const blockers = computed<Blocker[]>(() => {
    const found: Blocker[] = []
    if (desk.line !== 'open') found.push('connection')
    else if (desk.live !== 'live') found.push('telephony')
    if (role.value !== 'media') found.push('tab')
    if (!onShift.value) found.push('shift')
    if (phone.microphone !== 'ok') found.push('microphone')
    if (phone.speaker === 'failed') found.push('speaker')
    if (phone.ringerCheck !== 'ok') found.push('ringer')
    if (phone.registration !== 'registered') found.push('phone')
    for (const code of desk.agent?.missing ?? []) if (!found.includes(code)) found.push(code)
    return found
  })

  /** The one click of the gate: sound first (it needs the click), then the shift and the registration. */
  async function start(): Promise<void> {
    starting.value = true
    try {
      await phone.checkSound()
      askForNotifications()
      if (phone.microphone === 'ok') await register()
    } finally {
      starting.value = false
    }
  }

  async function register(): Promise<void> {
    const { sip } = await desk.ask('shift.start', {})
    await phone.register(sip)
  }

  async function end(): Promise<void> {
    await desk.ask('shift.end', {})
    phone.unregister()
  }

  async function setStatus(intent: Intent, reason = ''): Promise<void> {
    await desk.ask('status.set', { intent, reason })
  }

  async function claim(): Promise<void> {
    await desk.ask('media.claim', { tab: desk.tab })
  }

  /** After a reload or a take-over: the shift goes on, so the phone comes back without a click where it may. */
  async function resume(): Promise<void> {
    if (starting.value || phone.registration !== 'off' || !desk.agent?.shift) return
    starting.value = true
    try {
      if (await phone.microphoneAllowed()) {
        await phone.checkSound()
        await register()
      } else {
        gateOpen.value = true
      }
    } finally {
      starting.value = false
    }
  }

  function takeOver(): void {
    media.takeOver()
  }

  watch(
    () => [role.value, desk.line, desk.agent?.shift?.endpoint ?? ''] as const,
    ([now, line]) => {
      if (now === 'mirror' || now === 'elsewhere') phone.unregister()
      if (now === 'media' && line === 'open') void claim().then(resume).catch(() => undefined)
    },
  )
  watch(
    () => desk.elsewhere,
    () => media.yieldElsewhere(),
  )

  return {
    role, starting, gateOpen, onShift, blockers,
    start, end, setStatus, takeOver,
    enter: () => media.enter(),
    leave: () => media.leave(),
  }
})

function askForNotifications(): void {
  if (typeof Notification !== 'undefined' && Notification.permission === 'default') void Notification.requestPermission()
}
