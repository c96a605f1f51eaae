/**
 * This tab's telephone: registration, the leg that rings, the leg that is up, and the sound devices. It knows
 * nothing of offers and queues; src/desk/conductor.ts joins the two.
 */
import { defineStore } from 'pinia'
import { reactive, ref, shallowRef, watch } from 'vue'
import type { SipCredentials } from '@/api/shapes'
import { testFlags } from '@/lib/development'
import {
  closeStream,
  listDevices,
  loadChoice,
  meter,
  microphoneAllowed,
  MicrophoneError,
  openMicrophone,
  saveChoice,
  sendTo,
  type MicrophoneFault,
} from '@/phone/audio'
import type { BrowserPhone, IncomingLeg, Registration } from '@/phone/browserPhone'
import { Ringer } from '@/phone/ringtone'

export type Check = 'unknown' | 'ok' | 'failed'

export const usePhone = defineStore('phone', () => {
  const registration = ref<Registration>('off')
  const cause = ref('')
  const ringing = ref<IncomingLeg | null>(null)
  const active = ref<string | null>(null)
  const answering = ref<string | null>(null)
  const lastEnd = ref<{ key: string; byUs: boolean } | null>(null)

  const choice = reactive(loadChoice())
  const devices = shallowRef<MediaDeviceInfo[]>([])
  const microphone = ref<Check>('unknown')
  const microphoneFault = ref<MicrophoneFault | null>(null)
  const speaker = ref<Check>('unknown')
  const ringerCheck = ref<Check>('unknown')
  const level = ref(0)

  const ringer = new Ringer()
  const speakerElement = new Audio()
  speakerElement.autoplay = true
  let phone: BrowserPhone | null = null
  let stream: MediaStream | null = null
  let stopMeter: (() => void) | null = null

  watch(choice, () => {
    saveChoice(choice)
    void placeSound()
  })
  watch(
    () => choice.microphone,
    () => void ((active.value || ringing.value || stopMeter) && changeMicrophone()),
  )
  navigator.mediaDevices?.addEventListener?.('devicechange', () => void refreshDevices())

  addEventListener('pagehide', () => phone?.unload())
  for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, () => void unlockAgain())

  /** A reloaded page may make no sound until it is touched: the first touch mends it. */
  async function unlockAgain(): Promise<void> {
    if (ringerCheck.value !== 'failed' || !(await ringer.unlock())) return
    ringerCheck.value = (await ringer.useDevice(choice.ringer)) ? 'ok' : 'failed'
  }

  async function refreshDevices(): Promise<void> {
    devices.value = await listDevices()
    await placeSound()
  }

  async function placeSound(): Promise<void> {
    speaker.value = (await sendTo(speakerElement, choice.speaker)) ? 'ok' : 'failed'
    if (ringerCheck.value !== 'unknown') {
      ringerCheck.value = (await ringer.useDevice(choice.ringer)) ? 'ok' : 'failed'
    }
  }

  /** From a click: lets the page make sound and opens the microphone once, to know that it can. */
  async function checkSound(): Promise<boolean> {
    const unlocked = await ringer.unlock()
    ringerCheck.value = unlocked && (await ringer.useDevice(choice.ringer)) ? 'ok' : 'failed'
    const opened = await openStream()
    if (opened && !active.value && !ringing.value && !stopMeter) letGo()
    await refreshDevices()
    return opened !== null && ringerCheck.value === 'ok'
  }

  async function openStream(): Promise<MediaStream | null> {
    if (stream?.active) return stream
    try {
      stream = await openMicrophone(choice.microphone)
      stream.getAudioTracks()[0]?.addEventListener('ended', () => void changeMicrophone())
      microphone.value = 'ok'
      microphoneFault.value = null
      return stream
    } catch (error) {
      microphone.value = 'failed'
      microphoneFault.value = error instanceof MicrophoneError ? error.fault : 'busy'
      return null
    }
  }

  /** Another microphone, or the same one pulled out: the call goes on with what there is. */
  async function changeMicrophone(): Promise<void> {
    const old = stream
    stream = null
    const fresh = await openStream()
    if (fresh && active.value) await phone?.replaceMicrophone(active.value, fresh)
    closeStream(old)
    if (stopMeter) await startMeter()
  }

  function letGo(): void {
    closeStream(stream)
    stream = null
  }

  async function startMeter(): Promise<void> {
    stopMeter?.()
    stopMeter = null
    const source = await openStream()
    if (source) stopMeter = meter(ringer.audio(), source, (value) => (level.value = value))
  }

  function endMeter(): void {
    stopMeter?.()
    stopMeter = null
    level.value = 0
    if (!active.value && !ringing.value && !answering.value) letGo()
  }

  async function register(account: SipCredentials): Promise<void> {
    const { BrowserPhone } = await import('@/phone/browserPhone')
    phone?.stop()
    phone = new BrowserPhone({
      registration: (state, why) => {
        registration.value = state
        cause.value = why
      },
      ringing: (leg) => {
        ringing.value = leg
        void openStream()
      },
      stopped: (key) => legOver(key, false),
      answered: (key) => {
        answering.value = null
        if (ringing.value?.key === key) ringing.value = null
        active.value = key
      },
      sound: (_key, remote) => {
        speakerElement.srcObject = remote
        void speakerElement.play().catch(() => undefined)
      },
      ended: (key, byUs) => legOver(key, byUs),
    })
    phone.start(account)
    if (testFlags()) void import('@/phone/stats').then(({ expose }) => expose(() => phone, () => speakerElement))
  }

  function legOver(key: string, byUs: boolean): void {
    if (answering.value === key) answering.value = null
    if (ringing.value?.key === key) ringing.value = null
    if (active.value === key) {
      active.value = null
      speakerElement.srcObject = null
      lastEnd.value = { key, byUs }
    }
    if (!active.value && !ringing.value && !stopMeter) letGo()
  }

  function unregister(): void {
    phone?.stop()
    phone = null
    registration.value = 'off'
    ringing.value = null
    active.value = answering.value = null
    letGo()
  }

  async function answer(key: string): Promise<boolean> {
    if (answering.value) return false
    answering.value = key
    const source = await openStream()
    if (active.value && active.value !== key) phone?.drop(active.value)
    const done = source !== null && (phone?.answer(key, source) ?? false)
    if (!done) answering.value = null
    return done
  }

  return {
    registration, cause, ringing, active, answering, lastEnd, choice, devices, microphone, microphoneFault, speaker,
    ringerCheck, level, ringer,
    checkSound, startMeter, endMeter, refreshDevices, microphoneAllowed, register, unregister, answer,
    has: (key: string) => phone?.has(key) ?? false,
    hangUp: (key: string) => phone?.hangUp(key) ?? false,
    decline: (key: string) => phone?.decline(key) ?? false,
    setMuted: (key: string, muted: boolean) => phone?.setMuted(key, muted),
    digits: (key: string, digits: string) => phone?.digits(key, digits) ?? false,
  }
})
