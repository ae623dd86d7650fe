// Which test files name which rule in the titles of their tests.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** Calls that take the title of a test first. */
const CALLS = new Set(['test', 'it', 'describe', 'suite', 'only'])

/** One or two capital letters and a number. Names of algorithms and hashes have the numbers that are left out. */
const ID = /\b[A-Z]{1,2}[1-9]\d{0,2}\b/g
const ALGORITHM = /(?:256|384|512)$/

/** The ids of rules in a title. */
export const idsIn = (title: string): string[] =>
  [...title.matchAll(ID)].map(([id]) => id).filter((id) => !ALGORITHM.test(id))

const calledName = ({ expression }: ts.CallExpression): string | undefined =>
  ts.isIdentifier(expression)
    ? expression.text
    : ts.isPropertyAccessExpression(expression)
      ? expression.name.text
      : undefined

/** The text of a title as far as the source says it. */
function titleOf(node: ts.Expression | undefined): string | undefined {
  if (node === undefined) return undefined
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…')
  return undefined
}

/** The titles of the tests and suites in a source. */
export function titlesIn(file: string, source: string): string[] {
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && CALLS.has(calledName(node) ?? '')) {
      const title = titleOf(node.arguments[0])
      if (title !== undefined) titles.push(title)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true))
  return titles
}

/** The rules that test titles name, each with its test files, sorted. Paths are below `root`. */
export function testsOfRules(root: string): ReadonlyMap<string, readonly string[]> {
  const tests = new Map<string, Set<string>>()
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts') && !name.includes('/node_modules/'))
    .sort()
  for (const file of files)
    for (const title of titlesIn(file, readFileSync(join(root, file), 'utf8')))
      for (const id of idsIn(title)) {
        const known = tests.get(id) ?? new Set()
        tests.set(id, known.add(file))
      }
  return new Map([...tests].map(([id, paths]) => [id, [...paths]]))
}
