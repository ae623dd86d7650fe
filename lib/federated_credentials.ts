import type { Client } from './client.ts'
import { isAbsent } from './optional.ts'

/** One entry of `federated_credentials`, judged. */
export interface FederatedCredential {
  readonly issuer: string
  readonly subject: string | undefined
  readonly audience: string | undefined
  readonly claims: readonly (readonly [name: string, value: string | number | boolean])[]
}

const MOST_ENTRIES = 20
const MOST_CHARACTERS = 600
const MEMBERS: readonly string[] = ['issuer', 'subject', 'audience', 'claims', 'name', 'description']

/** Claims whose values platforms give to one thing only, also after it was renamed or deleted. */
const IMMUTABLE_CLAIMS: readonly string[] = ['repository_id', 'repository_owner_id', 'project_id', 'namespace_id']

/** The message for a record with both its own keys and federated credentials. */
export const TWO_ROOTS_OF_TRUST = 'federated_credentials must not be there together with jwks or jwks_uri'

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MOST_CHARACTERS

const isClaimValue = (value: unknown): value is string | number | boolean =>
  isText(value) || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))

function readEntry(entry: unknown, at: string): FederatedCredential | string {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return `${at} is not an object`
  const unknown = Object.keys(entry).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) return `${at} has the unknown member ${JSON.stringify(unknown.slice(0, 60))}`
  const { issuer, subject, audience, claims: given } = entry as Readonly<Record<string, unknown>>
  const text = `a string of 1 to ${MOST_CHARACTERS} characters`
  if (!isText(issuer)) return `${at}.issuer must be ${text}`
  if (subject !== undefined && !isText(subject)) return `${at}.subject must be ${text}`
  if (audience !== undefined && !isText(audience)) return `${at}.audience must be ${text}`
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given)))
    return `${at}.claims must be an object`
  const claims: [string, string | number | boolean][] = []
  for (const [name, value] of Object.entries(given ?? {})) {
    if (!isClaimValue(value)) return `${at}.claims must have ${text}, numbers and booleans only`
    claims.push([name, value])
  }
  if (subject === undefined && !claims.some(([name]) => IMMUTABLE_CLAIMS.includes(name)))
    return `${at} must name a subject, or a claim out of ${IMMUTABLE_CLAIMS.join(', ')}`
  return { issuer, subject, audience, claims }
}

/**
 * Reads the `federated_credentials` of a client record. Returns the entries, none if the member is absent, or a string
 * that says why the whole member cannot be used.
 */
export function readFederatedCredentials(client: Client): readonly FederatedCredential[] | string {
  const { federated_credentials: given } = client as { readonly federated_credentials?: unknown }
  if (isAbsent(given)) return []
  if (!Array.isArray(given)) return 'federated_credentials must be an array'
  if (given.length > MOST_ENTRIES) return `federated_credentials must have at most ${MOST_ENTRIES} entries`
  const entries: FederatedCredential[] = []
  for (const [index, each] of given.entries()) {
    const entry = readEntry(each, `federated_credentials[${index}]`)
    if (typeof entry === 'string') return entry
    entries.push(entry)
  }
  return entries
}
