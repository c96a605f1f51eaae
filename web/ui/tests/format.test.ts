import { beforeEach, describe, expect, it } from 'vitest'
import { forgetServerTime, learnServerTime, serverNow } from '../src/lib/clock'
import { duration, phoneNumber, plainText, showTimesIn, clockTime } from '../src/lib/format'
import { isLocalPage } from '../src/lib/development'

describe('what people read', () => {
  it('writes durations', () => {
    expect(duration(0)).toBe('0:00')
    expect(duration(61.9)).toBe('1:01')
    expect(duration(3_661)).toBe('1:01:01')
    expect(duration(-5)).toBe('0:00')
    expect(duration(null)).toBe('–')
  })
  it('groups numbers behind their country code and leaves others alone', () => {
    expect(phoneNumber('+254712345678')).toBe('+254 712 345 678')
    expect(phoneNumber('+12025550143')).toBe('+1 202 555 0143')
    expect(phoneNumber('+442079460123')).toBe('+44 207 946 0123')
    expect(phoneNumber('anonymous')).toBe('anonymous')
    expect(phoneNumber(null)).toBe('')
  })
  it('takes control and direction characters out of names, and keeps markup as text', () => {
    expect(plainText('a\u202eb\r\nc\u0000')).toBe('abc')
    expect(plainText('<img onerror=x>')).toBe('<img onerror=x>')
    expect(plainText('x'.repeat(500))).toHaveLength(80)
  })
  it('shows instants in the organisation’s zone', () => {
    showTimesIn('Africa/Nairobi')
    expect(clockTime('2026-11-22T12:00:00.000Z', 'sw')).toMatch(/15:00|3:00/)
    showTimesIn('No/Such')
    showTimesIn(undefined)
  })
  it('opens the hooks of tests to this computer only', () => {
    for (const host of ['localhost', 'amani.localhost', '127.0.0.1']) expect(isLocalPage(host)).toBe(true)
    for (const host of ['murima.example', 'localhost.example', '10.0.0.5']) expect(isLocalPage(host)).toBe(false)
  })
})

describe('the server’s clock', () => {
  beforeEach(forgetServerTime)
  it('believes the sample with the shortest way', () => {
    const local = Date.parse('2026-01-01T00:00:00Z')
    learnServerTime('2026-01-01T00:05:00.000Z', 400, local)
    expect(serverNow(local)).toBe(local + 300_200)
    learnServerTime('2026-01-01T00:05:09.000Z', 9_000, local)
    expect(serverNow(local)).toBe(local + 300_200)
    learnServerTime('2026-01-01T00:05:00.000Z', 20, local)
    expect(serverNow(local)).toBe(local + 300_010)
    learnServerTime('rubbish', 1, local)
    expect(serverNow(local)).toBe(local + 300_010)
  })
})
