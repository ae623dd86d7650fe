// The functions that the public entries take, read from their types, so that a new one cannot be overlooked.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { exportsOf, readModules } from './public_surface.ts'

const lib = join(fileURLToPath(new URL('../..', import.meta.url)), 'lib')

/**
 * Options whose functions come from this package: the value of the option is what a public function returned. Their
 * functions are not the application's.
 */
const MADE_HERE: Readonly<Record<string, string>> = {
  sessions: 'createSessions',
  tokens: 'createTokens',
  consents: 'createConsents',
  pushed: 'createPushedRequests',
  dpop: 'createDpop',
  resources: 'createResources',
  trustedIssuers: 'createTrustedIssuers',
  verifier: 'createAccessTokenVerifier',
}

/**
 * Lists every function that a public function or class takes, however deep it stands in the options, each as
 * `constructor(parameter).member`.
 */
export function functionOptions(): readonly string[] {
  const { modules, program } = readModules()
  const checker = program.getTypeChecker()
  const exported = modules.flatMap((file) => exportsOf(program, file))
  const values = exported.filter(({ target }) => target.flags & ts.SymbolFlags.Value)
  const typeOf = (name: string): ts.Type | undefined => {
    const found = values.find((each) => each.name === name)
    return found && checker.getTypeOfSymbol(found.target)
  }
  const options = new Set<string>()

  const isMadeHere = (name: string, type: ts.Type): boolean => {
    const maker = MADE_HERE[name]
    if (maker === undefined || type.getCallSignatures().length > 0) return false
    const made = typeOf(maker)?.getCallSignatures()[0]?.getReturnType()
    return made !== undefined && checker.isTypeAssignableTo(made, type)
  }

  const walk = (given: ts.Type, path: string, above: ReadonlySet<ts.Type>): void => {
    const present = checker.getNonNullableType(given)
    const type =
      present.flags & ts.TypeFlags.TypeParameter
        ? checker.getNonNullableType(checker.getBaseConstraintOfType(present) ?? present)
        : present
    for (const part of type.isUnion() ? type.types : [type]) {
      if (above.has(part)) continue
      const below = new Set([...above, part])
      if (part.getCallSignatures().length > 0) options.add(path)
      else if (checker.isArrayType(part) || checker.isTupleType(part))
        for (const each of checker.getTypeArguments(part as ts.TypeReference)) walk(each, `${path}[]`, below)
      else if (part.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))
        for (const member of checker.getPropertiesOfType(part)) {
          const [declaration] = member.declarations ?? []
          if (!declaration?.getSourceFile().fileName.startsWith(lib)) continue
          const own = checker.getNonNullableType(checker.getTypeOfSymbol(member))
          if (!isMadeHere(member.name, own)) walk(own, `${path}.${member.name}`, below)
        }
    }
  }

  for (const { name, target } of values) {
    const type = checker.getTypeOfSymbol(target)
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()])
      for (const parameter of signature.getParameters()) {
        const own = checker.getNonNullableType(checker.getTypeOfSymbol(parameter))
        const label = parameter.name.startsWith('__') ? 'options' : parameter.name
        if (!isMadeHere(parameter.name, own)) walk(own, `${name}(${label})`, new Set())
      }
  }
  return [...options].sort()
}
