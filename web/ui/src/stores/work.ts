/**
 * The note and the disposition of the call at hand. It outlives routes: the keeper belongs to the call, from the
 * moment somebody talks until the wrap-up is filed or its time is over.
 */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import * as rest from '@/api/rest'
import { DraftKeeper } from '@/desk/draft'
import { useDesk } from './desk'
import { useSession } from './session'

export const useWork = defineStore('work', () => {
  const desk = useDesk()
  const session = useSession()
  const keeper = shallowRef<DraftKeeper | null>(null)
  const draft = computed(() => keeper.value?.state ?? null)
  const wrapUp = computed(() => desk.agent?.wrap_up ?? null)
  const timedOut = ref(0)
  let filed = ''

  watch(
    () => desk.focusCall,
    (call) => {
      const before = keeper.value
      if (before?.call === call) return
      if (before && before.call !== filed) {
        timedOut.value += 1
        void before.flush().finally(() => before.stop())
      }
      keeper.value = call ? open(call) : null
    },
    { immediate: true },
  )
  addEventListener('pagehide', () => void keeper.value?.flush(true))

  function open(call: string): DraftKeeper {
    const fresh = new DraftKeeper(call, {
      read: rest.readDraft,
      write: rest.writeDraft,
      storage: localStorage,
      owner: session.me?.user.id ?? '',
    })
    void fresh.load()
    return fresh
  }

  async function finish(): Promise<void> {
    const current = keeper.value
    const call = wrapUp.value?.call
    if (!current || !call || !current.state.disposition) return
    await current.flush()
    const { note, disposition } = current.state
    filed = call
    try {
      await desk.ask('wrapup.finish', { call, disposition: disposition ?? '', note })
      current.close()
    } catch (error) {
      filed = ''
      throw error
    }
  }

  async function extend(): Promise<void> {
    const call = wrapUp.value?.call
    if (call) await desk.ask('wrapup.extend', { call })
  }

  return { keeper, draft, wrapUp, timedOut, finish, extend }
})
