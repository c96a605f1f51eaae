/**
 * One door to the REST API: same-origin cookie, CSRF header, a deadline for every request, and every failure
 * as an ApiError holding a problem (RFC 9457), also when the network or a proxy answered instead of the server.
 * A 401 outside signing in is told to `onUnauthorized`, once, and the caller still gets its error.
 */
import type { Problem } from './shapes'

export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    readonly body: unknown = null,
  ) {
    super(problem.detail ?? problem.title)
  }
  get status(): number {
    return this.problem.status
  }
  get code(): string {
    return this.problem.code ?? ''
  }
}

export interface Answer<T> {
  data: T
  etag: string | null
}
interface Options {
  body?: unknown
  etag?: string
  idempotent?: string
  keepalive?: boolean
  timeoutMs?: number
}

/** Answers 401 about what was typed, not about who is signed in. */
const WRONG_PROOF = new Set(['bad_credentials', 'second_factor_refused'])
let unauthorized: () => void = () => undefined
let issuedToken: string | null = null

export function onUnauthorized(handler: () => void): void {
  unauthorized = handler
}

/** The token that signing in answered with; the cookie wins where it can be read. */
export function rememberCsrf(token: string | null): void {
  issuedToken = token
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), options.timeoutMs ?? 10_000)
  try {
    const response = await fetch(path, {
      method,
      headers: headers(method, options),
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      credentials: 'same-origin',
      keepalive: options.keepalive ?? false,
      signal: abort.signal,
    })
    return await read<T>(response)
  } catch (error) {
    if (error instanceof ApiError) {
      if (error.status === 401 && !path.includes('/auth/session/') && !WRONG_PROOF.has(error.code)) unauthorized()
      throw error
    }
    throw new ApiError({ type: 'about:blank', title: 'unreachable', status: 0, code: 'unreachable' })
  } finally {
    clearTimeout(timer)
  }
}

function headers(method: string, options: Options): Record<string, string> {
  const found: Record<string, string> = { Accept: 'application/json' }
  if (options.body !== undefined) found['Content-Type'] = 'application/json'
  if (options.etag) found['If-Match'] = options.etag
  if (options.idempotent) found['Idempotency-Key'] = options.idempotent
  const token = csrf()
  if (token && method !== 'GET') found['X-CSRFToken'] = token
  return found
}

export function csrf(): string | null {
  const match = document.cookie.match(/(?:^|;\s*)(?:__Host-murima-csrf|murima_csrf)=([^;]+)/)
  return match?.[1] ?? issuedToken
}

async function read<T>(response: Response): Promise<Answer<T>> {
  const text = await response.text()
  const body = parse(text)
  if (!response.ok) throw new ApiError(problemOf(response, body), body)
  return { data: body as T, etag: response.headers.get('ETag') }
}

function parse(text: string): unknown {
  if (!text) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function problemOf(response: Response, body: unknown): Problem {
  const told = typeof body === 'object' && body !== null ? (body as Partial<Problem>) : {}
  return {
    ...told,
    type: told.type ?? 'about:blank',
    title: told.title ?? response.statusText,
    status: response.status,
    request_id: told.request_id ?? response.headers.get('X-Request-Id') ?? undefined,
    retry_after: Number(response.headers.get('Retry-After')) || undefined,
  }
}
