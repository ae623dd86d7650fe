// The tables of docs/rules: reading their rows, and writing the cells that are generated.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOfReason, REASONS, type Reason } from '../../lib/errors.ts'
import { urlOfSource } from './sources.ts'

/** One rule as its row states it. */
export interface Rule {
  readonly file: string
  readonly id: string
  readonly statement: string
  /** The names of the texts and sections, as `urlOfSource` knows them. */
  readonly sources: readonly string[]
  /** The reasons, each with the error if that is another one than usual: "assertion_expired => invalid_grant". */
  readonly reasons: readonly string[]
  readonly options: readonly string[]
}

const NONE = '–'
const HEADER = '| id | what is checked | source | reason and error | option | tests |'

const withoutLinks = (text: string): string => text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|\s*$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())

const isRow = (line: string): boolean => /^\| *[A-Z]{1,2}[1-9]\d{0,2} *\|/.test(line)

const listOf = (cell: string): string[] =>
  cell === NONE || cell === '' ? [] : cell.split(/,\s+/).map((each) => each.trim())

const codesIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

/** Whether a name is a reason of this package. */
export const isReason = (name: string): name is Reason => (REASONS as readonly string[]).includes(name)

function readRow(file: string, line: string): Rule {
  const [id = '', statement = '', source = '', reason = '', option = ''] = cellsOf(line)
  const reasons = withoutLinks(reason)
    .replace(/\s*→\s*\*\*`([^`]*)`\*\*/g, ' => $1')
    .replace(/\s*→\s*`[^`]*`/g, '')
  return {
    file,
    id,
    statement,
    sources: listOf(withoutLinks(source)),
    reasons: listOf(reasons),
    options: codesIn(option),
  }
}

const pages = (root: string): string[] =>
  readdirSync(join(root, 'docs/rules'))
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .sort()

/** All rules of docs/rules, in the order of the tables. */
export const readRules = (root: string): Rule[] =>
  pages(root).flatMap((file) =>
    readFileSync(join(root, 'docs/rules', file), 'utf8')
      .split('\n')
      .filter(isRow)
      .map((line) => readRow(file, line)),
  )

/** A reason of a row, and the error it goes out as there if that is another one than usual. */
export function readReason(text: string): { readonly name: string; readonly error: string | undefined } {
  const [name = '', error] = text.split(' => ')
  return { name, error }
}

/** An error that is not the usual one of the reason is bold. */
function reasonCell(text: string): string {
  const { name, error } = readReason(text)
  if (!isReason(name)) return text
  return `[${name}](../reasons.md#${name}) → ${error === undefined ? `\`${codeOfReason(name)}\`` : `**\`${error}\`**`}`
}

const testCell = (path: string): string => `[${path.replace(/^test\/|\.test\.ts$/g, '')}](../../${path})`

/**
 * A page with its generated cells written anew: the links of sources, the error of each reason, and the tests. A name that
 * is unknown stays as it is.
 */
export function renderPage(
  text: string,
  tests: ReadonlyMap<string, readonly string[]>,
  decisions: readonly string[],
): string {
  const linked = (name: string): string => {
    const url = urlOfSource(name, decisions)
    return url === undefined ? name : `[${name}](${url})`
  }
  const lines = text.split('\n')
  return lines
    .map((line, index) => {
      if (/^\| *id *\|/.test(line)) return HEADER
      if (/^\| *-/.test(line) && lines[index - 1]?.startsWith('| id')) return '| --- | --- | --- | --- | --- | --- |'
      if (!isRow(line)) return line
      const { id, statement, sources, reasons } = readRow('', line)
      const option = cellsOf(line)[4] ?? ''
      const cells = [
        id,
        statement,
        sources.map(linked).join(', '),
        reasons.map(reasonCell).join(', '),
        option,
        (tests.get(id) ?? []).map(testCell).join(', '),
      ]
      return `| ${cells.map((cell) => (cell === '' ? NONE : cell)).join(' | ')} |`
    })
    .join('\n')
}

/** The pages with tables as they are and as they should be, by file name. */
export function renderPages(
  root: string,
  tests: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, { readonly before: string; readonly after: string }> {
  const decisions = readdirSync(join(root, 'docs/decisions'))
  return new Map(
    pages(root).map((file) => {
      const before = readFileSync(join(root, 'docs/rules', file), 'utf8')
      return [file, { before, after: renderPage(before, tests, decisions) }]
    }),
  )
}
