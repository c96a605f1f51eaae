/**
 * When to register again after a refusal. A shift's new secret travels to Asterisk on another way than to the
 * browser, and under load the browser may be first; JsSIP gives up at the first refusal. So: soon, then less and
 * less often, with jitter, for MOST times; the first ones without troubling anybody.
 */
const FIRST_MS = 150
const LONGEST_MS = 8_000
const QUIET = 5
const MOST = 40

export class Again {
  private times = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly work: () => void,
    private readonly draw: () => number = Math.random,
  ) {}

  /** Refused once more: plan another try. False once a person should hear of it. */
  refused(): boolean {
    clearTimeout(this.timer)
    const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.times)
    this.times += 1
    if (this.times <= MOST) this.timer = setTimeout(this.work, longest * (0.5 + this.draw() / 2))
    return this.times <= QUIET
  }

  done(): void {
    this.times = 0
    clearTimeout(this.timer)
  }
}
