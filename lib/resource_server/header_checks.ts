import { refusal } from '../errors.ts'
import { shown } from './source.ts'

type Header = Readonly<Record<string, unknown>>

/** Whether `typ` is that of an access token (RFC 9068 §4). A media type may leave out `application/`, in any case. */
export const isAccessTokenType = (typ: unknown): boolean =>
  typeof typ === 'string' && typ.length < 64 && /^(?:application\/)?at\+jwt$/i.test(typ)

/** Types of a foreign issuer that does not follow RFC 9068. */
const isUntyped = (typ: unknown): boolean =>
  typ === undefined || (typeof typ === 'string' && typ.length < 64 && /^(?:application\/)?jwt$/i.test(typ))

/** `typ` says that this is an access token; nothing in the header changes how it is read (`crit`, `b64`, `zip`, `enc`). */
export function checkHeader(header: Header, isTypeOptional: boolean): void {
  for (const name of ['crit', 'b64', 'zip', 'enc'])
    if (Object.hasOwn(header, name))
      throw refusal('token_malformed', { detail: `expected no ${name} in the header, got one` })
  const { typ } = header
  if (isAccessTokenType(typ) || (isTypeOptional && isUntyped(typ))) return
  throw refusal('token_typ_not_allowed', { detail: `expected typ at+jwt, got ${shown(typ)}` })
}

/** `kid`, if there is one, as a string. */
export function readKeyId({ kid }: Header): string | undefined {
  if (kid === undefined || typeof kid === 'string') return kid
  throw refusal('token_malformed', { detail: 'expected kid to be a string' })
}
