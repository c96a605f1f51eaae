/** The least of a SIP server: takes any REGISTER, rings by INVITE, answers BYE. Media never flows here. */
import type { WebSocket } from 'ws'

const SDP = [
  'v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'a=group:BUNDLE 0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=mid:0', 'a=rtcp-mux', 'a=sendrecv', 'a=setup:actpass',
  'a=ice-ufrag:mockmock', 'a=ice-pwd:mockmockmockmockmockmock', 'a=rtpmap:0 PCMU/8000',
  `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
  'a=candidate:1 1 UDP 2130706431 127.0.0.1 9 typ host', '',
].join('\r\n')

export class SipPeer {
  onAnswer: (key: string) => void = () => undefined
  onBye: (key: string, wilful: boolean) => void = () => undefined
  private socket: WebSocket | null = null
  private contact = 'sip:mock@mock.invalid'
  private dialogs = new Map<string, { from: string; to: string; callId: string }>()

  attach(socket: WebSocket): void {
    this.socket = socket
    socket.on('message', (data) => this.receive(String(data)))
  }

  get registered(): boolean {
    return this.socket?.readyState === 1
  }

  ring(key: string): void {
    const callId = `mock-${key}`
    const from = `"Mock" <sip:${key}@mock.invalid>;tag=${key.slice(-6)}`
    this.dialogs.set(callId, { from, to: `<${this.contact}>`, callId })
    this.request('INVITE', callId, SDP)
  }

  cancel(key: string): void {
    this.request('CANCEL', `mock-${key}`)
  }

  bye(key: string): void {
    this.request('BYE', `mock-${key}`)
  }

  private request(method: string, callId: string, body = ''): void {
    const dialog = this.dialogs.get(callId)
    if (!dialog) return
    const sequence = method === 'BYE' ? 2 : 1
    this.send([
      `${method} ${this.contact} SIP/2.0`,
      `Via: SIP/2.0/WS mock.invalid;branch=z9hG4bK${callId}${sequence}`,
      'Max-Forwards: 70',
      `From: ${dialog.from}`,
      `To: ${dialog.to}`,
      `Call-ID: ${callId}`,
      `CSeq: ${sequence} ${method}`,
      'Contact: <sip:mock@mock.invalid;transport=ws>',
      ...(body ? ['Content-Type: application/sdp'] : []),
      `Content-Length: ${body.length}`,
      '',
      body,
    ])
  }

  private send(lines: string[]): void {
    this.socket?.send(lines.join('\r\n'))
  }

  private receive(text: string): void {
    const [first = ''] = text.split('\r\n')
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'mi').exec(text)?.[1]?.trim() ?? ''
    if (first.startsWith('SIP/2.0')) return this.answered(first, header)
    const method = first.split(' ')[0] ?? ''
    if (method === 'ACK') return
    if (method === 'REGISTER') this.contact = /<([^>]+)>/.exec(header('Contact'))?.[1] ?? this.contact
    if (method === 'BYE') this.onBye(header('Call-ID').replace('mock-', ''), /cause=31/.test(header('Reason')))
    const contact = method === 'REGISTER' ? [`Contact: ${header('Contact')};expires=300`] : []
    this.send([
      'SIP/2.0 200 OK', `Via: ${header('Via')}`, `From: ${header('From')}`, `To: ${header('To')};tag=mock`,
      `Call-ID: ${header('Call-ID')}`, `CSeq: ${header('CSeq')}`, ...contact, 'Content-Length: 0', '', '',
    ])
  }

  private answered(first: string, header: (name: string) => string): void {
    const callId = header('Call-ID')
    const dialog = this.dialogs.get(callId)
    if (!dialog || !header('CSeq').endsWith('INVITE')) return
    dialog.to = header('To')
    const code = Number(first.split(' ')[1])
    if (code < 200) return
    this.send([
      `ACK ${this.contact} SIP/2.0`, `Via: SIP/2.0/WS mock.invalid;branch=z9hG4bK${callId}ack`, 'Max-Forwards: 70',
      `From: ${dialog.from}`, `To: ${dialog.to}`, `Call-ID: ${callId}`, 'CSeq: 1 ACK', 'Content-Length: 0', '', '',
    ])
    if (code === 200) this.onAnswer(callId.replace('mock-', ''))
  }
}
