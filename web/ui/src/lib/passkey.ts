/**
 * Asking the browser for a passkey, or to make one. Servers speak base64url JSON, `navigator.credentials` speaks bytes;
 * not every browser in use translates by itself, so it is done here for all.
 */
type Json = Record<string, unknown>

export function passkeysWork(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && typeof navigator.credentials?.get === 'function'
}

/** The credential as the server takes it, or null when the person closed the browser's question. */
export async function askForPasskey(options: Json): Promise<Json | null> {
  const publicKey = bytesOf((options.publicKey ?? options) as Json)
  const found = await unlessClosed(() => navigator.credentials.get({ publicKey }))
  return found && { ...outside(found), response: assertion(found.response as AuthenticatorAssertionResponse) }
}

/** A new passkey as the server takes it, or null when the person closed the browser's question. */
export async function makePasskey(options: Json): Promise<Json | null> {
  const said = (options.publicKey ?? options) as Json
  const user = said.user as Json
  const publicKey = {
    ...said,
    challenge: toBytes(said.challenge as string),
    user: { ...user, id: toBytes(user.id as string) },
    excludeCredentials: described(said.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions
  const made = await unlessClosed(() => navigator.credentials.create({ publicKey }))
  return made && { ...outside(made), response: attestation(made.response as AuthenticatorAttestationResponse) }
}

/** What the person answers to the browser's question; null when they closed it, or it ran out. */
async function unlessClosed(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential | null> {
  try {
    return (await ask()) as PublicKeyCredential | null
  } catch (error) {
    // Closed, timed out, or no passkey here: browsers do not say which, and the person knows.
    if (error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name)) return null
    throw error
  }
}

type Described = { id: string; type: 'public-key' }[] | null | undefined
const described = (said: unknown) => (said as Described)?.map((one) => ({ ...one, id: toBytes(one.id) }))

function bytesOf(said: Json): PublicKeyCredentialRequestOptions {
  return {
    ...said,
    challenge: toBytes(said.challenge as string),
    allowCredentials: described(said.allowCredentials),
  } as PublicKeyCredentialRequestOptions
}

function outside(found: PublicKeyCredential): Json {
  return {
    id: found.id,
    rawId: toText(found.rawId),
    type: found.type,
    authenticatorAttachment: found.authenticatorAttachment ?? undefined,
    clientExtensionResults: found.getClientExtensionResults(),
  }
}

function assertion(response: AuthenticatorAssertionResponse): Json {
  return {
    clientDataJSON: toText(response.clientDataJSON),
    authenticatorData: toText(response.authenticatorData),
    signature: toText(response.signature),
    userHandle: response.userHandle ? toText(response.userHandle) : undefined,
  }
}

function attestation(response: AuthenticatorAttestationResponse): Json {
  return {
    clientDataJSON: toText(response.clientDataJSON),
    attestationObject: toText(response.attestationObject),
    transports: response.getTransports?.() ?? [],
  }
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'))
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0))
}

export function toText(bytes: ArrayBuffer): string {
  const plain = String.fromCharCode(...new Uint8Array(bytes))
  return btoa(plain).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}
