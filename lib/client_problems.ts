import { isIP } from 'node:net'
import { type Client, grantTypesOf, isPublicClient, redirectUrisOf } from './client.ts'
import { findRecordProblem, isRegistrableClientId } from './client_lookup.ts'
import { isHashedSecret, isSecretExpired, secretsOf } from './client_secret.ts'
import { systemClock } from './clock.ts'
import { checkRedirectUriRules, isUsableRedirectUri, type RedirectUriRules } from './code/redirect_uri.ts'
import { readFederatedCredentials, TWO_ROOTS_OF_TRUST } from './federated_credentials.ts'
import { ALL_ALGORITHMS, algorithmNamed, isSameAlgorithm } from './keys/algorithms.ts'
import { findKeyProblem } from './keys/judgement.ts'
import { readInlineKeys } from './keys/jwks.ts'
import { createPublicKeys, type PublicKeys } from './keys/public_keys.ts'
import { ignoreRejection } from './maybe_promise.ts'
import { isAbsent, isString, readOptional } from './optional.ts'
import { badOption, booleanOption, checkOptions, optionNames, requireFunction, wholeNumber } from './options.ts'
import { type IsAllowedAddress, isPublicAddress } from './remote/address.ts'
import { documentUrl, hostOf } from './remote/url.ts'
import { areResourceIndicators } from './resource/indicator.ts'
import { registeredScope } from './scope.ts'

/** Something in a client record that keeps the client, or a part of the record, from working. */
export interface ClientProblem {
  /** `error`: the client cannot use the server at all. `warning`: a part of the record is ignored. */
  readonly severity: 'error' | 'warning'
  /** Where it is: `jwks_uri`, `jwks.keys[1]`, `redirect_uris[0]`. */
  readonly member: string
  /** What is wrong, for operators. It never contains a secret. */
  readonly detail: string
}

/**
 * The options of `findClientProblems`: what the server accepts.
 *
 * @inline
 */
export interface ClientProblemOptions extends RedirectUriRules {
  /** The client authentication methods that the server offers. Default: the five of this package. */
  readonly methods?: readonly string[] | undefined
  /** The option `algorithms` of the verifier. Default: every algorithm that is accepted by default. */
  readonly algorithms?: readonly string[] | undefined
  /** The option `edDsaAlias` of the verifier. Default `true`. */
  readonly edDsaAlias?: boolean | undefined
  /** The option `keySets.maxKeys` of the verifier. Default 100. */
  readonly maxKeys?: number | undefined
  /** The option `keySets.allowHttpLoopback` of the verifier. Default `false`. */
  readonly allowHttpLoopback?: boolean | undefined
  /** The option `keySets.isAllowedAddress` of the verifier. Default: public addresses. */
  readonly isAllowedAddress?: IsAllowedAddress | undefined
  /** The option `trustedIssuers` of the verifier, or the names of its issuers. Default: none. */
  readonly trustedIssuers?:
    | {
        /** The issuer identifiers that `federated_credentials` may name. */
        readonly issuers: readonly string[]
      }
    | undefined
  /** The time for which expiry is judged, epoch seconds. Default: now. */
  readonly now?: number | undefined
}

const NAMES = optionNames<ClientProblemOptions>({
  methods: true,
  algorithms: true,
  edDsaAlias: true,
  maxKeys: true,
  allowHttpLoopback: true,
  isAllowedAddress: true,
  trustedIssuers: true,
  privateUseSchemes: true,
  now: true,
})

function checkProblemOptions(options: ClientProblemOptions): void {
  checkOptions('findClientProblems', options, NAMES)
  const { methods, algorithms, trustedIssuers, isAllowedAddress } = options
  for (const [name, value] of [
    ['methods', methods],
    ['algorithms', algorithms],
    ['trustedIssuers.issuers', trustedIssuers === undefined ? undefined : Object(trustedIssuers).issuers],
  ] as const)
    if (value !== undefined && !Array.isArray(value)) throw badOption(name, 'an array of strings', value)
  if (trustedIssuers !== undefined && (typeof trustedIssuers !== 'object' || trustedIssuers === null))
    throw badOption('trustedIssuers', 'an object with issuers', trustedIssuers)
  if (isAllowedAddress !== undefined) requireFunction('isAllowedAddress', isAllowedAddress)
  for (const name of ['edDsaAlias', 'allowHttpLoopback'] as const) booleanOption(name, options[name], false)
  if (options.now !== undefined && !Number.isFinite(options.now)) throw badOption('now', 'epoch seconds', options.now)
  wholeNumber('maxKeys', options.maxKeys, 100, 1, 1000)
  checkRedirectUriRules(options)
}

