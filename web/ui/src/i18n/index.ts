/** English and Swahili from the first string; a unit test holds the two files against each other and the code. */
import { createI18n } from 'vue-i18n'
import en from './en.json'
import sw from './sw.json'

export type Locale = 'en' | 'sw'
export const LOCALES: { code: Locale; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'sw', name: 'Kiswahili' },
]

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages: { en, sw },
})

export function startLocale(languages: readonly string[] = navigator.languages): Locale {
  return languages.some((one) => one.toLowerCase().startsWith('sw')) && !languages[0]?.startsWith('en') ? 'sw' : 'en'
}

export function setLocale(locale: Locale): void {
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
}
