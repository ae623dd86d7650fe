// Every public function and class that takes an object with options, and the names of those options, read from the types.
import ts from 'typescript'
import { exportsOf, readModules } from './public_surface.ts'

/** A constructor: where the options stand among its parameters, whether they may be left out, and their names. */
export interface PublicConstructor {
  readonly name: string
  readonly at: number
  readonly isOptional: boolean
  readonly options: readonly string[]
}

/** Lists them. A parameter with the name `options`, or one that is taken apart, has options. */
export function publicConstructors(): readonly PublicConstructor[] {
  const { modules, program } = readModules()
  const checker = program.getTypeChecker()
  return modules.flatMap((file) =>
    exportsOf(program, file).flatMap(({ name, target }): PublicConstructor[] => {
      if (!(target.flags & ts.SymbolFlags.Value)) return []
      const type = checker.getTypeOfSymbol(target)
      const [signature] = [...type.getCallSignatures(), ...type.getConstructSignatures()]
      const parameters = signature?.getParameters() ?? []
      const at = parameters.findLastIndex((each) => each.name === 'options')
      const parameter = parameters[at]
      if (parameter === undefined) return []
      const own = checker.getNonNullableType(checker.getTypeOfSymbol(parameter))
      const parts = own.isUnion() ? own.types : [own]
      const options = [...new Set(parts.flatMap((each) => checker.getPropertiesOfType(each).map((one) => one.name)))]
      const declared = parameter.valueDeclaration
      const isOptional =
        declared !== undefined &&
        ts.isParameter(declared) &&
        (declared.initializer !== undefined || declared.questionToken !== undefined)
      return [{ name, at, isOptional, options: options.sort() }]
    }),
  )
}
