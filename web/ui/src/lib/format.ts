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

export function clockTime(instant: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }).format(new Date(instant))
}

export function dateTime(instant: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(instant))
}

export function preciseTime(instant: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
  }).format(new Date(instant))
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
