/** One tab holds the phone; the next has it when the first goes, or when a person takes it over. */
import { describe, expect, it } from 'vitest'
import { MediaTab } from '../src/desk/mediaTab'

/** Web Locks of one origin: exclusive, first come first served, and `steal` breaks the holder's promise. */
class Locks {
  private holder: ((error: Error) => void) | null = null
  private line: (() => void)[] = []
  request(_name: string, options: LockOptions, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        this.holder = reject
        void work().then(() => {
          resolve()
          this.holder = null
          this.line.shift()?.()
        })
      }
      if (options.steal) {
        this.holder?.(new DOMException('stolen', 'AbortError'))
        enter()
      } else if (this.holder) this.line.push(enter)
      else enter()
    })
  }
}
const turn = () => new Promise((resolve) => setTimeout(resolve))

describe('the media tab', () => {
  it('is the first; the second mirrors, and follows when the first leaves', async () => {
    const locks = new Locks() as unknown as LockManager
    const [one, two] = [new MediaTab('phone', locks), new MediaTab('phone', locks)]
    one.enter()
    two.enter()
    expect([one.role.value, two.role.value]).toEqual(['media', 'mirror'])
    one.leave()
    await turn()
    expect(two.role.value).toBe('media')
  })

  it('moves when taken over, and the former holder mirrors', async () => {
    const locks = new Locks() as unknown as LockManager
    const [one, two] = [new MediaTab('phone', locks), new MediaTab('phone', locks)]
    one.enter()
    two.enter()
    two.takeOver()
    await turn()
    expect([one.role.value, two.role.value]).toEqual(['mirror', 'media'])
  })

  it('yields to another computer and takes back when told', () => {
    const locks = new Locks() as unknown as LockManager
    const tab = new MediaTab('phone', locks)
    tab.enter()
    tab.yieldElsewhere()
    expect(tab.role.value).toBe('elsewhere')
    tab.takeOver()
    expect(tab.role.value).toBe('media')
  })

  it('has the phone where the browser has no locks', () => {
    const tab = new MediaTab('phone', undefined as unknown as LockManager)
    Object.assign(tab, { locks: undefined })
    tab.enter()
    expect(tab.role.value).toBe('media')
  })
})
