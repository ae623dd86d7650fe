import { refusal } from './errors.ts'

/**
 * The parameters of a request: each name once, each value a non-empty string, no prototype. What was sent empty is
 * absent (RFC 6749 §3.2).
 */
export type FormParameters = Readonly<Record<string, string>>

/** The value of a parameter that must be there; `invalid_request` otherwise. */
export function requiredParameter(parameters: FormParameters, name: string): string {
  const value = parameters[name]
  if (value === undefined) throw refusal('parameter_missing', { description: `The parameter ${name} is missing.` })
  return value
}

/** RFC 6749 appendix B: `+` is a space, percent sequences are bytes of UTF-8. Returns `undefined` if that fails. */
export function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
