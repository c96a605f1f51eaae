/**
 * Microphone, speaker and ringer: three choices, kept per browser. The microphone is opened when a call rings
 * and closed when it ends, so that its light tells the truth; the level meter opens it while somebody looks.
 */
import { testFlags } from '@/lib/development'

export interface DeviceChoice {
  microphone: string
  speaker: string
  ringer: string
  ringVolume: number
}
export type MicrophoneFault = 'denied' | 'missing' | 'busy' | 'insecure'

const KEY = 'murima.devices'
const DEFAULT: DeviceChoice = { microphone: '', speaker: '', ringer: '', ringVolume: 0.7 }

export function loadChoice(storage: Storage = localStorage): DeviceChoice {
  try {
    return { ...DEFAULT, ...(JSON.parse(storage.getItem(KEY) ?? '{}') as Partial<DeviceChoice>) }
  } catch {
    return { ...DEFAULT }
  }
}

export function saveChoice(choice: DeviceChoice, storage: Storage = localStorage): void {
  storage.setItem(KEY, JSON.stringify(choice))
}

export class MicrophoneError extends Error {
  constructor(readonly fault: MicrophoneFault) {
    super(fault)
  }
}

/** Opens the chosen microphone, or the system's when the chosen one is gone. */
export async function openMicrophone(deviceId: string): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError('insecure')
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints(deviceId), video: false })
  } catch (error) {
    const name = error instanceof DOMException ? error.name : ''
    if (name === 'OverconstrainedError' && deviceId) return openMicrophone('')
    if (name === 'NotAllowedError' || name === 'SecurityError') throw new MicrophoneError('denied')
    throw new MicrophoneError(name === 'NotFoundError' ? 'missing' : 'busy')
  }
}

function constraints(deviceId: string): MediaTrackConstraints {
  const processing = !testFlags()?.rawAudio
  return {
    echoCancellation: processing,
    noiseSuppression: processing,
    autoGainControl: processing,
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  }
}

export function closeStream(stream: MediaStream | null): void {
  stream?.getTracks().forEach((track) => track.stop())
}

/** Calls back with 0..1 about twenty times a second until the returned function is called. */
export function meter(context: AudioContext, stream: MediaStream, tell: (level: number) => void): () => void {
  const source = context.createMediaStreamSource(stream)
  const analyser = context.createAnalyser()
  analyser.fftSize = 1024
  source.connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length
    const decibel = 10 * Math.log10(power + 1e-10)
    tell(Math.min(1, Math.max(0, (decibel + 60) / 50)))
  }, 50)
  return () => {
    clearInterval(timer)
    source.disconnect()
  }
}

interface Sink {
  setSinkId?: (id: string) => Promise<void>
}

/** Sends sound to a device where the browser can; true when it is where it should be. */
export async function sendTo(sink: object, deviceId: string): Promise<boolean> {
  const able = sink as Sink
  if (!able.setSinkId) return deviceId === ''
  try {
    await able.setSinkId(deviceId)
    return true
  } catch {
    return false
  }
}

export async function listDevices(): Promise<MediaDeviceInfo[]> {
  return (await navigator.mediaDevices?.enumerateDevices?.()) ?? []
}

/** Whether the microphone may be opened without asking anybody. */
export async function microphoneAllowed(): Promise<boolean> {
  try {
    const status = await navigator.permissions.query({ name: 'microphone' as PermissionName })
    return status.state === 'granted'
  } catch {
    return false
  }
}
