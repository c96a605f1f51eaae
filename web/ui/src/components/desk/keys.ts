/** How the shell's shortcuts reach the panel of the page below it. */
import type { InjectionKey, Ref } from 'vue'

export interface WorkPanel {
  finish: () => void
  extend: () => void
  focusNote: () => void
}
export const WORK_PANEL: InjectionKey<Ref<WorkPanel | null>> = Symbol('work-panel')
