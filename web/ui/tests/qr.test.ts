/** The picture holds the modules of the code, each where it belongs, and the quiet edge around them. */
import { mount } from '@vue/test-utils'
import { correction, generate } from 'lean-qr'
import { expect, it } from 'vitest'
import QrCode from '@/components/QrCode.vue'

it('draws each dark module, and nothing else', () => {
  const text = 'otpauth://totp/amani.localhost%3Aamina%40amani.example?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=amani.localhost'
  const code = generate(text, { minCorrectionLevel: correction.M })
  const picture = mount(QrCode, { props: { text, label: 'a key' } })
  expect(picture.attributes()).toMatchObject({ viewBox: `0 0 ${code.size + 8} ${code.size + 8}`, role: 'img', 'aria-label': 'a key' })
  const drawn = new Set<string>()
  for (const [, x, y, width] of (picture.find('path').attributes('d') ?? '').matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    for (let n = 0; n < Number(width); n += 1) drawn.add(`${Number(x) + n - 4} ${Number(y) - 4}`)
  }
  const dark = new Set<string>()
  for (let y = 0; y < code.size; y += 1) for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) dark.add(`${x} ${y}`)
  expect(drawn).toEqual(dark)
  expect(dark.size).toBeGreaterThan(400)
})
