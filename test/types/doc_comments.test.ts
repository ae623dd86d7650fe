import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript'
import { isDocumented, isOurs, placeOf, publicSurface, publicSurfaceWithChecker } from '../support/public_surface.ts'

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