const METHODS = ['private_key_jwt', 'client_secret_jwt', 'client_secret_basic', 'client_secret_post', 'none']

type Found = ClientProblem | undefined
const error = (member: string, detail: string): ClientProblem => ({ severity: 'error', member, detail })
const warning = (member: string, detail: string): ClientProblem => ({ severity: 'warning', member, detail })

/** One record, what its members say, and what the server accepts. */
interface Subject {
  readonly client: Client
  readonly method: string | undefined
  readonly options: ClientProblemOptions
  /** The algorithms its assertions may use; empty if it uses none. */
  readonly algorithms: readonly string[]
  readonly publicKeys: PublicKeys
  readonly now: number
}

/** As `PushedRequests` reads it. */
const isResourceList = (value: unknown): boolean => isAbsent(value) || areResourceIndicators(value)

const isBooleanOrAbsent = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === 'boolean'

function findShapeProblems(client: Client): readonly Found[] {
  const strings = ['client_name', 'token_endpoint_auth_method', 'token_endpoint_auth_signing_alg', 'jwks_uri'] as const
  const demands = ['require_pushed_authorization_requests', 'dpop_bound_access_tokens'] as const
  return [
    ...strings.map((name) =>
      isAbsent(client[name]) || isString(client[name]) ? undefined : error(name, 'must be a string'),
    ),
    ...demands.map((name) =>
      isBooleanOrAbsent(client[name]) ? undefined : warning(name, 'is not a boolean and is treated as true'),
    ),
    isResourceList(client.resources)
      ? undefined
      : warning('resources', 'must be an array of absolute URIs without a fragment (RFC 8707 section 2)'),
    registeredScope(readOptional(client.scope) ?? '') === undefined
      ? error('scope', 'must be scope values, separated by spaces (RFC 6749 section 3.3)')
      : undefined,
  ]
}

function findMethodProblems({ client, method, options }: Subject): readonly Found[] {
  const { methods = METHODS, algorithms = ALL_ALGORITHMS, edDsaAlias = true } = options
  if (method !== undefined && !methods.includes(method))
    return [error('token_endpoint_auth_method', `is ${JSON.stringify(method)}, expected one of ${methods.join(', ')}`)]
  const alg = readOptional(client.token_endpoint_auth_signing_alg)
  if (alg === undefined || (method !== 'private_key_jwt' && method !== 'client_secret_jwt')) return []
  const name = 'token_endpoint_auth_signing_alg'
  const shown = JSON.stringify(alg)
  if (!algorithms.some((each) => isSameAlgorithm(alg, each, edDsaAlias)))
    return [error(name, `is ${shown}, expected one of ${algorithms.join(', ')}`)]
  return algorithmNamed(alg)?.method === method ? [] : [error(name, `is ${shown}, which is no algorithm of ${method}`)]
}

/** The shortest secret that the client could use for a MAC, in bytes. */
const leastSecretBytes = (algorithms: readonly string[]): number =>
  Math.min(...algorithms.map((alg) => algorithmNamed(alg)?.leastBits ?? 0)) / 8

const hasKeys = ({ jwks, jwks_uri: uri }: Client): boolean => !isAbsent(jwks) || !isAbsent(uri)

/** Keys from two places (RFC 7591 §2). */
const findTwoKeySets = ({ jwks, jwks_uri: uri }: Client): Found =>
  isAbsent(jwks) || isAbsent(uri)
    ? undefined
    : error('jwks_uri', 'must not be there together with jwks (RFC 7591 section 2)')

