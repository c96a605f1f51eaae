"""Signing in through an organisation's own identity provider: OpenID Connect, authorization code with PKCE.

`provider` talks to it (a customer typed its addresses, so they go through the same guard as webhooks), `flow`
carries a sign-in from the start to the callback, `identity` decides whose account an answer opens.

The state, the nonce and the code verifier lie in Redis under the tenant's key for ten minutes, are taken with
GETDEL, and belong to the browser that holds the matching cookie: an answer that somebody else began, or that
comes twice, opens nothing. The ID token must be signed by a key of the provider's JWKS, with an asymmetric
algorithm, for this client, by this issuer, with this nonce.
"""
