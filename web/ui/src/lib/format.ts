/** How durations, instants, telephone numbers and names from outside are written for people. */

/** `m:ss`, and `h:mm:ss` from an hour on. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–'
  const whole = Math.max(0, Math.floor(seconds))
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = String(whole % 60).padStart(2, '0')
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`
}

let zone: string | undefined

/** Instants are shown in the organisation's zone, wherever the computer thinks it is. */
export function showTimesIn(timeZone: string | undefined): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
    zone = timeZone
  } catch {
    zone = undefined
  }
}

/** The reader's own variant of the page's language, so that an Englishwoman does not read American dates. */
function regional(locale: string): string {
  const own = navigator.languages?.find((one) => one.split('-')[0] === locale)
  return own ?? (locale === 'en' ? 'en-GB' : `${locale}-KE`)
}

function written(instant: string, locale: string, parts: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat(regional(locale), { ...parts, timeZone: zone }).format(new Date(instant))
}

export function clockTime(instant: string, locale: string): string {
  return written(instant, locale, { hour: 'numeric', minute: '2-digit' })
}

/** The time of today, else the day too, and the year only when it is another one. */
export function dateTime(instant: string, locale: string, now = new Date()): string {
  const day = (one: string) => written(one, 'en', { dateStyle: 'short' })
  const today = now.toISOString()
  if (day(instant) === day(today)) return clockTime(instant, locale)
  const year = instant.slice(0, 4) === today.slice(0, 4) ? undefined : 'numeric'
  return written(instant, locale, { day: 'numeric', month: 'short', year, hour: 'numeric', minute: '2-digit' })
}

export function fullDateTime(instant: string, locale: string): string {
  return written(instant, locale, { dateStyle: 'full', timeStyle: 'medium' })
}

export function preciseTime(instant: string, locale: string): string {
  return written(instant, locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 })
}

/** The name of a language by its code, in the reader's language; the code itself when it names none. */
export function languageName(code: string, locale: string): string {
  try {
    return new Intl.DisplayNames(locale, { type: 'language' }).of(code) ?? code
  } catch {
    return plainText(code)
  }
}

const TWO_DIGIT =
  '20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98'
const COUNTRY = new Set(['1', '7', ...TWO_DIGIT.split(' ')])

/** An E.164 number in groups behind its country code; anything else as it came, less what misleads the eye. */
export function phoneNumber(raw: string | null | undefined): string {
  if (!raw) return ''
  const match = /^\+(\d{6,15})$/.exec(raw.trim())
  if (!match?.[1]) return plainText(raw)
  const digits = match[1]
  const length = [1, 2].find((n) => COUNTRY.has(digits.slice(0, n))) ?? 3
  return `+${digits.slice(0, length)} ${grouped(digits.slice(length))}`
}

function grouped(digits: string): string {
  const groups: string[] = []
  let rest = digits
  while (rest.length > 4) {
    groups.push(rest.slice(0, 3))
    rest = rest.slice(3)
  }
  return [...groups, rest].join(' ')
}

/** Text from a caller or a carrier: no control or direction characters, and not endless. */
export function plainText(raw: string | null | undefined): string {
  return (raw ?? '').replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').slice(0, 80)
}
