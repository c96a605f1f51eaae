/**
 * A note that cannot be lost. Every keystroke is in local storage at once and at the server within half a
 * second; local storage is emptied only when the server has acknowledged exactly that text. The revision says
 * which stored draft a write stands on: when somebody (another tab, another desk) wrote in between, both texts
 * are kept and shown, and the person chooses. Nothing here ever overwrites a text without being told to.
 */
import { reactive } from 'vue'
import { DraftConflict } from '@/api/rest'
import type { Draft } from '@/api/shapes'

export type DraftStatus = 'loading' | 'saved' | 'unsaved' | 'saving' | 'offline' | 'conflict'
export interface DraftState {
  note: string
  disposition: string | null
  revision: number
  status: DraftStatus
  theirs: Draft | null
}
export interface DraftDoors {
  read: (call: string) => Promise<Draft>
  write: (call: string, draft: Draft, keepalive: boolean) => Promise<Draft>
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
  /** Who is signed in, so that two people at one computer never see each other's notes. */
  owner: string
}

const DEBOUNCE_MS = 350
const RETRY_MS = 3_000

export class DraftKeeper {
  readonly state: DraftState = reactive({
    note: '',
    disposition: null,
    revision: 0,
    status: 'loading',
    theirs: null,
  })
  private timer: ReturnType<typeof setTimeout> | undefined
  private writing = false
  private touched = false
  private gone = false

  constructor(
    readonly call: string,
    private readonly doors: DraftDoors,
  ) {
    const kept = this.kept()
    if (kept) Object.assign(this.state, { note: kept.note, disposition: kept.disposition, revision: kept.revision })
    this.touched = kept !== null
  }

  async load(): Promise<void> {
    try {
      this.met(await this.doors.read(this.call))
    } catch {
      this.state.status = 'offline'
      this.schedule(RETRY_MS)
    }
  }

  edit(change: Partial<Pick<Draft, 'note' | 'disposition'>>): void {
    Object.assign(this.state, change)
    this.touched = true
    this.keep()
    if (this.state.status === 'conflict') return
    if (this.state.status !== 'loading') this.state.status = 'unsaved'
    this.schedule(DEBOUNCE_MS)
  }

  /** Settle a conflict: mine, theirs, or theirs with mine below it. */
  resolve(choice: 'mine' | 'theirs' | 'both'): void {
    const theirs = this.state.theirs
    if (!theirs) return
    if (choice === 'theirs') Object.assign(this.state, { note: theirs.note, disposition: theirs.disposition })
    if (choice === 'both') this.state.note = `${theirs.note}\n\n${this.state.note}`
    this.state.revision = theirs.revision
    this.state.theirs = null
    this.state.status = 'unsaved'
    this.keep()
    void this.flush()
  }

  /** Write now; with `keepalive` the request outlives the page. */
  async flush(keepalive = false): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    if (!this.touched || this.state.status === 'conflict' || (this.writing && !keepalive)) return
    if (this.state.status === 'loading' || (this.state.status === 'offline' && this.state.revision === 0)) {
      if (!keepalive) return this.load()
    }
    await this.write(keepalive)
  }

  /** The call is over and filed: nothing is left to keep. */
  close(): void {
    this.gone = true
    clearTimeout(this.timer)
    this.doors.storage.removeItem(this.key())
  }

  stop(): void {
    this.gone = true
    clearTimeout(this.timer)
  }

  private async write(keepalive: boolean): Promise<void> {
    const sent: Draft = { note: this.state.note, disposition: this.state.disposition, revision: this.state.revision }
    this.writing = true
    this.state.status = 'saving'
    try {
      this.stored(sent, await this.doors.write(this.call, sent, keepalive))
    } catch (error) {
      if (error instanceof DraftConflict) this.collided(error.stored)
      else {
        this.state.status = 'offline'
        this.schedule(RETRY_MS)
      }
    } finally {
      this.writing = false
      if (this.dirty() && !this.timer) this.schedule(DEBOUNCE_MS)
    }
  }

  private stored(sent: Draft, answer: Draft): void {
    this.state.revision = answer.revision
    if (sent.note === this.state.note && sent.disposition === this.state.disposition) {
      this.touched = false
      this.state.status = 'saved'
      if (!this.gone) this.doors.storage.removeItem(this.key())
    } else {
      this.state.status = 'unsaved'
      this.keep()
    }
  }

  private dirty(): boolean {
    return this.touched && this.state.status === 'unsaved' && !this.gone
  }

  /** The first reading: what this browser still holds unsaved stands beside what the server has. */
  private met(stored: Draft): void {
    if (!this.touched) {
      Object.assign(this.state, { ...stored, status: 'saved' })
      return
    }
    const based = stored.revision <= this.state.revision || (stored.note === '' && !stored.disposition)
    if (!based) return this.collided(stored)
    this.state.revision = stored.revision
    this.state.status = 'unsaved'
    void this.flush()
  }

  private collided(stored: Draft): void {
    if (stored.note === this.state.note && (stored.disposition ?? null) === this.state.disposition) {
      this.state.revision = stored.revision
      this.touched = false
      this.state.status = 'saved'
      this.doors.storage.removeItem(this.key())
      return
    }
    this.state.theirs = stored
    this.state.status = 'conflict'
  }

  private schedule(ms: number): void {
    if (this.gone) return
    if (this.timer && ms === DEBOUNCE_MS && this.state.status !== 'offline') return // a bound, not a postponement
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.flush(), ms)
  }

  private key(): string {
    return `murima.draft.${this.doors.owner}.${this.call}`
  }

  private keep(): void {
    const { note, disposition, revision } = this.state
    try {
      this.doors.storage.setItem(this.key(), JSON.stringify({ note, disposition, revision }))
    } catch {
      // storage full or forbidden: the server's copy still follows
    }
  }

  private kept(): Draft | null {
    try {
      const raw = this.doors.storage.getItem(this.key())
      return raw ? (JSON.parse(raw) as Draft) : null
    } catch {
      return null
    }
  }
}
