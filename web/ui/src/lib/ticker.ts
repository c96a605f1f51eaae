/**
 * `everySecond` goes on in a hidden tab, where the browser slows ordinary timers to one a minute and a desk
 * would fall silent and lose its calls. Without workers (unit tests) it is an ordinary interval.
 */
type Listener = () => void
const listeners = new Set<Listener>()
let started = false

export function everySecond(listener: Listener): () => void {
  start()
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function start(): void {
  if (started) return
  started = true
  const tick = () => listeners.forEach((listener) => listener())
  try {
    const worker = new Worker(new URL('./tick.worker.ts', import.meta.url), { type: 'module' })
    worker.onmessage = tick
  } catch {
    setInterval(tick, 1_000)
  }
}
