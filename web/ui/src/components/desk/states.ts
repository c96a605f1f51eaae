/** One icon and one tone for every state, so that it looks the same wherever it is shown. */
import {
  BellOff, BellRing, CircleCheck, CirclePause, ClipboardPen, CloudOff, Hourglass, Phone, Power, Radio, RefreshCw, Unplug,
} from '@lucide/vue'
import type { Component } from 'vue'
import type { Effective } from '@/api/shapes'
import type { Pill } from '@/stores/desk'
import type { Tone } from '../ui/UiChip.vue'

export const EFFECTIVE: Record<Effective, { icon: Component; tone: Tone }> = {
  offline: { icon: Power, tone: 'plain' },
  ready: { icon: CircleCheck, tone: 'ok' },
  not_ready: { icon: CirclePause, tone: 'plain' },
  offered: { icon: BellRing, tone: 'accent' },
  on_call: { icon: Phone, tone: 'busy' },
  wrap_up: { icon: ClipboardPen, tone: 'warn' },
  not_responding: { icon: BellOff, tone: 'bad' },
  unreachable: { icon: Unplug, tone: 'bad' },
}
export const PILL: Record<Pill, { icon: Component; tone: Tone }> = {
  connecting: { icon: RefreshCw, tone: 'plain' },
  live: { icon: Radio, tone: 'ok' },
  stale: { icon: Hourglass, tone: 'warn' },
  offline: { icon: CloudOff, tone: 'bad' },
}
