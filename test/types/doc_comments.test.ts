import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { blocksOf, documents, programsOf } from '../support/markdown.ts'
import {
  examplesOf,
  isDocumented,
  isOurs,
  placeOf,
  publicSurface,
  publicSurfaceWithChecker,
} from '../support/public_surface.ts'

// The reference would show the words of the type that a declaration extends, which are about something else.
for (const [file, names] of publicSurface()) {
  test(`${file}: everything it exports has a doc comment of its own`, () => {
    assert.ok(names.length > 0)
    const bare = names.flatMap(({ name, declarations }) =>
      declarations.filter((each) => !isDocumented(each)).map((each) => `${name} (${placeOf(each)})`),
    )
    assert.deepEqual(bare, [])
  })
}

/** Whether the declarations that users get leave a node out: `stripInternal`. */
const isInternal = (node: ts.Node): boolean => ts.getJSDocTags(node).some(({ tagName }) => tagName.text === 'internal')

/** The exported declarations and the types that their signatures name, as far as they are of this package. */
function reachable(): Map<ts.Declaration, string> {
  const { surface, checker } = publicSurfaceWithChecker()
  const found = new Map<ts.Declaration, string>()
  const visit = (node: ts.Node, name: string): void => {
    if (ts.isBlock(node) || isInternal(node)) return
    if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
      const symbol = checker.getSymbolAtLocation(ts.isTypeReferenceNode(node) ? node.typeName : node.expression)
      const target = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
      for (const declaration of target?.declarations ?? [])
        if (isOurs(declaration) && !found.has(declaration)) {
          found.set(declaration, target?.name ?? name)
          visit(declaration, target?.name ?? name)
        }
    }
    ts.forEachChild(node, (child) => visit(child, name))
  }
  for (const names of surface.values())
    for (const { name, declarations } of names)
      for (const declaration of declarations) {
        found.set(declaration, name)
        visit(declaration, name)
      }
  return found
}

test('every member of every type that users see says what it is', () => {
  const bare: string[] = []
  let seen = 0
  const visit = (node: ts.Node, name: string): void => {
    if (ts.isBlock(node) || isInternal(node)) return
    if (ts.isPropertySignature(node) || ts.isMethodSignature(node)) {
      seen += 1
      if (!isDocumented(node)) bare.push(`${placeOf(node)}: ${name}.${node.name.getText()}`)
    }
    ts.forEachChild(node, (child) => visit(child, name))
  }
  for (const [declaration, name] of reachable())
    if (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)) visit(declaration, name)
  assert.ok(seen > 500, `${seen} members`)
  assert.deepEqual([...new Set(bare)], [])
})

// An example imports the name, and the lines that use it are verbatim in a program that runs.
test('every function and class that is exported has an example, which is part of a program of the documents', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const squeeze = (code: string): string => code.replace(/\s+/g, ' ').trim()
  const programs = documents(root)
    .flatMap((file) => programsOf(blocksOf(root, file)))
    .map(({ source }) => squeeze(source))
  const problems: string[] = []
  for (const [file, names] of publicSurface())
    for (const { name, declarations } of names) {
      const callable = declarations.filter((each) => ts.isFunctionDeclaration(each) || ts.isClassDeclaration(each))
      if (callable.length === 0) continue
      const examples = callable.flatMap(examplesOf)
      if (examples.length === 0) problems.push(`${name} has no @example`)
      for (const example of examples) {
        const [head = '', ...rest] = example.split('\n\n')
        const code = rest.join('\n\n')
        const path = file.replace(/(^|\/)index\.ts$|\.ts$/, '').replace('_', '-')
        const from = `from 'passport-client-assertion-jwt${path === '' ? '' : `/${path}`}'`
        if (head !== `import { ${name} } ${from}` && !(head === `import * as oauth ${from}` && code.includes('oauth.')))
          problems.push(`${name}: ${head}`)
        if (!new RegExp(`\\b${name}\\b`).test(code)) problems.push(`${name}: the example does not use it`)
        if (example.split('\n').length > 16) problems.push(`${name}: the example is long`)
        if (!programs.some((program) => program.includes(squeeze(code))))
          problems.push(`${name}: no document has ${code}`)
      }
    }
  assert.deepEqual(problems, [])
})
