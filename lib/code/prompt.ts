import { type OAuthError, refusal } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'

/** The values of `prompt` (OpenID Connect Core §3.1.2.1). */
const PROMPTS: ReadonlySet<string> = new Set(['none', 'login', 'consent', 'select_account'])

/** A `max_age` in whole seconds; nine digits are more than thirty years. */
const MAX_AGE = /^\d{1,9}$/

const malformed = (clientId: string, description: string, detail: string): OAuthError =>
  refusal('parameter_malformed', { clientId, description, detail })

/** The values of the `prompt` parameter of a request, each once. */
export const promptsOf = (values: FormParameters): ReadonlySet<string> =>
  new Set((values['prompt'] ?? '').split(' ').filter((each) => each !== ''))

/** Whether the request must be answered without showing a page (`prompt=none`). */
export const isSilent = (values: FormParameters): boolean => promptsOf(values).has('none')

/** The `max_age` of a request in seconds; `undefined` if it is absent. */
export const maxAgeOf = ({ max_age: maxAge }: FormParameters): number | undefined =>
  maxAge === undefined || !MAX_AGE.test(maxAge) ? undefined : Number(maxAge)

/** Throws an `OAuthError` unless `prompt` and `max_age` are well-formed: known values, `none` alone, whole seconds. */
export function checkPrompt(values: FormParameters, clientId: string): void {
  const prompts = promptsOf(values)
  if (![...prompts].every((each) => PROMPTS.has(each))) {
    const expected = [...PROMPTS].join(', ')
    throw malformed(clientId, 'The parameter prompt has an unknown value.', `the known values are ${expected}`)
  }
  if (prompts.has('none') && prompts.size > 1) {
    throw malformed(clientId, 'The prompt value none cannot be combined with others.', 'prompt=none must stand alone')
  }
  if (values['max_age'] !== undefined && maxAgeOf(values) === undefined) {
    throw malformed(clientId, 'The parameter max_age is malformed.', 'max_age must be a number of whole seconds')
  }
}

/** Whether the request requires a new login, even if a user is logged in: `prompt=login`, `prompt=select_account`, `max_age=0`. */
export function demandsLogin(values: FormParameters): boolean {
  const prompts = promptsOf(values)
  return prompts.has('login') || prompts.has('select_account') || maxAgeOf(values) === 0
}

/** The parameters to go on with after a login: what `demandsLogin` is then fulfilled, and would ask again for ever. */
export function afterLogin(values: FormParameters): FormParameters {
  if (!demandsLogin(values)) return values
  const { prompt: _prompt, max_age: maxAge, ...others } = values
  const prompt = [...promptsOf(values)].filter((each) => each !== 'login' && each !== 'select_account').join(' ')
  return {
    ...others,
    ...(prompt === '' ? {} : { prompt }),
    ...(maxAge === undefined || Number(maxAge) === 0 ? {} : { max_age: maxAge }),
  }
}
