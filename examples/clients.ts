import { isIP } from 'node:net'
import { importJWK, type JWK } from 'jose'
import { type Client, isPublicAddress } from 'passport-client-assertion-jwt'
import { isHttpLoopback, isLoopbackHost } from './loopback.ts'
import { scopeValues } from './scopes.ts'
import { readJsonArray } from './users.ts'

/** A record that is unsound on its own: its client is refused when it comes. */
export interface UnsoundClient {
  readonly clientId: string
  readonly problem: string
}

export interface ClientRegistry {
  /** The sound clients only. */
  find(clientId: string): Client | undefined
  /** Every scope value that some client may ask for, sorted. */
  readonly scopes: readonly string[]
  readonly unsound: readonly UnsoundClient[]
  /** Parts of sound records that are of no use: a broken key beside a good one, a redirect URI that is never accepted. */
  readonly notes: readonly UnsoundClient[]
}

const METHODS = ['private_key_jwt', 'client_secret_jwt', 'client_secret_basic', 'client_secret_post', 'none']
const MAC_OCTETS: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }
const SIGNATURE_ALGORITHMS = /^(?:RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA|Ed25519)$/
const EC_ALGORITHM: Readonly<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }

/**
 * Reads a clients file: a JSON array in the member names of RFC 7591 and OpenID Connect Dynamic Client Registration.
 * Rejects where the file, or a `client_id`, is of no use; a record that is unsound in itself is set aside.
 *
 * @param options.httpLoopbackKeySets Whether a `jwks_uri` may be `http:` on a loopback address.
 */
export async function readClients(
  path: string,
  options: { readonly httpLoopbackKeySets: boolean },
): Promise<ClientRegistry> {
  const clients = new Map<string, Client>()
  const unsound: UnsoundClient[] = []
  const notes: UnsoundClient[] = []
  const seen = new Set<string>()
  for (const [index, row] of (await readJsonArray(path)).entries()) {
    // what some database writes as null is not there
    const record = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
    const clientId = record['client_id']
    if (typeof clientId !== 'string' || clientId === '')
      throw new Error(`has a client (number ${index + 1}) without client_id`)
    if (seen.has(clientId)) throw new Error(`has two clients with the client_id ${JSON.stringify(clientId)}`)
    seen.add(clientId)
    const note = (problem: string): void => void notes.push({ clientId, problem })
    const problem = await problemOf(record, options.httpLoopbackKeySets, note)
    if (problem === undefined) clients.set(clientId, record as unknown as Client)
    else unsound.push({ clientId, problem })
  }
  const scopes = new Set([...clients.values()].flatMap(({ scope }) => scopeValues(scope)))
  return { find: (clientId) => clients.get(clientId), scopes: [...scopes].sort(), unsound, notes }
}

type ClientRecord = Readonly<Record<string, unknown>>

/** What makes the record unsound, as one sentence; `undefined` where it is sound. */
async function problemOf(
  record: ClientRecord,
  httpLoopbackKeySets: boolean,
  note: (problem: string) => void,
): Promise<string | undefined> {
  return (
    shapeProblem(record) ??
    methodProblem(record) ??
    secretProblem(record) ??
    keySetUriProblem(record['jwks_uri'], httpLoopbackKeySets) ??
    (await keysProblem(record, note)) ??
    redirectUriProblem(record, note)
  )
}

function shapeProblem(record: ClientRecord): string | undefined {
  const isText = (value: unknown): boolean => typeof value === 'string'
  const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
  for (const member of ['client_name', 'token_endpoint_auth_method', 'token_endpoint_auth_signing_alg', 'jwks_uri'])
    if (record[member] !== undefined && !isText(record[member])) return `${member} must be text`
  for (const member of ['redirect_uris', 'grant_types'])
    if (record[member] !== undefined && !isTexts(record[member])) return `${member} must be an array of texts`
  const { scope, client_secret_expires_at: expiresAt } = record
  if (scope !== undefined && (typeof scope !== 'string' || !/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(scope)))
    return 'scope must be scope values separated by spaces'
  if (expiresAt !== undefined && typeof expiresAt !== 'number') return 'client_secret_expires_at must be a number'
  return undefined
}

function methodProblem(record: ClientRecord): string | undefined {
  const method = record['token_endpoint_auth_method']
  const alg = record['token_endpoint_auth_signing_alg']
  if (method !== undefined && !METHODS.includes(String(method)))
    return `token_endpoint_auth_method is ${JSON.stringify(method)}, which is not one of ${METHODS.join(', ')}`
  if (alg === 'none') return 'token_endpoint_auth_signing_alg is none, which signs nothing'
  if (typeof alg === 'string') {
    if (MAC_OCTETS[alg] === undefined && !SIGNATURE_ALGORITHMS.test(alg))
      return `token_endpoint_auth_signing_alg is ${JSON.stringify(alg)}, which is not supported`
    if ((method === 'private_key_jwt') === (MAC_OCTETS[alg] !== undefined) && METHODS.indexOf(String(method)) < 2)
      return `token_endpoint_auth_signing_alg ${alg} does not fit token_endpoint_auth_method ${String(method)}`
  }
  const has = (member: string): boolean => record[member] !== undefined
  if (has('jwks') && has('jwks_uri')) return 'jwks and jwks_uri must not both be there'
  if (method === 'private_key_jwt' && !has('jwks') && !has('jwks_uri')) return 'jwks or jwks_uri is missing'
  if (method === 'client_secret_jwt' && !has('client_secret') && !has('jwks')) return 'client_secret is missing'
  if (method !== 'private_key_jwt' && method !== 'client_secret_jwt' && method !== 'none' && !has('client_secret'))
    return 'client_secret is missing'
  return undefined
}

