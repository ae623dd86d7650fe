import { type Client, type ClientProblem, findClientProblems } from 'passport-client-assertion-jwt'
import { isClientDocument } from 'passport-client-assertion-jwt/cimd'
import { scopeValues } from './scopes.ts'
import { readJsonArray } from './users.ts'

/** A client with a problem in its record. */
export interface UnsoundClient {
  readonly clientId: string
  readonly problem: string
}

export interface ClientRegistry {
  /** The sound clients only. */
  find(clientId: string): Client | undefined
  /** Every scope value that some client may ask for, sorted. */
  readonly scopes: readonly string[]
  /** Records that are unsound on their own: their clients are refused. */
  readonly unsound: readonly UnsoundClient[]
  /** Parts of sound records that are ignored: a broken key next to a good one, a redirect URI that is never accepted. */
  readonly notes: readonly UnsoundClient[]
}

interface ClientsOptions {
  /** Whether a `jwks_uri` may be `http:` on a loopback address. */
  readonly allowHttpLoopback: boolean
  /** Whose tokens clients may authenticate with. */
  readonly trustedIssuers: readonly { readonly issuer: string }[]
}

/**
 * Reads a clients file: a JSON array in the member names of RFC 7591 and OpenID Connect Dynamic Client Registration.
 * Rejects if the file, or a `client_id`, cannot be used; a record that is unsound on its own is set aside. The package
 * judges the records, so a client that is found here is one that the endpoints can authenticate.
 */
export async function readClients(
  path: string,
  { allowHttpLoopback, trustedIssuers }: ClientsOptions,
): Promise<ClientRegistry> {
  const issuers = trustedIssuers.map(({ issuer }) => issuer)
  const clients = new Map<string, Client>()
  const unsound: UnsoundClient[] = []
  const notes: UnsoundClient[] = []
  const seen = new Set<string>()
  for (const [index, record] of (await readJsonArray(path)).entries()) {
    const clientId = record['client_id']
    if (typeof clientId !== 'string' || clientId === '')
      throw new Error(`has a client (number ${index + 1}) without client_id`)
    if (seen.has(clientId)) throw new Error(`has two clients with the client_id ${JSON.stringify(clientId)}`)
    seen.add(clientId)
    // `now: 0`: a secret that has expired is not unsound, it is refused like any other that is over.
    const judged = await findClientProblems(record, { allowHttpLoopback, trustedIssuers: { issuers }, now: 0 })
    const problems = judged.some(isError) ? judged : [...judged, ...contradictions(record)]
    if (problems.some(isError)) {
      unsound.push({ clientId, problem: problems.map(sentence).join('; ') })
    } else {
      clients.set(clientId, record as unknown as Client)
      for (const problem of problems) notes.push({ clientId, problem: sentence(problem) })
    }
  }
  const scopes = new Set([...clients.values()].flatMap(({ scope }) => scopeValues(scope)))
  return { find: (clientId) => clients.get(clientId), scopes: [...scopes].sort(), unsound, notes }
}

/**
 * How a client is called on pages: by its name, the host of its metadata document, or its id. Characters that change the
 * direction of what follows could hide what is written.
 */
export function displayName(client: Client): string {
  const { client_id, client_name } = client
  const host = isClientDocument(client) && URL.canParse(client_id) ? new URL(client_id).host : undefined
  return (client_name || host || client_id).replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '')
}

/** The page of a client that the user can go back to: what its record says, or else the host of its redirect URI. */
export function homeOf(client: Client & { readonly client_uri?: unknown }): string | undefined {
  const home = client.client_uri
  if (typeof home === 'string' && /^https?:\/\//i.test(home) && URL.canParse(home)) return home
  const redirect = client.redirect_uris?.find((uri) => /^https:\/\//i.test(uri) && URL.canParse(uri))
  return redirect === undefined ? undefined : `${new URL(redirect).origin}/`
}

const isError = ({ severity }: ClientProblem): boolean => severity === 'error'

/** The part of the record, and what is wrong with it. */
const sentence = ({ member, detail }: Pick<ClientProblem, 'member' | 'detail'>): string => `${member}: ${detail}`

/** Rules of this server beyond what the endpoints need: a record should say one thing, and nothing unsafe. */
function contradictions(record: Readonly<Record<string, unknown>>): readonly ClientProblem[] {
  const found: ClientProblem[] = []
  if (record['jwks'] && record['jwks_uri'])
    found.push({ severity: 'error', member: 'jwks_uri', detail: 'must not be there together with jwks' })
  if (record['token_endpoint_auth_signing_alg'] === 'none')
    found.push({ severity: 'error', member: 'token_endpoint_auth_signing_alg', detail: 'is none, which signs nothing' })
  const type = record['application_type']
  if (type && type !== 'web' && type !== 'native')
    found.push({ severity: 'warning', member: 'application_type', detail: 'is ignored, expected web or native' })
  return found
}
