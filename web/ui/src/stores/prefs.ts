/**
 * How this person likes the page on this browser: language and light or dark. Until a language is chosen here, it
 * is that of the account.
 */
import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { LOCALES, setLocale, startLocale, type Locale } from '@/i18n'

export type Theme = 'light' | 'dark' | 'system'
const KEY = 'murima.prefs'

export const usePrefs = defineStore('prefs', () => {
  const kept = read()
  const theme = ref<Theme>(kept.theme ?? 'system')
  const locale = ref<Locale>(kept.locale ?? startLocale())
  const dark = matchMedia('(prefers-color-scheme: dark)')

  function paint(): void {
    const wanted = theme.value === 'system' ? (dark.matches ? 'dark' : 'light') : theme.value
    document.documentElement.dataset.theme = wanted
  }
  dark.addEventListener('change', paint)
  watch([theme, locale], () => {
    localStorage.setItem(KEY, JSON.stringify({ theme: theme.value, locale: locale.value }))
    paint()
    void setLocale(locale.value)
  })
  paint()

  function adopt(language: string): void {
    const known = LOCALES.find((one) => one.code === language)
    if (known && !read().locale) locale.value = known.code
  }
  return { theme, locale, adopt }
})

function read(): { theme?: Theme; locale?: Locale } {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as { theme?: Theme; locale?: Locale }
  } catch {
    return {}
  }
}
