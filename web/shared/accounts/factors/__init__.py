"""Second factors: authenticator apps (TOTP), passkeys (WebAuthn) and recovery codes.

The WebAuthn ceremonies are fido2's, the library that django-allauth's `mfa` stands on as well; TOTP is RFC
6238 in thirty lines. allauth's own layer is not used, because what it keeps and where does not fit here: used
TOTP codes are remembered in a cache, under another key on every tenant's host, so that one code would work
once per host and again after Redis lost its memory; recovery codes are computed from a stored seed instead of
kept as hashes; and its sign-in stages want their own session, e-mail table and request context, where our
sessions are bound to a tenant before anything is put into them.

A person's factors are theirs on all hosts; a passkey answers only on the host it was made for. Having any
factor at all means that a password alone signs nobody in anywhere: where no other method answers, a recovery
code does. `pending` carries a half-done sign-in, `policy` says whose role must have a factor.
"""
