// Words that readers of documentation stumble over, and what to write instead. They appear nowhere in what a user can read: the
// documents, the doc comments that editors show, messages, and the programs and pages of examples/. docs/api is generated from
// the doc comments.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { documents } from './support/markdown.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Each word with its remedy. A blank matches any white space, line breaks included. */
const WORDS: ReadonlyArray<readonly [word: string, remedy: string]> = [
  ['can not', 'write "cannot"'],
  ['octet', 'write "byte"'],
  ['octets', 'write "bytes"'],
  ['is told', 'say who receives what: "receives", "is notified"'],
  ['are told', 'say who receives what: "receive", "are notified"'],
  ['whoever', 'name them: "the caller", "a client that …", "anyone who …"'],
  ["whoever's", 'name them: "the caller\'s", "of any client"'],
  ['in place of', 'write "instead of"'],
  ['once more', 'write "again"'],
]

const PATTERNS = WORDS.map(([word, remedy]) => ({
  word,
  remedy,
  pattern: new RegExp(`(?<![\\w'-])${word.replaceAll(' ', '\\s+')}(?![\\w'-])`, 'gi'),
}))

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')

/** The prose of a document: its text with code, addresses and notes blanked out, so that positions stay what they are. */
const proseOf = (markdown: string): string =>
  markdown
    .replace(/^([ \t]*)(`{3,}|~{3,})[\s\S]*?^\1\2[ \t]*$/gm, blank)
    .replace(/`[^`\n]*`/g, blank)
    .replace(/<!--[\s\S]*?-->/g, blank)
    .replace(/\]\([^)\s]*\)/g, blank)

/** The text of a program that a user can read: its strings, and all comments or only those of declarations (`doc`). */
function readableOf(source: string, comments: 'all' | 'doc'): string {
  const kept = [...blank(source)]
  const keep = (from: number, to: number, text = source.slice(from, to)): void => {
    for (let index = 0; index < text.length; index++) kept[from + index] = text[index] as string
  }
  const keepComment = (from: number, to: number): void => {
    const text = source.slice(from, to)
    if (comments === 'all' || text.startsWith('/**'))
      keep(
        from,
        to,
        text.replace(/^[ \t]*(\*|\/\/)/gm, (start) => ' '.repeat(start.length)),
      )
  }
  const visit = (node: ts.Node): void => {
    ts.forEachLeadingCommentRange(source, node.getFullStart(), keepComment)
    ts.forEachTrailingCommentRange(source, node.getEnd(), keepComment)
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      keep(node.getStart(), node.getEnd())
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('program.ts', source, ts.ScriptTarget.Latest, true))
  return kept.join('')
}

/** The words found, each as `file:line: "word": remedy`. */
const findingsIn = (file: string, text: string): string[] =>
  PATTERNS.flatMap(({ word, remedy, pattern }) =>
    [...text.matchAll(pattern)].map(
      ({ index }) => `${file}:${text.slice(0, index).split('\n').length}: "${word}": ${remedy}`,
    ),
  )

/** The words found in a program. It is parsed only if its text has any of them at all. */
const findingsInProgram = (file: string, comments: 'all' | 'doc'): string[] => {
  const source = read(file)
  if (findingsIn(file, source.replace(/^[ \t]*(\*|\/\/)/gm, '')).length === 0) return []
  return findingsIn(file, readableOf(source, comments))
}

const programsIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.[cm]?[jt]s$/.test(path) && !path.includes('node_modules'))
    .map((path) => `${folder}/${path}`)

const read = (file: string): string => readFileSync(join(root, file), 'utf8')

test('the documents have none of the words that the word list replaces', () => {
  const files = documents(root)
  assert.ok(files.includes('README.md') && files.includes('docs/sessions.md'))
  assert.deepEqual(
    files.flatMap((file) => findingsIn(file, proseOf(read(file)))),
    [],
  )
})

test('doc comments and messages of lib/ have none of them', () => {
  const files = programsIn('lib')
  assert.ok(files.includes('lib/errors.ts'))
  assert.deepEqual(
    files.flatMap((file) => findingsInProgram(file, 'doc')),
    [],
  )
})

test('comments, pages and messages of examples/ have none of them', () => {
  const files = programsIn('examples')
  assert.ok(files.includes('examples/pages.ts'))
  assert.deepEqual(
    files.flatMap((file) => findingsInProgram(file, 'all')),
    [],
  )
})

test('every word is found in prose, doc comments and messages, with its line, and in no code', () => {
  for (const [word, remedy] of WORDS) {
    const broken = word.replace(' ', '\n')
    const found = `:2: "${word}": ${remedy}`
    assert.deepEqual(findingsIn('a.md', proseOf(`# Title\n${broken}, \`${word}\`\n\`\`\`ts\n${word}\n\`\`\`\n`)), [
      `a.md${found}`,
    ])
    const comment = `const a = 1\n/** ${word.replace(' ', '\n * ')} */\nexport const octets = a // ${word}\n`
    assert.deepEqual(findingsIn('a.ts', readableOf(comment, 'doc')), [`a.ts${found}`])
    const message = `const octets = 1\nthrow new TypeError(\`\${octets} ${word} \${octets}\`)\n`
    assert.deepEqual(findingsIn('a.ts', readableOf(message, 'doc')), [`a.ts${found}`])
    assert.deepEqual(findingsIn('a.ts', readableOf(`f(1) // ${word}`, 'all')).length, 1)
  }
})
