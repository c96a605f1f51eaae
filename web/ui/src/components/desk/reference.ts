/** Reasons and dispositions of the tenant, read once per page and again when reading failed. */
import { ref, type Ref } from 'vue'
import * as rest from '@/api/rest'
import type { Disposition, NotReadyReason } from '@/api/shapes'

const reasons: Ref<NotReadyReason[]> = ref([])
const dispositions: Ref<Disposition[]> = ref([])
const failed = ref(false)
let loading = false

export async function loadReference(): Promise<void> {
  if (loading) return
  loading = true
  try {
    const [found, known] = await Promise.all([rest.notReadyReasons(), rest.dispositions()])
    reasons.value = found
    dispositions.value = known
    failed.value = false
  } catch {
    failed.value = true
  } finally {
    loading = false
  }
}

export function useReasons() {
  const reasonName = (code: string) => reasons.value.find((one) => one.code === code)?.name ?? code
  return { reasons, reasonName }
}

export function useDispositions() {
  const dispositionName = (code: string | null) =>
    code === null ? '' : (dispositions.value.find((one) => one.code === code)?.name ?? code)
  return { dispositions, dispositionName, failed }
}
