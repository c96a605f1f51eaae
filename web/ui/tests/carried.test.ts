/** Secrets behind the `#` of a link: out of the address at once, and only from where they belong. */
import { beforeEach, describe, expect, it } from 'vitest'
import { carriedNote, carriedToken, dropToken, takeFromAddress, takeNote, tokenFor } from '@/lib/carried'

function open(address: string): void {
  history.replaceState({ kept: 1 }, '', address)
  takeFromAddress()
}
const address = () => location.pathname + location.search + location.hash

describe('what a link carries', () => {
  beforeEach(() => {
    carriedToken.value = carriedNote.value = null
  })

  it('leaves the address without the token, which serves its own page only', () => {
    open('/invitation?x=1#mri_secret')
    expect(address()).toBe('/invitation?x=1')
    expect(history.state).toEqual({ kept: 1 })
    expect([tokenFor('/invitation'), tokenFor('/password-reset')]).toEqual(['mri_secret', ''])
    dropToken()
    expect(tokenFor('/invitation')).toBe('')
  })

  it('takes the newer of two links', () => {
    open('/password-reset/#mrp_one')
    open('/password-reset#mrp_two')
    expect(tokenFor('/password-reset')).toBe('mrp_two')
  })

  it('takes the note of a half done sign-in once, with the methods that it knows', () => {
    open('/#mfa=a%3Ab&methods=totp%2Csmoke_signals%2Crecovery_code')
    expect(address()).toBe('/')
    expect(takeNote()).toEqual({ state: 'a:b', methods: ['totp', 'recovery_code'] })
    expect(takeNote()).toBeNull()
  })

  it('takes no note without a state or a known method, but clears the address', () => {
    open('/#mfa=&methods=totp')
    expect([takeNote(), address()]).toEqual([null, '/'])
    open('/#mfa=abc&methods=other')
    expect([takeNote(), address()]).toEqual([null, '/'])
  })

  it('leaves other fragments alone', () => {
    open('/calls#main')
    expect([address(), carriedToken.value, carriedNote.value]).toEqual(['/calls#main', null, null])
  })
})