/** Of a client with keys and no secret: without a method it could use a secret only. */
const findMethodMissing = (client: Client): readonly Found[] => [
  error('token_endpoint_auth_method', 'is missing: a client with keys needs private_key_jwt'),
  findTwoKeySets(client),
]

function findSecretProblems({ client, method, algorithms, now }: Subject): readonly Found[] {
  if (method === 'private_key_jwt' || method === 'none') return []
  const isMac = method === 'client_secret_jwt'
  if (method !== undefined && !isMac && method !== 'client_secret_basic' && method !== 'client_secret_post') return []
  const name = 'client_secret'
  const secret: unknown = readOptional(client.client_secret)
  if (secret === undefined) {
    if (isMac && !isAbsent(client.jwks)) return []
    return method === undefined && hasKeys(client) ? findMethodMissing(client) : [error(name, 'is missing')]
  }
  const secrets = secretsOf(client)
  const count = Array.isArray(secret) ? secret.length : 1
  if (secrets.length < count)
    return [error(name, 'must be a string, bytes, or an array of { value, expires_at } with non-empty values')]
  if (secrets.every(({ expiresAt }) => isSecretExpired(expiresAt, now))) return [error(name, 'has expired')]
  if (!isMac) return []
  const least = leastSecretBytes(algorithms)
  return secrets.map(({ value }) => {
    if (isHashedSecret(value)) return error(name, 'is hashed, and a hash cannot check a MAC')
    const bytes = Buffer.byteLength(value)
    return bytes < least ? error(name, `has ${bytes} bytes, client_secret_jwt needs ${least}`) : undefined
  })
}

/** A `jwks_uri` that the verifier would not request. Names are resolved only when the set is fetched. */
function findUriProblem(uri: string, options: ClientProblemOptions): string | undefined {
  const url = documentUrl(uri, options.allowHttpLoopback === true)
  if (url === undefined) return 'must be an https URL without user information'
  if (url.protocol === 'http:') return undefined
  const isAllowed = options.isAllowedAddress ?? isPublicAddress
  const host = url.hostname === 'localhost' ? '127.0.0.1' : hostOf(url)
  return isIP(host) === 0 || ignoreRejection<unknown>(isAllowed(host)) === true
    ? undefined
    : 'must not lead to an address that is not public'
}

/** What keeps a client from authenticating with tokens of trusted issuers; `undefined` for one that has keys. */
function findFederatedProblems({ client, options }: Subject): readonly Found[] | undefined {
  const issuers = options.trustedIssuers?.issuers ?? []
  const name = 'federated_credentials'
  if (issuers.includes(client.client_id)) return [error('client_id', 'must not be that of a trusted issuer')]
  if (isAbsent(client.federated_credentials)) {
    const isSpiffeId = issuers.some((issuer) => client.client_id.startsWith(`${issuer}/`) && /^spiffe:/.test(issuer))
    return isSpiffeId && !hasKeys(client) ? [] : undefined
  }
  if (hasKeys(client)) return [error(name, TWO_ROOTS_OF_TRUST.slice(name.length + 1))]
  const credentials = readFederatedCredentials(client)
  if (typeof credentials === 'string') return [error(name, `cannot be used: ${credentials}`)]
  if (issuers.length === 0) return [error(name, 'cannot be used: the server trusts no issuer')]
  const unknown = credentials.map(({ issuer }, index) =>
    issuers.includes(issuer) ? undefined : warning(`${name}[${index}].issuer`, 'is not trusted by the server'),
  )
  return unknown.every((each) => each !== undefined) ? [error(name, 'names no issuer that the server trusts')] : unknown
}

