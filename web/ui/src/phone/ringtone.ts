/**
 * The ring, made here so that nothing has to be fetched when it is needed: two soft tones, twice, then a pause.
 * A minute is scheduled at once on the audio clock, because timers of a hidden tab come late.
 */
import { sendTo } from './audio'

const CADENCE_S = 3
const BURSTS = [0, 0.6]
const BURST_S = 0.4
const CYCLES = 20

export class Ringer {
  private context: AudioContext | null = null
  private output: GainNode | null = null
  private sink = ''

  /** To be called from a click once, so that the browser lets the page make sound. */
  async unlock(): Promise<boolean> {
    const context = this.audio()
    if (context.state !== 'running') await Promise.race([context.resume(), wait(800)])
    return (context.state as string) === 'running'
  }

  audio(): AudioContext {
    this.context ??= new AudioContext()
    return this.context
  }

  async useDevice(deviceId: string): Promise<boolean> {
    this.sink = deviceId
    return sendTo(this.audio(), this.sink)
  }

  get sounding(): boolean {
    return this.output !== null
  }

  start(volume: number, cycles = CYCLES): void {
    this.stop()
    const context = this.audio()
    if (context.state !== 'running') void context.resume()
    const output = context.createGain()
    output.gain.value = 0.35 * volume
    output.connect(context.destination)
    this.output = output
    for (let cycle = 0; cycle < cycles; cycle++) {
      for (const burst of BURSTS) this.burst(context, output, context.currentTime + cycle * CADENCE_S + burst)
    }
  }

  stop(): void {
    this.output?.disconnect()
    this.output = null
  }

  private burst(context: AudioContext, output: GainNode, at: number): void {
    const shape = context.createGain()
    shape.gain.setValueAtTime(0, at)
    shape.gain.linearRampToValueAtTime(1, at + 0.03)
    shape.gain.setValueAtTime(1, at + BURST_S - 0.06)
    shape.gain.linearRampToValueAtTime(0, at + BURST_S)
    shape.connect(output)
    for (const frequency of [523.25, 659.25]) {
      const tone = context.createOscillator()
      tone.frequency.value = frequency
      tone.connect(shape)
      tone.start(at)
      tone.stop(at + BURST_S)
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
