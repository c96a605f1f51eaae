import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Again } from '@/phone/again'

describe('registering again', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('tries soon and quietly, then seldom and aloud, and not for ever', () => {
    const work = vi.fn()
    const again = new Again(work, () => 1)
    const loud: number[] = []
    for (let n = 1; n <= 50; n += 1) {
      if (!again.refused()) loud.push(n)
      vi.advanceTimersByTime(n <= 5 ? 150 * 2 ** (n - 1) : 8_000)
    }
    expect(loud[0]).toBe(6)
    expect(work).toHaveBeenCalledTimes(40)
  })

  it('begins anew after a success, and stops when told', () => {
    const work = vi.fn()
    const again = new Again(work, () => 0)
    for (let n = 0; n < 8; n += 1) again.refused()
    again.done()
    vi.advanceTimersByTime(60_000)
    expect(work).not.toHaveBeenCalled()
    expect(again.refused()).toBe(true)
    vi.advanceTimersByTime(75)
    expect(work).toHaveBeenCalledTimes(1)
  })
})
