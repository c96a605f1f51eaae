/**
 * The browser's telephone: SIP over a WebSocket by JsSIP, one call at a time. The From user of an INVITE is the
 * offer's id, by which the desk pairs the ringing leg with the card. A person who hangs up sends BYE with
 * `Reason: Q.850;cause=31`; any other end (a closed tab, a taken-over phone) must not carry it, for the caller
 * is then kept and given back. A page that unloads lets its leg go at once, unmarked: the caller hears music within
 * the second instead of silence until the media times out, and the reloaded page gets them back.
 */
import JsSIP from 'jssip'
import type { RTCSession } from 'jssip/lib/RTCSession'
import type { IncomingRTCSessionEvent } from 'jssip/lib/UA'
import type { SipCredentials } from '@/api/shapes'
import { Again } from './again'

export type Registration = 'off' | 'connecting' | 'registered' | 'failed'
export interface IncomingLeg {
  key: string
  number: string
  name: string
}
export interface PhoneHandlers {
  registration: (state: Registration, cause: string) => void
  ringing: (leg: IncomingLeg) => void
  /** The ringing stopped without an answer from here. */
  stopped: (key: string) => void
  answered: (key: string, remote: MediaStream | null) => void
  sound: (key: string, remote: MediaStream) => void
  ended: (key: string, byUs: boolean) => void
}

const WILFUL = ['Reason: Q.850;cause=31']
const REGISTER_SECONDS = 300
const ICE_PATIENCE_MS = 500

export class BrowserPhone {
  private ua: InstanceType<typeof JsSIP.UA> | null = null
  private legs = new Map<string, RTCSession>()
  private ours = new Set<string>()
  private last: RTCPeerConnection | null = null
  private again = new Again(() => this.ua?.isConnected() && this.ua.register())

  constructor(private readonly handlers: PhoneHandlers) {}

  start(account: SipCredentials): void {
    this.stop()
    const socket = new JsSIP.WebSocketInterface(absolute(account.websocket))
    const ua = new JsSIP.UA({
      sockets: [socket],
      uri: account.uri,
      authorization_user: account.user,
      password: account.password,
      realm: account.realm || undefined,
      register: true,
      register_expires: REGISTER_SECONDS,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 8,
      user_agent: 'Murima desk',
    })
    this.ua = ua
    this.handlers.registration('connecting', '')
    const told = (state: Registration, cause = '') => this.ua === ua && this.handlers.registration(state, cause)
    ua.on('registered', () => {
      if (this.ua === ua) this.again.done()
      told('registered')
    })
    ua.on('unregistered', () => told('connecting', 'unregistered'))
    ua.on('disconnected', () => told('connecting', 'disconnected'))
    ua.on('registrationFailed', (event) => {
      if (this.ua !== ua) return
      if (this.again.refused()) told('connecting')
      else told('failed', String(event.cause ?? ''))
    })
    ua.on('newRTCSession', (event: IncomingRTCSessionEvent) => this.arrived(event))
    ua.start()
  }

  /** Unregisters; legs that are up end without the wilful mark. */
  stop(): void {
    const ua = this.ua
    this.ua = null
    this.again.done()
    if (!ua) return
    for (const key of [...this.legs.keys()]) this.drop(key)
    ua.stop()
    this.handlers.registration('off', '')
  }

  has(key: string): boolean {
    return this.legs.has(key)
  }

  answer(key: string, stream: MediaStream): boolean {
    const leg = this.legs.get(key)
    if (!leg || leg.isEstablished() || leg.isEnded()) return false
    leg.answer({ mediaStream: stream, pcConfig: { iceServers: [] } })
    return true
  }

  /** The person ends the call: the only place where the mark is set. */
  hangUp(key: string): boolean {
    return this.end(key, { extraHeaders: WILFUL })
  }

  decline(key: string): boolean {
    return this.end(key, { status_code: 603 })
  }

  /** The page goes away. A leg that only rings is left alone: the closed socket moves the caller on. */
  unload(): void {
    for (const [key, leg] of this.legs) if (leg.isEstablished()) this.drop(key)
  }

  /** Lets a leg go that this page no longer stands behind. */
  drop(key: string): boolean {
    return this.end(key, {})
  }

  setMuted(key: string, muted: boolean): void {
    const leg = this.legs.get(key)
    if (!leg?.isEstablished()) return
    if (muted) leg.mute({ audio: true })
    else leg.unmute({ audio: true })
  }

  digits(key: string, digits: string): boolean {
    const leg = this.legs.get(key)
    if (!leg?.isEstablished()) return false
    leg.sendDTMF(digits)
    return true
  }

  /** Puts another microphone into the call that is up. */
  async replaceMicrophone(key: string, stream: MediaStream): Promise<void> {
    const sender = this.legs.get(key)?.connection?.getSenders().find((one) => one.track?.kind !== 'video')
    const track = stream.getAudioTracks()[0]
    if (sender && track) await sender.replaceTrack(track)
  }

  connection(): RTCPeerConnection | null {
    return this.last
  }

  private end(key: string, options: { extraHeaders?: string[]; status_code?: number }): boolean {
    const leg = this.legs.get(key)
    if (!leg || leg.isEnded()) return false
    this.ours.add(key)
    const established = leg.isEstablished()
    leg.terminate(established ? { extraHeaders: options.extraHeaders } : { status_code: options.status_code ?? 480, ...options })
    return true
  }

  private arrived({ session, originator }: IncomingRTCSessionEvent): void {
    if (originator !== ('remote' as unknown)) return
    const from = session.remote_identity
    const key = from.uri.user
    const old = this.legs.get(key)
    if (old && !old.isEnded()) return session.terminate({ status_code: 486 })
    this.legs.set(key, session)
    this.listen(key, session)
    this.handlers.ringing({ key, number: key, name: from.display_name ?? '' })
  }

  private listen(key: string, leg: RTCSession): void {
    let up = false
    leg.on('peerconnection', ({ peerconnection }) => {
      this.last = peerconnection
      peerconnection.addEventListener('track', (event: RTCTrackEvent) => {
        this.handlers.sound(key, event.streams[0] ?? new MediaStream([event.track]))
      })
    })
    // The first host candidate is enough on one network; waiting for the rest delays every answer.
    let patience: ReturnType<typeof setTimeout> | undefined
    leg.on('icecandidate', ({ candidate, ready }) => {
      clearTimeout(patience)
      if (candidate.type === 'host' || candidate.candidate.includes(' typ host')) ready()
      else patience = setTimeout(ready, ICE_PATIENCE_MS)
    })
    leg.on('accepted', () => {
      up = true
      this.handlers.answered(key, null)
    })
    const over = () => {
      clearTimeout(patience)
      if (this.legs.get(key) !== leg) return
      this.legs.delete(key)
      const byUs = this.ours.delete(key)
      if (up) this.handlers.ended(key, byUs)
      else this.handlers.stopped(key)
    }
    leg.on('ended', over)
    leg.on('failed', over)
  }
}

function absolute(address: string): string {
  const url = new URL(address, location.href)
  if (url.protocol.startsWith('http')) url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}
