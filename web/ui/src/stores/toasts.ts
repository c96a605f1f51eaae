/** Short messages in the corner. What needs an act is a banner or a dialog, never only this. */
import { defineStore } from 'pinia'
import { ref } from 'vue'

export interface Toast {
  id: number
  kind: 'info' | 'error'
  text: string
}

export const useToasts = defineStore('toasts', () => {
  const list = ref<Toast[]>([])
  let next = 1

  function say(text: string, kind: Toast['kind'] = 'info', ms = kind === 'error' ? 10_000 : 4_000): void {
    const id = next++
    list.value = [...list.value.slice(-3), { id, kind, text }]
    setTimeout(() => dismiss(id), ms)
  }
  function dismiss(id: number): void {
    list.value = list.value.filter((one) => one.id !== id)
  }
  return { list, say, dismiss }
})
