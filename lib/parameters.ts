import { refusal } from './errors.ts'

/**
 * The parameters of a request: each name once, each value a non-empty string, no prototype. What was sent empty is
 * absent (RFC 6749 §3.2).
 */
export type FormParameters = Readonly<Record<string, string>>

const FORM = Symbol('the form that was read here')

/** Knows a form, and does not show it where a request is logged whose body was replaced. */
class ReadForm {
  readonly #form: FormParameters

  constructor(form: FormParameters) {
    this.#form = form
  }

  is(body: unknown): body is FormParameters {
    return body === this.#form
  }
}

interface FormCarrier {
  body?: unknown
  [FORM]?: ReadForm
}

/** Leaves a form in `request.body`, and remembers that it is sound: the next middlewares need not look at it again. */
export function setForm(request: object, parameters: FormParameters): void {
  const carrier: FormCarrier = request
  carrier.body = parameters
  carrier[FORM] = new ReadForm(parameters)
}

/** The form that `setForm` left in `request.body`; `undefined` if there is another body now. */
export function formOf(request: object): FormParameters | undefined {
  const { body, [FORM]: form } = request as FormCarrier
  return form?.is(body) ? body : undefined
}

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