function secretProblem(record: ClientRecord): string | undefined {
  const { client_secret: secret, token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: alg } = record
  if (secret === undefined) return undefined
  const secrets = Array.isArray(secret) ? secret : [{ value: secret }]
  if (secrets.length === 0) return 'client_secret must not be an empty array'
  // Only a MAC asks for a length (RFC 7518 §3.2); other secrets are as long as their owners want.
  const least = method === 'client_secret_jwt' ? (MAC_OCTETS[String(alg)] ?? 32) : 1
  for (const each of secrets) {
    if (typeof each !== 'object' || each === null || typeof each.value !== 'string' || each.value === '')
      return 'client_secret must be text, or an array of { "value", "expires_at" }'
    if (each.expires_at !== undefined && typeof each.expires_at !== 'number')
      return 'expires_at of a client_secret must be a number'
    if (Buffer.byteLength(each.value) < least)
      return `client_secret is shorter than ${least} octets, which ${String(alg ?? 'HS256')} needs`
  }
  return undefined
}

function keySetUriProblem(uri: unknown, httpLoopbackKeySets: boolean): string | undefined {
  if (uri === undefined) return undefined
  if (!URL.canParse(String(uri))) return 'jwks_uri is not a URL'
  const { protocol, hostname } = new URL(String(uri))
  if (isHttpLoopback(String(uri)))
    return httpLoopbackKeySets ? undefined : 'jwks_uri may be http on this machine only while the issuer is'
  if (protocol !== 'https:') return 'jwks_uri must be https'
  // Names that lead to private addresses are found out when the key set is fetched.
  if (isLoopbackHost(hostname)) return 'jwks_uri must not lead to this machine'
  const address = hostname.replace(/^\[|\]$/g, '')
  return isIP(address) === 0 || isPublicAddress(address) ? undefined : 'jwks_uri must not lead to a private address'
}

async function keysProblem(record: ClientRecord, note: (problem: string) => void): Promise<string | undefined> {
  const { jwks, token_endpoint_auth_method: method } = record
  if (jwks === undefined) return undefined
  let keys: unknown
  try {
    keys = (typeof jwks === 'string' ? JSON.parse(jwks) : jwks)?.keys
  } catch {
    return 'jwks is not JSON'
  }
  if (!Array.isArray(keys)) return 'jwks must be an object with an array named keys'
  const problems = await Promise.all(keys.map((key) => keyProblem(key, record)))
  const found = problems.flatMap((problem, index) => (problem ? [`key ${index + 1} of jwks ${problem}`] : []))
  const needed =
    method === 'private_key_jwt' || (method === 'client_secret_jwt' && record['client_secret'] === undefined)
  if (needed && found.length === keys.length) return found[0] ?? 'jwks holds no key'
  for (const problem of found) note(problem)
  return undefined
}

/** Why a key cannot verify an assertion of the client; `undefined` where it can. */
async function keyProblem(key: unknown, client: ClientRecord): Promise<string | undefined> {
  if (typeof key !== 'object' || key === null) return 'is not an object'
  const jwk = key as JWK
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: registered } = client
  if (jwk.kty === 'oct') {
    if (method === 'private_key_jwt') return 'is a secret, not a public key'
    return typeof jwk.k === 'string' && jwk.k.length >= 43 ? undefined : 'is shorter than 32 octets'
  }
  if (method === 'client_secret_jwt') return 'is no secret, which client_secret_jwt needs'
  if (jwk.d !== undefined) return 'is a private key, which a server must not have'
  if (jwk.use !== undefined && jwk.use !== 'sig') return 'is not for signatures'
  if (jwk.kty === 'RSA' && Buffer.from(String(jwk.n), 'base64url').length < 256) return 'is shorter than 2048 bits'
  if (jwk.kty === 'RSA' && Buffer.from(String(jwk.e), 'base64url').length < 3) return 'has too small an exponent'
  const alg = jwk.alg ?? { RSA: 'RS256', OKP: 'EdDSA', EC: EC_ALGORITHM[String(jwk.crv)] }[String(jwk.kty)]
  if (alg === undefined || !SIGNATURE_ALGORITHMS.test(alg)) return 'is of a kind that is not supported'
  if (typeof registered === 'string' && !serves(jwk, alg, registered))
    return `is not one for ${registered}, the client's token_endpoint_auth_signing_alg`
  try {
    await importJWK(jwk, alg)
    return undefined
  } catch {
    return 'cannot be read'
  }
}

/** Whether a key whose algorithm is, or would usually be, `alg` can check signatures of the registered one. */
const serves = (jwk: JWK, alg: string, registered: string): boolean => {
  const isEdDsa = (name: string): boolean => name === 'EdDSA' || name === 'Ed25519'
  if (alg === registered || (isEdDsa(alg) && isEdDsa(registered))) return true
  return jwk.kty === 'RSA' && jwk.alg === undefined && /^[RP]S/.test(registered)
}

function redirectUriProblem(record: ClientRecord, note: (problem: string) => void): string | undefined {
  for (const uri of (record['redirect_uris'] as readonly string[] | undefined) ?? []) {
    if (!URL.canParse(uri)) note(`redirect URI ${JSON.stringify(uri)} is not a URL`)
    else if (uri.includes('#')) note(`redirect URI ${JSON.stringify(uri)} has a fragment`)
    else if (new URL(uri).protocol !== 'https:' && !isHttpLoopback(uri))
      note(`redirect URI ${JSON.stringify(uri)} is neither https nor http on the user's own machine`)
  }
  return undefined
}
