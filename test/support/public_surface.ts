import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** One name that a module of the package exports, and what it stands for. */
export interface PublicName {
  readonly name: string
  readonly declarations: readonly ts.Declaration[]
}

/** The modules that package.json exports, as files, and a program of them. */
export function readModules(): { readonly modules: readonly string[]; readonly program: ts.Program } {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const modules = Object.values<{ import?: { types: string } } | string>(manifest.exports)
    .flatMap((target) => (typeof target === 'string' ? [] : (target.import?.types ?? [])))
    .map((path) => join(root, path.replace('./dist/', 'lib/').replace(/\.d\.mts$/, '.ts')))
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  return { modules, program: ts.createProgram(modules, options) }
}

/** What a module exports, with aliases resolved. */
export function exportsOf(program: ts.Program, file: string): { readonly name: string; readonly target: ts.Symbol }[] {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  const module = source && checker.getSymbolAtLocation(source)
  return (module ? checker.getExportsOfModule(module) : []).map((symbol) => ({
    name: symbol.name,
    target: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
  }))
}

/** The modules that package.json exports, as files below lib/, with all names of each: values and types. */
export const publicSurface = (): ReadonlyMap<string, readonly PublicName[]> => publicSurfaceWithChecker().surface

/** The same, with the type checker that found them. */
export function publicSurfaceWithChecker(): {
  readonly surface: ReadonlyMap<string, readonly PublicName[]>
  readonly checker: ts.TypeChecker
} {
  const { modules, program } = readModules()
  const namesOf = (file: string): PublicName[] =>
    exportsOf(program, file).map(({ name, target }) => ({ name, declarations: target.declarations ?? [] }))
  const surface = new Map(modules.map((file) => [relative(join(root, 'lib'), file), namesOf(file)]))
  return { surface, checker: program.getTypeChecker() }
}

/**
 * The names that applications can write: all exports, and the members of the types that these lead to, such as options of
 * constructors and members of client records. Only what is declared in lib/ counts.
 */
export function publicMembers(): ReadonlySet<string> {
  const { modules, program } = readModules()
  const checker = program.getTypeChecker()
  const names = new Set<string>()
  const seen = new Set<ts.Type>()
  const isOurs = (symbol: ts.Symbol): boolean =>
    (symbol.declarations ?? []).some((each) => each.getSourceFile().fileName.startsWith(join(root, 'lib')))
  const visit = (type: ts.Type): void => {
    if (seen.has(type)) return
    seen.add(type)
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part)
    if (type.flags & ts.TypeFlags.Object)
      for (const each of checker.getTypeArguments(type as ts.TypeReference)) visit(each)
    for (const property of type.getProperties()) {
      if (!isOurs(property)) continue
      names.add(property.name)
      visit(checker.getTypeOfSymbol(property))
    }
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      for (const parameter of signature.getParameters()) visit(checker.getTypeOfSymbol(parameter))
      visit(signature.getReturnType())
    }
  }
  for (const file of modules)
    for (const { name, target } of exportsOf(program, file)) {
      names.add(name)
      visit(isTypeSymbol(target) ? checker.getDeclaredTypeOfSymbol(target) : checker.getTypeOfSymbol(target))
    }
  return names
}

const isTypeSymbol = ({ flags }: ts.Symbol): boolean =>
  (flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) !== 0 && (flags & ts.SymbolFlags.Value) === 0

/** Where a declaration stands, for messages. */
export const placeOf = (declaration: ts.Declaration): string => relative(root, declaration.getSourceFile().fileName)

/** Whether a declaration has a doc comment of its own: one that is inherited, or of another declaration, does not count. */
export const isDocumented = (declaration: ts.Declaration): boolean =>
  ts.getJSDocCommentsAndTags(declaration).some((each) => ts.isJSDoc(each) && each.comment !== undefined)

/** Whether a declaration is there for the type checker only. */
export const isType = (declaration: ts.Declaration): boolean =>
  ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)

/** Whether a declaration is of this package, not of Node or a dependency. */
export const isOurs = (declaration: ts.Declaration): boolean =>
  !relative(join(root, 'lib'), declaration.getSourceFile().fileName).startsWith('..')

/** The code of the `@example` tags of a declaration. */
export const examplesOf = (declaration: ts.Declaration): string[] =>
  ts
    .getJSDocTags(declaration)
    .filter(({ tagName }) => tagName.text === 'example')
    .map(({ comment }) => (ts.getTextOfJSDocComment(comment) ?? '').replace(/^[^\n]*```\w*\n|\n?```\s*$/g, ''))
