/**
 * One tab of this browser holds the phone. A Web Lock elects it: the first tab gets it, the others wait in line
 * and mirror; when the holder closes, the next one has it without a word. `takeOver` steals the lock, and the
 * former holder learns it by the rejection of its own request. Another computer is told apart by the server
 * (notice `elsewhere`), and then the lock says nothing: `yieldElsewhere` stays a mirror until taken over.
 */
import { ref, type Ref } from 'vue'

export type TabRole = 'waiting' | 'media' | 'mirror' | 'elsewhere'

export class MediaTab {
  readonly role: Ref<TabRole> = ref('waiting')
  private release: (() => void) | null = null

  constructor(
    private readonly name: string,
    private readonly locks: LockManager | undefined = navigator.locks,
  ) {}

  /** Queue for the phone; resolves never, the role tells. */
  enter(): void {
    if (!this.locks) {
      this.role.value = 'media' // no Web Locks (plain http on a LAN): the server's claim alone decides
      return
    }
    this.role.value = 'mirror'
    this.request({ mode: 'exclusive' })
  }

  takeOver(): void {
    if (!this.locks || this.release) {
      this.role.value = 'media'
      return
    }
    this.request({ mode: 'exclusive', steal: true })
  }

  yieldElsewhere(): void {
    this.role.value = 'elsewhere'
  }

  leave(): void {
    this.release?.()
    this.release = null
    this.role.value = 'waiting'
  }

  private request(options: LockOptions): void {
    const held = () => {
      this.role.value = 'media'
      return new Promise<void>((resolve) => (this.release = resolve))
    }
    this.locks?.request(this.name, options, held).catch(() => this.stolen())
  }

  private stolen(): void {
    if (this.role.value === 'waiting') return
    this.release = null
    this.role.value = 'mirror'
    this.request({ mode: 'exclusive' })
  }
}
