/**
 * What forms share: busy while the server is asked, and its refusal in the reader's words: `wrong` at the fields
 * that it names, where all of them are `fields` of the form, and `failure` otherwise.
 */
import { ref } from 'vue'
import { useWords } from './words'

export function useForm(fields: string[] = []) {
  const { problem, byField } = useWords()
  const busy = ref(false)
  const failure = ref('')
  const wrong = ref<Record<string, string>>({})

  /** True when it went well. A second click while it runs does nothing. */
  async function run(action: () => Promise<unknown>, onRefused?: (error: unknown) => void): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    failure.value = ''
    wrong.value = {}
    try {
      await action()
      return true
    } catch (error) {
      const named = byField(error)
      if (Object.keys(named).length && Object.keys(named).every((one) => fields.includes(one))) wrong.value = named
      else failure.value = problem(error)
      onRefused?.(error)
      return false
    } finally {
      busy.value = false
    }
  }

  return { busy, failure, wrong, run }
}
