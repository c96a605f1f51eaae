/** What the forms of the way in share: busy while the server is asked, and its refusal in the reader's words. */
import { ref } from 'vue'
import { useWords } from './words'

export function useForm() {
  const { problem } = useWords()
  const busy = ref(false)
  const failure = ref('')

  /** True when it went well. A second click while it runs does nothing. */
  async function run(action: () => Promise<unknown>, onRefused?: (error: unknown) => void): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    failure.value = ''
    try {
      await action()
      return true
    } catch (error) {
      failure.value = problem(error)
      onRefused?.(error)
      return false
    } finally {
      busy.value = false
    }
  }

  return { busy, failure, run }
}
