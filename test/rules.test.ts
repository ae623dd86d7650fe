// The tables of docs/rules and the titles of the tests are held to each other. `npm run docs:rules` writes what is generated.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isKnownErrorCode, REASONS } from '../lib/errors.ts'
import { urlOfSource } from '../scripts/rules/sources.ts'
import { isReason, readReason, readRules, renderPage, renderPages } from '../scripts/rules/tables.ts'
import { idsIn, testsOfRules, titlesIn } from '../scripts/rules/titles.ts'
import { publicMembers } from './support/public_surface.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const decisions = readdirSync(join(root, 'docs/decisions'))
const rules = readRules(root)
const tests = testsOfRules(root)

test('every id in the title of a test has one row in docs/rules', () => {
  const ids = new Set(rules.map(({ id }) => id))
  const missing = [...tests].filter(([id]) => !ids.has(id)).map(([id, files]) => `${id} in ${files.join(', ')}`)
  assert.deepEqual(missing, [], 'add a row, or take the id out of the title')
  const twice = rules.filter(({ id }, index) => rules.findIndex((each) => each.id === id) !== index)
  assert.deepEqual(
    twice.map(({ id, file }) => `${id} in ${file}`),
    [],
  )
})

test('every row has a test that names it', () => {
  assert.ok(rules.length > 400, String(rules.length))
  const missing = rules.filter(({ id }) => !tests.has(id)).map(({ id, file }) => `${id} in ${file}`)
  assert.deepEqual(missing, [], 'name the rule in the title of the test that proves it')
})

test('what is generated is up to date', () => {
  const stale = [...renderPages(root, tests)].filter(([, { before, after }]) => before !== after).map(([file]) => file)
  assert.deepEqual(stale, [], 'run npm run docs:rules')
})

test('every source is a section that can be linked', () => {
  const unknown = rules.flatMap(({ id, sources }) =>
    sources.filter((name) => urlOfSource(name, decisions) === undefined).map((name) => `${id}: ${name}`),
  )
  assert.deepEqual(unknown, [])
  for (const { id, sources } of rules) {
    assert.ok(sources.length > 0, `${id} names no source`)
    for (const name of sources) {
      const url = urlOfSource(name, decisions) ?? ''
      if (url.startsWith('../')) assert.ok(existsSync(join(root, 'docs/rules', url)), url)
      else assert.ok(URL.canParse(url) && new URL(url).protocol === 'https:', url)
    }
  }
})

test('every reason is one of the package, and every error a code it knows', () => {
  for (const { id, reasons } of rules)
    for (const { name, error } of reasons.map(readReason)) {
      assert.ok(isReason(name), `${id}: ${name}`)
      assert.ok(error === undefined || isKnownErrorCode(error), `${id}: ${error}`)
    }
})

test('every reason of the package has a rule', () => {
  const named = new Set(rules.flatMap(({ reasons }) => reasons.map((each) => readReason(each).name)))
  assert.deepEqual(
    REASONS.filter((reason) => !named.has(reason)),
    [],
  )
})

test('every option is one that applications can write', () => {
  const members = publicMembers()
  for (const misspelt of ['maxLifetime', 'length']) assert.equal(members.has(misspelt), false)
  const nameOf = (option: string): string => /^(?:new )?([\w-]+)/.exec(option)?.[1] ?? option
  const unknown = rules.flatMap(({ id, options }) =>
    options
      .map(nameOf)
      .filter((name) => !members.has(name))
      .map((name) => `${id}: ${name}`),
  )
  assert.deepEqual(unknown, [])
})

test('sentences are short enough to be read in a table', () => {
  for (const { id, statement } of rules) {
    assert.match(statement, /\.$/, id)
    for (const sentence of statement.split(/(?<=[.:;]) /)) {
      const words = sentence.split(/\s+/).length
      assert.ok(words <= 25, `${id} has a sentence of ${words} words: ${sentence}`)
    }
  }
})

test('titles are read from calls, with ids of rules only', () => {
  const source = `
    test('R1, T20: one', () => {})
    describe(\`E12 \${name} (A3)\`, () => { it("RS256 and S256 are algorithms, R2 is a rule", () => {}) })
    t.test('DP4: nested', () => {})
    log('R99')
  `
  assert.deepEqual(titlesIn('x.test.ts', source).flatMap(idsIn), ['R1', 'T20', 'E12', 'A3', 'R2', 'DP4'])
})

test('a page keeps what is written by hand, and what is generated follows from it', () => {
  const page = [
    '# Rules',
    '| id | what is checked | source | reason | option |',
    '| --- | --- | --- | --- | --- |',
    '| R1 | One \\| two. | RFC 7523 §3, decision 0003 | assertion_expired => invalid_grant, code_spent | `jti` |',
    '',
  ].join('\n')
  const once = renderPage(page, new Map([['R1', ['test/a/b.test.ts', 'test/c.test.ts']]]), ['0003-x.md'])
  const row = [
    '| R1 | One \\| two. | [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3), [decision 0003](../decisions/0003-x.md)',
    '[assertion_expired](../reasons.md#assertion_expired) → **`invalid_grant`**, [code_spent](../reasons.md#code_spent) → `invalid_grant`',
    '`jti`',
    '[a/b](../../test/a/b.test.ts), [c](../../test/c.test.ts) |',
  ].join(' | ')
  assert.equal(once.split('\n')[3], row)
  assert.equal(
    renderPage(once, new Map([['R1', []]]), ['0003-x.md'])
      .split('\n')[3]
      ?.endsWith('| – |'),
    true,
  )
  assert.equal(renderPage(once, new Map([['R1', ['test/a/b.test.ts', 'test/c.test.ts']]]), ['0003-x.md']), once)
  for (const wrong of [
    'RFC 7523',
    'RFC §3',
    'RFC 7523 §x',
    'OpenID Core',
    'decision 9999',
    'Nowhere §1',
    '__proto__ §1',
  ])
    assert.equal(urlOfSource(wrong, ['0003-x.md']), undefined, wrong)
})

test('the pages of the folder are listed in its README', () => {
  const readme = readFileSync(join(root, 'docs/rules/README.md'), 'utf8')
  for (const file of new Set(rules.map((rule) => rule.file))) assert.ok(readme.includes(`(${file})`), file)
})
