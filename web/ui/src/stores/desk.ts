/**
 * The agent's world as the server tells it. Every message replaces what it speaks of; nothing is guessed ahead,
 * so a button that was pressed stays disabled until its ask is answered and the state has come back.
 */
import { defineStore } from 'pinia'
import { computed, reactive, ref, shallowRef } from 'vue'
import type {
  AgentState,
  CallState,
  DeskClientMessages,
  DeskAnswers,
  DeskServerMessage,
  Hello,
  Live,
  Notice,
  Offer,
  Pop,
  QueueState,
  Snapshot,
} from '@/api/shapes'
import { DeskSocket, type CloseReason, type LineState } from '@/desk/socket'
import { useNow } from '@/lib/clock'
import { uuid } from '@/lib/uuid'

const DESK: string[] = ['talking', 'held', 'kept', 'ended']
const GRACE_MS = 1_500
export type Pill = 'connecting' | 'live' | 'stale' | 'offline'

export const useDesk = defineStore('desk', () => {
  const tab = uuid()
  const line = ref<LineState>('closed')
  const closedBecause = ref<CloseReason | null>(null)
  const everOpen = ref(false)
  const live = ref<Live>('offline')
  const hello = shallowRef<Hello | null>(null)
  const agent = ref<AgentState | null>(null)
  const offer = ref<Offer | null>(null)
  const told = ref<CallState | null>(null)
  const justEnded = ref(false)
  let grace: ReturnType<typeof setTimeout> | undefined
  const pop = ref<Pop | null>(null)
  const queues = ref<QueueState[]>([])
  const lastOutcome = ref<{ id: string; outcome: string } | null>(null)
  const elsewhere = ref(0)
  const busy = reactive<Record<string, boolean>>({})

  const socket = new DeskSocket(tab, {
    message: apply,
    state: (state, why) => {
      line.value = state
      closedBecause.value = why ?? (state === 'open' ? null : closedBecause.value)
      if (state === 'open') everOpen.value = true
    },
  })

  const pill = computed<Pill>(() => {
    if (line.value === 'open') return live.value
    return line.value === 'connecting' && !everOpen.value ? 'connecting' : 'offline'
  })
  /** An ended call stays while it is wrapped up, and for a moment, until the word of the wrap-up is here. */
  const call = computed<CallState | null>(() => {
    const state = told.value
    if (state?.state !== 'ended') return state
    return justEnded.value || agent.value?.wrap_up?.call === state.id ? state : null
  })
  const connected = computed(() => line.value === 'open' && live.value === 'live')
  /** The call that the desk shows: the live one, or the one being wrapped up. */
  const focusCall = computed(() => call.value?.id ?? agent.value?.wrap_up?.call ?? null)
  const talking = computed(() => call.value !== null && ['talking', 'held'].includes(call.value.state))

  function apply(message: DeskServerMessage): void {
    switch (message.type) {
      case 'hello':
        hello.value = message.data
        break
      case 'snapshot':
        return restore(message.data)
      case 'agent.state':
        agent.value = message.data
        if (message.data.wrap_up?.call === told.value?.id) justEnded.value = false
        break
      case 'offer.created':
        offer.value = message.data
        break
      case 'offer.withdrawn':
        if (offer.value?.id === message.data.id) offer.value = null
        lastOutcome.value = message.data
        break
      case 'pop':
        pop.value = message.data
        break
      case 'call.state':
        return follow(message.data)
      case 'queue.state':
        return queueChanged(message.data)
      case 'notice':
        return noticed(message.data)
    }
  }

  function restore(snapshot: Snapshot): void {
    agent.value = snapshot.agent
    offer.value = snapshot.offer
    told.value = snapshot.call && DESK.includes(snapshot.call.state) ? snapshot.call : null
    justEnded.value = false
    queues.value = snapshot.queues
    live.value = snapshot.live
    if (pop.value && pop.value.offer !== offer.value?.id && pop.value.call !== call.value?.id) pop.value = null
  }

  function follow(state: CallState): void {
    if (!DESK.includes(state.state)) {
      if (told.value?.id === state.id) told.value = null // waits again or was given away
      return
    }
    if (state.state === 'ended' && told.value?.id !== state.id && agent.value?.wrap_up?.call !== state.id) return
    if (offer.value?.call === state.id && state.state === 'talking') offer.value = null
    const more = state.state === 'ended' && told.value?.id === state.id && told.value.state === 'ended'
    told.value = state
    // What is said of an ended call later (its outcome, after the wrap-up) does not bring it back.
    if (more) return
    clearTimeout(grace)
    justEnded.value = state.state === 'ended' && agent.value?.wrap_up?.call !== state.id
    if (justEnded.value) grace = setTimeout(() => (justEnded.value = false), GRACE_MS)
  }

  function queueChanged(state: QueueState): void {
    const at = queues.value.findIndex((one) => one.id === state.id)
    queues.value = at < 0 ? [...queues.value, state] : queues.value.with(at, state)
  }

  function noticed(notice: Notice): void {
    if (notice.code === 'live' || notice.code === 'stale' || notice.code === 'offline') live.value = notice.code
    else if (notice.code === 'elsewhere') elsewhere.value += 1
  }

  /** One ask at a time under one name; `busy[name]` is true while it is open. */
  async function ask<K extends keyof DeskClientMessages>(
    type: K,
    data: DeskClientMessages[K],
    name: string = type,
  ): Promise<DeskAnswers[K]> {
    busy[name] = true
    try {
      return await socket.ask(type, data)
    } finally {
      busy[name] = false
    }
  }

  function silence(): number {
    return socket.silence()
  }

  function reset(): void {
    socket.close()
    agent.value = offer.value = told.value = pop.value = null
    queues.value = []
    everOpen.value = false
  }

  return {
    tab, line, closedBecause, live, hello, agent, offer, call, pop, queues, lastOutcome, elsewhere, busy,
    pill, connected, focusCall, talking, apply, ask, silence, reset,
    open: () => socket.open(),
    close: () => socket.close(),
  }
})

/** Seconds since anything was heard, for a screen that must never look newer than it is. */
export function useDataAge() {
  const desk = useDesk()
  const tick = useNow()
  return computed(() => (tick.value > 0 ? desk.silence() / 1000 : 0))
}
