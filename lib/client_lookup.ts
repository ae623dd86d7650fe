import { type Client, type FindClient, findUnreadable, type RequestContext, type UnreadableMember } from './client.ts'
import { findUnreadableExpiry } from './client_secret.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from './errors.ts'
import { isPromise } from './maybe_promise.ts'

/** The longest client identifier. They may be URLs. */
const MOST_CLIENT_ID_CHARACTERS = 1024

/** RFC 6749 appendix A.1 has visible ASCII. What cannot be registered is not looked up: databases fail on NUL. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u

/** Whether an identifier can be that of a registered client. */
export const isRegistrableClientId = (clientId: string): boolean =>
  clientId !== '' && clientId.length <= MOST_CLIENT_ID_CHARACTERS && !UNPRINTABLE.test(clientId)

/** Finds what keeps a record from being read; `undefined` where nothing does. Every look-up and `findClientProblems` ask it. */
export const findRecordProblem = (found: unknown): UnreadableMember | undefined =>
  findUnreadable(found) ?? findUnreadableExpiry(found as Client)

/** The same as a sentence for operators. */
export function recordProblem(found: unknown): string | undefined {
  const problem = findRecordProblem(found)
  if (problem === undefined) return undefined
  const { member, detail } = problem
  return member === 'client_id' ? 'findClient gave no record with a client_id' : `${member} ${detail}`
}

/**
 * Judges what `findClient` returned for `clientId`: the client, or the refusal. A record of another `client_id` is not
 * that client: a database may compare without regard to case.
 */
export function judgeClient<C extends Client>(found: C | undefined | null, clientId: string): C | OAuthError {
  if (found === undefined || found === null)
    return refusal('client_unknown', { clientId, detail: 'no client has this client_id' })
  const problem = recordProblem(found)
  if (problem !== undefined) return refusal('client_misconfigured', { clientId, detail: problem })
  return found.client_id === clientId
    ? found
    : refusal('client_unknown', { clientId, detail: 'findClient returned the record of another client_id' })
}

/** The refusal of a client whose own metadata document was judged: the one outcome that `findClient` may throw. */
const isDocumentRefusal = (thrown: unknown): thrown is OAuthError =>
  thrown instanceof OAuthError && thrown.reason === 'client_document_refused'

/** What becomes of what `findClient` threw or rejected with. */
function refusalOf(thrown: unknown): OAuthError {
  if (isDocumentRefusal(thrown)) return thrown
  throw unavailable(thrown, "the option 'findClient' threw, rejected, or did not settle in time")
}

const asItIs = (looked: unknown): never => looked as never

/**
 * Looks a client up. Every endpoint does it with this function. Returns the client, or the refusal as a value:
 * `client_unknown`, also for an identifier that cannot be registered, `client_misconfigured`, or the
 * `client_document_refused` that `findClient` threw. With `use`, it returns what that makes of the client or the refusal.
 * If `findClient` throws or rejects with anything else, this throws or rejects with `store_unavailable` (503), whose
 * `detail` names the option. A `findClient` that returns at once is not awaited.
 */
export function lookUpClient<C extends Client, R = C | OAuthError>(
  findClient: FindClient<C>,
  clientId: string,
  context: RequestContext,
  use: (looked: C | OAuthError) => R = asItIs,
): R | Promise<R> {
  if (!isRegistrableClientId(clientId))
    return use(refusal('client_unknown', { clientId, detail: 'the client_id has no valid form' }))
  let found: ReturnType<FindClient<C>>
  try {
    found = findClient(clientId, context)
  } catch (thrown) {
    return use(refusalOf(thrown))
  }
  if (!isPromise(found)) return use(judgeClient(found, clientId))
  return awaitAnswer<C | undefined | null, R>(
    found,
    (record) => use(judgeClient(record, clientId)),
    undefined,
    (thrown) => use(refusalOf(thrown)),
  )
}

/** The client of that identifier. Throws the refusal where there is none. */
export async function requireClient<C extends Client>(
  findClient: FindClient<C>,
  clientId: string,
  context: RequestContext,
): Promise<C> {
  const client = await lookUpClient(findClient, clientId, context)
  if (client instanceof OAuthError) throw client
  return client
}
