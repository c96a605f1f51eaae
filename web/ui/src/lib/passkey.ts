/**
 * Asking the browser for a passkey. Servers speak base64url JSON, `navigator.credentials` speaks bytes;
 * not every browser in use translates by itself, so it is done here for all.
 */
type Json = Record<string, unknown>

export function passkeysWork(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && typeof navigator.credentials?.get === 'function'
}

/** The credential as the server takes it, or null when the person closed the browser's question. */
export async function askForPasskey(options: Json): Promise<Json | null> {
  const publicKey = bytesOf((options.publicKey ?? options) as Json)
  try {
    const found = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null
    return found && jsonOf(found)
  } catch (error) {
    // Closed, timed out, or no passkey here: browsers do not say which, and the person knows.
    if (error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name)) return null
    throw error
  }
}

function bytesOf(said: Json): PublicKeyCredentialRequestOptions {
  const allowed = said.allowCredentials as { id: string; type: 'public-key' }[] | null | undefined
  return {
    ...said,
    challenge: toBytes(said.challenge as string),
    allowCredentials: allowed?.map((one) => ({ ...one, id: toBytes(one.id) })),
  } as PublicKeyCredentialRequestOptions
}

function jsonOf(found: PublicKeyCredential): Json {
  const response = found.response as AuthenticatorAssertionResponse
  return {
    id: found.id,
    rawId: toText(found.rawId),
    type: found.type,
    authenticatorAttachment: found.authenticatorAttachment ?? undefined,
    clientExtensionResults: found.getClientExtensionResults(),
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
      userHandle: response.userHandle ? toText(response.userHandle) : undefined,
    },
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
