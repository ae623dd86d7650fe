// Every regular expression of lib/ and examples/, found in the syntax tree, on inputs that make a superlinear one slow.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The expressions of a folder, each with the place of its first use. */
function expressionsIn(folder: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(?:ts|cjs)$/.test(name) || /node_modules|\.d\.ts$/.test(name)) continue
    const source = ts.createSourceFile(name, readFileSync(join(root, folder, name), 'utf8'), ts.ScriptTarget.Latest)
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node) && !found.has(node.text)) found.set(node.text, `${folder}/${name}`)
      ts.forEachChild(node, visit)
    }
    visit(source)
  }
  return found
}

const PIECES = [
  ...[
    'a',
    'A',
    '0',
    ' ',
    '\t',
    '\n',
    '\0',
    '"',
    '\\',
    '/',
    '.',
    ',',
    ';',
    '=',
    ':',
    '-',
    '_',
    '~',
    '+',
    '%',
    '&',
    '?',
    '#',
    '@',
    '<',
    '[',
  ],
  ...[
    'a ',
    ' ,',
    'a,',
    'a=',
    'a/',
    'a.',
    '. ',
    '%4',
    '%41',
    '\\"',
    '""',
    'a"',
    '; ',
    'no-',
    'é',
    '\u{1f600}',
    '/a',
    '//',
    '..',
    '- ',
  ],
]
const OPENINGS = ['', 'a', 'https://a', 'Bearer ', 'max-age=', '"', '/', '{"', ' ']
/** What the text ends with, so that an expression that is anchored there fails at the very end. */
const ENDINGS = ['', '\0', '!', '"', ' x', 'é']

const LENGTH = 50_000
/** A quadratic expression takes 2.5 thousand million steps for this length, some seconds; a linear one below a millisecond. */
const MOST_MILLISECONDS = 500

function millisecondsOf(expression: RegExp, text: string): number {
  const started = performance.now()
  expression.lastIndex = 0
  expression.test(text)
  return performance.now() - started
}

const texts = PIECES.flatMap((piece) =>
  OPENINGS.slice(0, 3).flatMap((opening) =>
    ENDINGS.map((ending) => opening + piece.repeat(LENGTH / piece.length) + ending),
  ),
).concat(
  OPENINGS.slice(3).flatMap((opening) =>
    ['a', ' ', '0', '\\', '"'].map((each) => `${opening + each.repeat(LENGTH)}\0`),
  ),
)

for (const folder of ['lib', 'examples'])
  test(`no regular expression of ${folder} takes more than linear time`, () => {
    const expressions = expressionsIn(folder)
    assert.ok(expressions.size > 5, `${expressions.size} expressions`)
    const slow: string[] = []
    for (const [literal, place] of expressions) {
      const end = literal.lastIndexOf('/')
      const expression = new RegExp(literal.slice(1, end), literal.slice(end + 1))
      const bad = texts.find((text) => {
        // what is slow once may have been interrupted
        return [1, 2, 3].every(() => millisecondsOf(expression, text) > MOST_MILLISECONDS)
      })
      if (bad !== undefined) slow.push(`${place}: ${literal} on ${JSON.stringify(bad.slice(0, 20))}…`)
    }
    assert.deepEqual(slow, [])
  })

test('the inputs above find a quadratic expression', () => {
  for (const quadratic of [/^\s+|\s+$/g, /a+b/, /\d+\./])
    assert.ok(
      texts.some((text) => millisecondsOf(quadratic, text) > MOST_MILLISECONDS),
      String(quadratic),
    )
})
