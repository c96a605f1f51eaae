/** A note is never lost and never overwritten, whatever the network and other tabs do. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { DraftConflict } from '../src/api/rest'
import type { Draft } from '../src/api/shapes'
import { DraftKeeper } from '../src/desk/draft'

class Server {
  stored: Draft = { note: '', disposition: null, revision: 0 }
  down = false
  writes = 0
  read = async (): Promise<Draft> => {
    if (this.down) throw new Error('down')
    return { ...this.stored }
  }
  write = async (_call: string, draft: Draft): Promise<Draft> => {
    if (this.down) throw new Error('down')
    if (draft.revision !== this.stored.revision) throw new DraftConflict({ ...this.stored })
    this.writes += 1
    this.stored = { ...draft, revision: draft.revision + 1 }
    return { ...this.stored }
  }
}
class Shelf {
  items = new Map<string, string>()
  getItem = (key: string) => this.items.get(key) ?? null
  setItem = (key: string, value: string) => void this.items.set(key, value)
  removeItem = (key: string) => void this.items.delete(key)
}

let server: Server
let storage: Shelf
const keeper = () => new DraftKeeper('call-1', { read: server.read, write: server.write, storage, owner: 'u1' })
const settle = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
  server = new Server()
  storage = new Shelf()
})

describe('a draft', () => {
  it('is at the server within half a second of the first keystroke, however fast one types', async () => {
    const draft = keeper()
    await draft.load()
    for (let n = 1; n <= 10; n++) {
      draft.edit({ note: 'x'.repeat(n) })
      await settle(60)
    }
    expect(server.stored.note.length).toBeGreaterThan(4)
    await settle(500)
    expect(server.stored.note).toBe('x'.repeat(10))
    expect(draft.state.status).toBe('saved')
    expect(storage.items.size).toBe(0)
  })

  it('is kept in the browser until the server has taken exactly that text', async () => {
    const draft = keeper()
    await draft.load()
    server.down = true
    draft.edit({ note: 'while away' })
    expect(storage.items.size).toBe(1)
    await settle(1_000)
    expect(draft.state.status).toBe('offline')
    server.down = false
    await settle(4_000)
    expect(server.stored.note).toBe('while away')
    expect(storage.items.size).toBe(0)
  })

  it('comes back after a reload that hit an unsaved text', async () => {
    server.down = true
    const before = keeper()
    before.edit({ note: 'typed and gone' })
    before.stop()
    server.down = false
    const after = keeper()
    expect(after.state.note).toBe('typed and gone')
    await after.load()
    await settle(500)
    expect(server.stored.note).toBe('typed and gone')
  })

  it('shows both texts when another desk wrote in between, and writes nothing until told', async () => {
    const draft = keeper()
    await draft.load()
    server.stored = { note: 'from the other tab', disposition: null, revision: 4 }
    draft.edit({ note: 'from here' })
    await settle(1_000)
    expect(draft.state.status).toBe('conflict')
    expect(draft.state.theirs?.note).toBe('from the other tab')
    draft.edit({ note: 'from here, still typing' })
    await settle(2_000)
    expect(server.stored.note).toBe('from the other tab')
    draft.resolve('both')
    await settle(500)
    expect(server.stored.note).toBe('from the other tab\n\nfrom here, still typing')
  })

  it('takes the stored text when told so', async () => {
    const draft = keeper()
    await draft.load()
    server.stored = { note: 'theirs', disposition: 'info', revision: 2 }
    draft.edit({ note: 'mine' })
    await settle(1_000)
    draft.resolve('theirs')
    expect([draft.state.note, draft.state.disposition]).toEqual(['theirs', 'info'])
    await settle(500)
    expect(draft.state.status).toBe('saved')
  })

  it('is no conflict when both sides say the same', async () => {
    const draft = keeper()
    await draft.load()
    server.stored = { note: 'same', disposition: null, revision: 7 }
    draft.edit({ note: 'same' })
    await settle(1_000)
    expect(draft.state.status).toBe('saved')
  })

  it('leaves nothing behind once the call is filed', async () => {
    const draft = keeper()
    await draft.load()
    draft.edit({ note: 'done' })
    draft.close()
    await settle(5_000)
    expect(storage.items.size).toBe(0)
    expect(server.writes).toBe(0)
  })
})
