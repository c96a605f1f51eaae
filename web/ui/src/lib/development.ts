/**
 * Hooks that a test may use, and only where they can do no harm: the page must come from this very computer
 * and the test must have said so in local storage before it loaded.
 */
export interface TestFlags {
  /** Echo cancellation, noise suppression and gain control eat steady test tones. */
  rawAudio: boolean
}

export function isLocalPage(host = location.hostname): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '127.0.0.1' || host === '[::1]'
}

export function testFlags(): TestFlags | null {
  if (!isLocalPage()) return null
  try {
    const raw = localStorage.getItem('murima.test')
    return raw ? { rawAudio: false, ...(JSON.parse(raw) as Partial<TestFlags>) } : null
  } catch {
    return null
  }
}