async function findKeyProblems(subject: Subject): Promise<readonly Found[]> {
  const { client, method, options, algorithms, publicKeys } = subject
  const isMac = method === 'client_secret_jwt'
  if (method !== 'private_key_jwt' && !isMac) return []
  const federated = isMac ? undefined : findFederatedProblems(subject)
  if (federated !== undefined) return federated
  const jwks: unknown = readOptional(client.jwks)
  const uri = readOptional(client.jwks_uri)
  const twoKeySets = isMac ? undefined : findTwoKeySets(client)
  if (twoKeySets !== undefined) return [twoKeySets]
  if (uri !== undefined && !isMac) {
    const problem = findUriProblem(uri, options)
    return [problem === undefined ? undefined : error('jwks_uri', problem)]
  }
  if (jwks === undefined) return [isMac ? undefined : error('jwks', 'is missing, and so is jwks_uri')]
  const keys = readInlineKeys(jwks, options.maxKeys ?? 100)
  const isNeeded = !isMac || isAbsent(client.client_secret)
  if (typeof keys === 'string') return [(isNeeded ? error : warning)('jwks', `cannot be read: ${keys}`)]
  const { edDsaAlias = true } = options
  const problems = await Promise.all(keys.map((jwk) => findKeyProblem(jwk, algorithms, edDsaAlias, publicKeys)))
  const found = problems.map((problem, index) =>
    problem === undefined ? undefined : warning(`jwks.keys[${index}]`, problem),
  )
  const noneIsLeft = isNeeded && problems.every((problem) => problem !== undefined)
  return noneIsLeft ? [error('jwks', 'has no key that can be used'), ...found] : found
}

function findRedirectUriProblems({ client, options }: Subject): readonly Found[] {
  const rules = { privateUseSchemes: options.privateUseSchemes }
  return redirectUrisOf(client).map((uri, index) =>
    isUsableRedirectUri(uri, rules)
      ? undefined
      : warning(
          `redirect_uris[${index}]`,
          `${JSON.stringify(uri)} is never redirected to: it must be https, http on a loopback address, or of a scheme in privateUseSchemes, without fragment`,
        ),
  )
}

/** RFC 6749 §4.4: the token endpoint refuses this grant to public clients, whatever their record says. */
function findGrantProblem({ client }: Subject): Found {
  if (!isPublicClient(client) || !grantTypesOf(client).includes('client_credentials')) return undefined
  return warning('grant_types', 'has client_credentials, which a public client cannot use (RFC 6749 section 4.4)')
}

/** The algorithms a client of this method may use: the one it registered, or all of the server's. */
function algorithmsOf(client: Client, method: string | undefined, options: ClientProblemOptions): readonly string[] {
  const { algorithms = ALL_ALGORITHMS, edDsaAlias = true } = options
  const only = readOptional(client.token_endpoint_auth_signing_alg)
  return algorithms.filter(
    (alg) => algorithmNamed(alg)?.method === method && (only === undefined || isSameAlgorithm(only, alg, edDsaAlias)),
  )
}

/**
 * Judges a client record as the endpoints will: use it when clients are registered or at start-up. It fetches nothing
 * and judges only what the client's method uses. An empty array means that nothing was found.
 *
 * It does not find duplicate `client_id`s, and it does not know the rules of `perClient`.
 *
 * @example
 * ```ts
 * import { findClientProblems } from 'passport-client-assertion-jwt'
 *
 * for (const { severity, member, detail } of await findClientProblems(client)) {
 *   console.log(`${severity}: ${client.client_id}: ${member} ${detail}`)
 * }
 * ```
 */
export async function findClientProblems(
  client: unknown,
  options: ClientProblemOptions = {},
): Promise<readonly ClientProblem[]> {
  checkProblemOptions(options)
  const unreadable = findRecordProblem(client)
  if (unreadable !== undefined) return [error(unreadable.member, unreadable.detail)]
  const record = client as Client
  if (!isRegistrableClientId(record.client_id)) return [error('client_id', 'must be 1 to 1024 printable characters')]
  const shape = findShapeProblems(record).filter((each) => each !== undefined)
  if (shape.some(({ severity }) => severity === 'error')) return shape
  const method = readOptional(record.token_endpoint_auth_method)
  const subject: Subject = {
    client: record,
    method,
    options,
    algorithms: algorithmsOf(record, method, options),
    publicKeys: createPublicKeys(256),
    now: options.now ?? systemClock(),
  }
  const problems = findMethodProblems(subject)
  const found =
    problems.length > 0
      ? problems
      : [
          ...findSecretProblems(subject),
          ...(await findKeyProblems(subject)),
          findGrantProblem(subject),
          ...findRedirectUriProblems(subject),
        ]
  return [...shape, ...found].filter((each) => each !== undefined)
}
