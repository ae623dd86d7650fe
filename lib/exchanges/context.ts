import { refusal } from '../errors.ts'
import { askHook, MOST_HOOK_MILLISECONDS, returnedWrong } from '../hooks.ts'
import { requireFunction } from '../options.ts'
import type { ClaimsContext } from '../token/token_claims.ts'
import type { TokenSet } from '../token/token_set.ts'

/** Members of a token response, beside those of the protocol. */
type Members = Readonly<Record<string, unknown>>

/** The option that adds members to token responses. */
export interface ContextOption {
  /**
   * Returns members to add to the token response, such as the `patient` of a SMART launch; `undefined` for none. It is called
   * for each response, with the session where there is one, before anything is used up: if it fails, the client may send the
   * same request again. The members that this package sets (`access_token`, `token_type`, `expires_in`, `refresh_token`,
   * `scope`, …) cannot be set: a result that has one of them is a server error, which names it. An `id_token` or
   * `authorization_details` of your own can. An `OAuthError` it throws is the response. Default: no further members.
   */
  readonly context?:
    | ((facts: ClaimsContext) => Members | undefined | null | Promise<Members | undefined | null>)
    | undefined
}

/** The members of RFC 6749 §5 and RFC 8693 §2.2.1, and ours. ID tokens and authorization details are the application's. */
const PROTOCOL_MEMBERS: ReadonlySet<string> = new Set([
  'access_token',
  'token_type',
  'expires_in',
  'refresh_token',
  'refresh_expires_in',
  'scope',
  'issued_token_type',
])

/** Without regard to case, for clients that compare so; `__proto__` means something to clients that assign members. */
const isProtocolMember = (name: string): boolean => {
  const lower = name.toLowerCase()
  return PROTOCOL_MEMBERS.has(lower) || lower.startsWith('error') || name === '__proto__'
}

/** Throws a `TypeError` unless the option is absent or a function. */
export function requireContext(context: ContextOption['context']): void {
  if (context !== undefined) requireFunction('context', context)
}

/** What goes over the wire of a value; `undefined` if it is not JSON. */
function asJson(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value))
  } catch {
    return undefined
  }
}

/** Asks for the members to add. They are read once, so that nothing can change them afterwards. */
export async function askContext(
  context: NonNullable<ContextOption['context']>,
  facts: ClaimsContext,
): Promise<Members | undefined> {
  const returned = await askHook('context', MOST_HOOK_MILLISECONDS, () => context(facts))
  if (returned === undefined || returned === null) return undefined
  // A Map or a Set is an empty object in JSON.
  const members = typeof returned === 'object' && !(Symbol.iterator in returned) ? asJson(returned) : undefined
  if (typeof members !== 'object' || members === null || Array.isArray(members))
    throw returnedWrong('context', 'an object of JSON, or undefined')
  const refused = Object.keys(members).find(isProtocolMember)
  if (refused !== undefined)
    throw refusal('misconfigured', {
      clientId: facts.client.client_id,
      detail: `the option 'context' returned the member '${refused.slice(0, 64)}', which only the protocol sets`,
    })
  return members as Members
}

/** A token response with these members added. */
export const withMembers = (tokens: TokenSet, members: Members | undefined): TokenSet =>
  members === undefined ? tokens : { ...tokens, ...members }
