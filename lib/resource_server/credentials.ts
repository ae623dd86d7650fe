import { refusal } from '../errors.ts'
import type { Request } from '../http/message.ts'

const invalid = (reason: 'parameter_malformed' | 'parameter_repeated', detail: string): Error =>
  refusal(reason, { detail, description: 'The Authorization header is malformed.' })

/** Whether a request has more than one `Authorization` header: Node.js shows the first one only. */
function isRepeated({ rawHeaders = [] }: Pick<Request, 'rawHeaders'>): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (/^authorization$/i.test(rawHeaders[at] ?? '')) count += 1
  return count > 1
}

/** A token, and the scheme that it was sent with. */
export interface Credentials {
  readonly scheme: 'bearer' | 'dpop'
  readonly token: string
}

/** The bearer token of a request, as `readCredentials`: the scheme DPoP counts as no token. */
export function readBearerToken(request: Request): string | undefined {
  const credentials = readCredentials(request)
  return credentials?.scheme === 'bearer' ? credentials.token : undefined
}

/**
 * The token of a request (RFC 6750 §2.1, RFC 9449 §7.1): from the `Authorization` header, and from nowhere else. The scheme
 * may be in any case; one that is neither Bearer nor DPoP counts as no token. Throws `invalid_request` for two headers and
 * for what cannot be a token.
 */
export function readCredentials(request: Request): Credentials | undefined {
  const { authorization } = request.headers
  if (authorization === undefined || authorization === '') return undefined
  if (isRepeated(request)) throw invalid('parameter_repeated', 'expected one Authorization header, got more')
  const end = authorization.search(/[ \t]/)
  const scheme = (end === -1 ? authorization : authorization.slice(0, end)).toLowerCase()
  if (scheme !== 'bearer' && scheme !== 'dpop') return undefined
  const token = end === -1 ? '' : authorization.slice(end).replace(/^ +/, '').trimEnd()
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) throw invalid('parameter_malformed', 'expected Bearer and one token')
  return { scheme, token }
}
