/**
 * What a system test may ask the telephone, on this computer only: packets that went and came, and which of
 * some frequencies are heard from the other side. Nothing here can act.
 */
import type { BrowserPhone } from './browserPhone'

export interface PhoneStats {
  packetsReceived: number
  packetsSent: number
  packetsLost: number
  bytesReceived: number
  bytesSent: number
  connection: string
}

declare global {
  interface Window {
    murimaPhoneStats?: () => Promise<PhoneStats | null>
    murimaPhoneHears?: (hertz: number[]) => { peak: number; level: number[] } | null
  }
}

let analyser: AnalyserNode | null = null
let listening: MediaProvider | null = null

export function expose(phone: () => BrowserPhone | null, speaker: () => HTMLAudioElement): void {
  window.murimaPhoneStats = async () => {
    const connection = phone()?.connection()
    return connection ? summary(connection) : null
  }
  window.murimaPhoneHears = (hertz) => hears(speaker().srcObject, hertz)
  const poll = setInterval(() => speaker().srcObject && hears(speaker().srcObject, []), 200)
  addEventListener('pagehide', () => clearInterval(poll))
}

async function summary(connection: RTCPeerConnection): Promise<PhoneStats> {
  const found: PhoneStats = {
    packetsReceived: 0,
    packetsSent: 0,
    packetsLost: 0,
    bytesReceived: 0,
    bytesSent: 0,
    connection: connection.connectionState,
  }
  const report = await connection.getStats()
  report.forEach((one: Record<string, unknown>) => {
    if (one.kind !== 'audio') return
    if (one.type === 'inbound-rtp') {
      found.packetsReceived += Number(one.packetsReceived ?? 0)
      found.packetsLost += Number(one.packetsLost ?? 0)
      found.bytesReceived += Number(one.bytesReceived ?? 0)
    }
    if (one.type === 'outbound-rtp') {
      found.packetsSent += Number(one.packetsSent ?? 0)
      found.bytesSent += Number(one.bytesSent ?? 0)
    }
  })
  return found
}

/** Levels in decibels around each frequency, and the loudest frequency of all. */
function hears(source: MediaProvider | null, hertz: number[]): { peak: number; level: number[] } | null {
  if (!(source instanceof MediaStream)) return null
  if (source !== listening) {
    const context = new AudioContext()
    analyser = context.createAnalyser()
    analyser.fftSize = 8192
    analyser.smoothingTimeConstant = 0.3
    context.createMediaStreamSource(source).connect(analyser)
    listening = source
  }
  if (!analyser) return null
  const bins = new Float32Array(analyser.frequencyBinCount)
  analyser.getFloatFrequencyData(bins)
  const width = analyser.context.sampleRate / analyser.fftSize
  const at = (one: number) => Math.max(...bins.slice(Math.max(0, Math.round(one / width) - 2), Math.round(one / width) + 3))
  return { peak: bins.indexOf(Math.max(...bins)) * width, level: hertz.map(at) }
}
