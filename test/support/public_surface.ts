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

/** The modules that package.json exports, as files below lib/, with all names of each: values and types. */
export function publicSurface(): ReadonlyMap<string, readonly PublicName[]> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const modules = Object.values<{ import?: { types: string } } | string>(manifest.exports)
    .flatMap((target) => (typeof target === 'string' ? [] : (target.import?.types ?? [])))
    .map((path) => join(root, path.replace('./dist/', 'lib/').replace(/\.d\.mts$/, '.ts')))
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const program = ts.createProgram(modules, options)
  const checker = program.getTypeChecker()
  const namesOf = (file: string): PublicName[] => {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    return (module ? checker.getExportsOfModule(module) : []).map((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
      return { name: symbol.name, declarations: target.declarations ?? [] }
    })
  }
  return new Map(modules.map((file) => [relative(join(root, 'lib'), file), namesOf(file)]))
}

/** Where a declaration stands, for messages. */
export const placeOf = (declaration: ts.Declaration): string => relative(root, declaration.getSourceFile().fileName)

/** Whether a declaration has a doc comment of its own: one that is inherited, or of another declaration, does not count. */
export const isDocumented = (declaration: ts.Declaration): boolean =>
  ts.getJSDocCommentsAndTags(declaration).some((each) => ts.isJSDoc(each) && each.comment !== undefined)

/** Whether a declaration is there for the type checker only. */
export const isType = (declaration: ts.Declaration): boolean =>
  ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)
