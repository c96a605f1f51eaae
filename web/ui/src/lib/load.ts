/** A reading with its three faces: running (shown after 300 ms only), failed with the request's id, or there. */
import { ref, type Ref } from 'vue'
import { ApiError } from '@/api/http'

export interface Loading<T> {
  data: Ref<T | null>
  failed: Ref<ApiError | null>
  slow: Ref<boolean>
  run: (read: () => Promise<T>) => Promise<void>
}

export function useLoad<T>(): Loading<T> {
  const data = ref(null) as Ref<T | null>
  const failed = ref<ApiError | null>(null)
  const slow = ref(false)
  let turn = 0

  async function run(read: () => Promise<T>): Promise<void> {
    const mine = ++turn
    const timer = setTimeout(() => (slow.value = true), 300)
    try {
      const found = await read()
      if (mine === turn) [data.value, failed.value] = [found, null]
    } catch (error) {
      if (mine === turn && error instanceof ApiError) failed.value = error
      else if (!(error instanceof ApiError)) throw error
    } finally {
      clearTimeout(timer)
      if (mine === turn) slow.value = false
    }
  }
  return { data, failed, slow, run }
}
