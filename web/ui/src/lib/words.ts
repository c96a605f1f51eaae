/** A problem in the reader's words: by its stable code where a sentence is written, else what the server said. */
import { useI18n } from 'vue-i18n'
import { ApiError } from '@/api/http'
import { useToasts } from '@/stores/toasts'

export function useWords() {
  const { t, te } = useI18n()
  const toasts = useToasts()

  function problem(error: unknown): string {
    if (!(error instanceof ApiError)) return t('error.unexpected')
    const wait = error.problem.retry_after
    if (error.code === 'throttled' && wait) return t('error.throttled_for', { minutes: Math.ceil(wait / 60) })
    const key = `error.${error.code}`
    if (error.code && te(key)) return t(key)
    const fields = fieldsOf(error)
    if (fields) return fields
    if (error.problem.detail) return error.problem.detail
    if (error.status === 403) return t('error.forbidden')
    if (error.status === 404) return t('error.not_found')
    if (error.status === 429) return t('error.too_many')
    return t('error.unexpected')
  }

  /** What is wrong with the fields that the server refused; empty when it named none. */
  function fieldsOf(error: ApiError): string {
    const said = (error.problem.errors ?? []).map((one) => (te(`error.${one.code}`) ? t(`error.${one.code}`) : ''))
    return said.every(Boolean) ? said.join(' ') : ''
  }

  /** What is wrong with each field that the server refused, by the field's name; empty when it named none. */
  function byField(error: unknown): Record<string, string> {
    const said = error instanceof ApiError ? (error.problem.errors ?? []) : []
    const text = (one: (typeof said)[number]) => (te(`error.${one.code}`) ? t(`error.${one.code}`) : one.detail)
    return Object.fromEntries(said.map((one) => [one.pointer.split('/')[1] ?? '', text(one)]))
  }

  /** Runs an action; a failure becomes a message in the corner. */
  async function attempt(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action()
      return true
    } catch (error) {
      toasts.say(problem(error), 'error')
      return false
    }
  }

  return { problem, byField, attempt }
}
