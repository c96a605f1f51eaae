/**
 * Changing what lets one in wants the password, where this sign-in has not shown it in the last ten minutes. An
 * act is tried without it; when the server asks, a dialog does, and the act is tried again with what was typed.
 */
import { inject, provide, ref, type InjectionKey } from 'vue'
import { ApiError } from '@/api/http'
import { useForm } from './form'

type Act<T> = (password?: string) => Promise<T>
interface Waiting {
  act: Act<unknown>
  done: (found: { value: unknown } | null) => void
  failed: (error: unknown) => void
}

export function makeProof() {
  const asking = ref(false)
  const form = useForm()
  let waiting: Waiting | null = null

  /** What the act gave; null when the person did not want to type the password. */
  async function proved<T>(act: Act<T>): Promise<{ value: T } | null> {
    try {
      return { value: await act() }
    } catch (error) {
      if (!asksAgain(error)) throw error
    }
    form.failure.value = ''
    asking.value = true
    return new Promise((done, failed) => (waiting = { act, done: done as Waiting['done'], failed }))
  }

  async function answer(password: string): Promise<void> {
    const mine = waiting
    if (!mine) return
    let value: unknown
    const went = await form.run(
      async () => (value = await mine.act(password)),
      (error) => !asksAgain(error) && end(() => mine.failed(error)),
    )
    if (went) end(() => mine.done({ value }))
  }

  function close(): void {
    end(() => waiting?.done(null))
  }

  function end(tell: () => void): void {
    tell()
    waiting = null
    asking.value = false
  }

  return { asking, busy: form.busy, failure: form.failure, proved, answer, close }
}

/** Wrong, or tried too often: the question stays. Anything else is of the act. */
function asksAgain(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 'password_needed' || error.status === 429)
}

export type Proof = ReturnType<typeof makeProof>
const PROOF: InjectionKey<Proof> = Symbol('proof')

/** For the page that holds the dialog. */
export function provideProof(): Proof {
  const made = makeProof()
  provide(PROOF, made)
  return made
}

export function useProof(): Proof {
  const found = inject(PROOF)
  if (!found) throw new Error('no page above asks for the password')
  return found
}
