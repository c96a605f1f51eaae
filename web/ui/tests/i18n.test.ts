/** Both languages say everything the code asks for, with the same gaps to fill, and no text hides in a template. */
import { parse } from '@vue/compiler-sfc'
import { NodeTypes, type TemplateChildNode } from '@vue/compiler-core'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import en from '../src/i18n/en.json'
import sw from '../src/i18n/sw.json'

type Tree = { [key: string]: string | Tree }
const SOURCE = join(import.meta.dirname, '../src')
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.startsWith('api/'))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), 'utf8') }))

function flat(tree: Tree, prefix = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') found.set(prefix + key, value)
    else flat(value, `${prefix}${key}.`).forEach((text, name) => found.set(name, text))
  }
  return found
}
const english = flat(en)
const swahili = flat(sw)
const gaps = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()

describe('languages', () => {
  it('have the same keys', () => {
    expect([...swahili.keys()].sort()).toEqual([...english.keys()].sort())
  })
  it('leave the same gaps, and no text is empty', () => {
    for (const [key, text] of english) {
      expect(text.trim(), key).not.toBe('')
      expect(swahili.get(key)?.trim(), key).not.toBe('')
      expect(gaps(swahili.get(key) ?? ''), key).toEqual(gaps(text))
    }
  })
  it('have every key that the code names', () => {
    for (const { name, text } of files) {
      for (const [, key = ''] of text.matchAll(/\bt\(\s*'([^']+)'/g)) expect(english.has(key), `${name}: ${key}`).toBe(true)
      for (const [, group = ''] of text.matchAll(/\bt\(\s*`([\w.]+)\.\$\{[^`]*`/g)) {
        expect([...english.keys()].some((key) => key.startsWith(`${group}.`)), `${name}: ${group}`).toBe(true)
      }
    }
  })
  it('are used: no key is written for nobody', () => {
    const all = files.map(({ text }) => text).join('\n')
    const unused = [...english.keys()].filter((key) => {
      const groups = key.split('.').slice(0, -1).map((_, at, parts) => parts.slice(0, at + 1).join('.'))
      return !all.includes(`'${key}'`) && !groups.some((group) => all.includes(`\`${group}.\${`))
    })
    expect(unused.filter((key) => !/^(error|event|outcome)\./.test(key))).toEqual([])
  })
})

const SPOKEN = new Set(['aria-label', 'title', 'placeholder', 'alt', 'label'])
const WORD = /\p{L}{2,}/u

function literals(node: TemplateChildNode): string[] {
  if (node.type === NodeTypes.TEXT) return WORD.test(node.content) ? [node.content.trim()] : []
  if (node.type !== NodeTypes.ELEMENT) return []
  const attributes = node.props.flatMap((one) =>
    one.type === NodeTypes.ATTRIBUTE && SPOKEN.has(one.name) && WORD.test(one.value?.content ?? '') ? [one.value?.content ?? ''] : [],
  )
  return [...attributes, ...node.children.flatMap(literals)]
}

describe('templates', () => {
  it.each(files.filter(({ name }) => name.endsWith('.vue')))('$name holds no text of its own', ({ text }) => {
    const ast = parse(text).descriptor.template?.ast
    expect(ast?.children.flatMap(literals) ?? []).toEqual([])
  })
})
