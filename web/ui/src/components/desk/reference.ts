/** Reasons and dispositions of the tenant, read once per page and again when reading failed. */
import { ref, type Ref } from 'vue'
import * as rest from '@/api/rest'
import type { Disposition, NotReadyReason } from '@/api/shapes'

const reasons: Ref<NotReadyReason[]> = ref([])
const dispositions: Ref<Disposition[]> = ref([])
const failed = ref(false)
/** Whether they were read once: an empty list before that means "not yet", not "none". */
const known = ref(false)
let loading: Promise<void> | undefined

/** Read both; whoever asks while they are being read waits for the same answer. */
export function loadReference(): Promise<void> {
  loading ??= read().finally(() => (loading = undefined))
  return loading
}

async function read(): Promise<void> {
  failed.value = false
  try {
    const [found, outcomes] = await Promise.all([rest.notReadyReasons(), rest.dispositions()])
    reasons.value = found
    dispositions.value = outcomes
    known.value = true
  } catch {
    failed.value = true
  }
}

export function useReasons() {
  const reasonName = (code: string) => reasons.value.find((one) => one.code === code)?.name ?? code
  return { reasons, reasonName }
}

export function useDispositions() {
  const dispositionName = (code: string | null) =>
    code === null ? '' : (dispositions.value.find((one) => one.code === code)?.name ?? code)
  return { dispositions, dispositionName, known, failed }
}
