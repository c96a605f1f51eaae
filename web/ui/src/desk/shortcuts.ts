/**
 * Alt+Shift+key, by the key's place and not its letter, so that every layout and every input method works.
 * `?` opens the sheet when no text field has the focus. A shortcut acts at most once a second.
 */
import { onBeforeUnmount, onMounted } from 'vue'

export type ShortcutMap = Record<string, (() => void) | undefined>
export const SHORTCUTS: { code: string; key: string; action: string }[] = [
  { code: 'KeyA', key: 'A', action: 'accept' },
  { code: 'KeyR', key: 'R', action: 'decline' },
  { code: 'KeyH', key: 'H', action: 'hold' },
  { code: 'KeyM', key: 'M', action: 'mute' },
  { code: 'KeyK', key: 'K', action: 'keypad' },
  { code: 'KeyE', key: 'E', action: 'hangup' },
  { code: 'KeyN', key: 'N', action: 'note' },
  { code: 'KeyW', key: 'W', action: 'finish' },
  { code: 'KeyX', key: 'X', action: 'extend' },
  { code: 'Digit1', key: '1', action: 'ready' },
  { code: 'Digit2', key: '2', action: 'status' },
]
const THROTTLE_MS = 1_000

export function useShortcuts(actions: ShortcutMap, sheet: () => void): void {
  let last = { code: '', at: 0 }
  function pressed(event: KeyboardEvent): void {
    if (event.key === '?' && !event.altKey && !event.ctrlKey && !typing(event.target)) return sheet()
    if (!event.altKey || !event.shiftKey || event.ctrlKey || event.metaKey) return
    const action = SHORTCUTS.find((one) => one.code === event.code)
    const act = action && actions[action.action]
    if (!act) return
    event.preventDefault()
    const now = performance.now()
    if (last.code === event.code && now - last.at < THROTTLE_MS) return
    last = { code: event.code, at: now }
    act()
  }
  onMounted(() => addEventListener('keydown', pressed))
  onBeforeUnmount(() => removeEventListener('keydown', pressed))
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}
