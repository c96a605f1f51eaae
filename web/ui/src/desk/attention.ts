/**
 * What calls the agent back from another window: the tab's title and icon, and a notification where permitted.
 * The title counts from the server's clock; the notification closes when the ringing does, wherever answered.
 */
import { watch, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useNow } from '@/lib/clock'
import { duration, phoneNumber, plainText } from '@/lib/format'
import { useDesk } from '@/stores/desk'
import { useConductor, type RingCard } from './conductor'

const ICONS = { quiet: '/favicon.svg', ring: '/favicon-ring.svg', call: '/favicon-call.svg' } as const

export function useAttention(pageTitle: Ref<string>): void {
  const desk = useDesk()
  const conductor = useConductor()
  const now = useNow()
  const { t } = useI18n()

  watch([now, pageTitle, () => conductor.card, () => desk.call], () => {
    const ring = conductor.card
    const call = desk.call
    document.title = ring ? `☎ ${since(ring.madeAt)} ${plainText(ring.queue)}`.trim() : call ? callTitle(call.since, call.state) : quiet()
    icon(ring ? 'ring' : call ? 'call' : 'quiet')
  })

  const quiet = () => `${pageTitle.value} · ${t('app.name')}`
  const since = (instant: string | null) => (instant ? duration((now.value - Date.parse(instant)) / 1000) : '')
  const callTitle = (at: string, state: string) => `${t(`phase.${state}`)} ${since(at)} · ${t('app.name')}`

  let shown: Notification | null = null
  watch(
    () => conductor.card?.id,
    () => {
      shown?.close()
      shown = conductor.card ? notify(conductor.card) : null
    },
  )

  function notify(ring: RingCard): Notification | null {
    if (typeof Notification === 'undefined' || Notification.permission !== 'granted' || document.hasFocus()) return null
    try {
      const who = plainText(ring.name) || phoneNumber(ring.number) || t('ring.unknown')
      const note = new Notification(t('ring.title', { who }), { body: ring.queue ?? '', tag: 'murima-ring', requireInteraction: true })
      note.onclick = () => window.focus()
      return note
    } catch {
      return null // phones only allow notifications from a service worker
    }
  }
}

function icon(kind: keyof typeof ICONS): void {
  const link = document.getElementById('favicon')
  if (link instanceof HTMLLinkElement && !link.href.endsWith(ICONS[kind])) link.href = ICONS[kind]
}
