import type { Client, JwkSet } from '../client.ts'
import { markClientDocument } from '../client_document.ts'
import { checkRedirectUriRules, isUsableRedirectUri, type RedirectUriRules } from '../code/redirect_uri.ts'
import { isInstance } from '../instance.ts'
import { PRIVATE_MEMBERS } from '../keys/public_keys.ts'
import { ignoreRejection } from '../maybe_promise.ts'
import { isAbsent, isString, isStrings, readOptional } from '../optional.ts'
import { badOption, booleanOption, checkOptions, optionNames } from '../options.ts'
import { parseJsonObject, skipByteOrderMark } from '../remote/strict_json.ts'
import { formatScope, parseScope } from '../scope.ts'
import { type ClientUrlRules, readClientUrl } from './client_id_url.ts'

/** Limits on the metadata that clients publish about themselves. */
export interface ClientMetadataOptions extends RedirectUriRules {
  /**
   * The scope that these clients may request, as values separated by spaces; `''` for none. A function returns it for
   * each client. `host` is the host of the `client_id`, or `undefined` if the `client_id` is not a URL.
   */
  readonly scope:
    | string
    | ((facts: {
        /** The `client_id` of the client. */
        readonly clientId: string
        /** The host of the `client_id`; `undefined` if it is not a URL. */
        readonly host: string | undefined
      }) => string)
  /**
   * The grant types that these clients may use; others in their metadata are ignored. Default
   * `['authorization_code', 'refresh_token']`.
   */
  readonly grantTypes?: readonly string[] | undefined
  /**
   * The client authentication methods that these clients may use. Your token endpoint must support them too. Default
   * `['private_key_jwt', 'none']`.
   */
  readonly methods?: readonly ('private_key_jwt' | 'none')[] | undefined
  /**
   * The security requirements in client metadata that your server enforces for clients whose record contains them.
   * Metadata with any other security requirement is refused. Default `[]`.
   */
  readonly enforces?: readonly ('dpop_bound_access_tokens' | 'require_pushed_authorization_requests')[] | undefined
  /** Whether `client_id` and `jwks_uri` may contain a query. Default `false`. */
  readonly allowQuery?: boolean | undefined
  /** The ports that `client_id` and `jwks_uri` may have. Default `[443]`. */
  readonly ports?: readonly number[] | 'any' | undefined
  /** Whether `jwks_uri` must have the same host as `client_id`. Default `false`. */
  readonly keysOnSameHost?: boolean | undefined
}

/** The names of the options, for constructors that have them all. */
export const METADATA_OPTIONS: Readonly<Record<keyof ClientMetadataOptions, true>> = {
  scope: true,
  grantTypes: true,
  methods: true,
  enforces: true,
  allowQuery: true,
  ports: true,
  keysOnSameHost: true,
  privateUseSchemes: true,
}

/** A client record made from the client's own metadata, or the reason why the metadata is refused. */
export type ClientMetadata =
  | {
      /** A new client record. `isClientDocument` returns `true` for it. */
      readonly client: Client
      /** What was left out of the record and why, for operators. */
      readonly warnings: readonly string[]
    }
  | {
      /** Why the metadata is refused, for operators. */
      readonly refused: string
    }

/** The checked options. */
export interface MetadataRules extends ClientUrlRules {
  readonly scope: ClientMetadataOptions['scope']
  readonly grantTypes: readonly string[]
  readonly methods: readonly string[]
  readonly enforces: readonly string[]
  readonly keysOnSameHost: boolean
  readonly redirectUris: RedirectUriRules
}

/** The metadata cannot be accepted. The message quotes nothing of it. */
class Refused extends Error {}

const MOST_LEVELS = 8
const MOST_REDIRECT_URIS = 32
const MOST_KEYS = 32
const MOST_NAME_CHARACTERS = 128
const METHODS = ['private_key_jwt', 'none']
const ENFORCEABLE = ['dpop_bound_access_tokens', 'require_pushed_authorization_requests']
/** Each demands a protection: RFC 9449 §5.2, RFC 9126 §6, RFC 9101 §10.5, RFC 8705 §3.4. */
const DEMANDS = [...ENFORCEABLE, 'require_signed_request_object', 'tls_client_certificate_bound_access_tokens']
/** The members of a public key that are kept. */
const KEY_MEMBERS = ['kty', 'kid', 'use', 'key_ops', 'alg', 'crv', 'x', 'y', 'n', 'e', 'pub']
const PAGES = ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri'] as const
// Control, format, surrogate and separating characters; the two joiners that Persian, Hindi and emoji need are allowed.
const UNFIT_FOR_NAMES = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

type Members = Readonly<Record<string, unknown>>

function readArray(name: string, value: unknown, allowed?: readonly string[]): readonly string[] {
  const isFine = isStrings(value) && (allowed === undefined || value.length > 0)
  const bad = isFine ? value.find((each) => allowed?.includes(each) === false) : value
  if (isFine && bad === undefined) return [...value]
  throw badOption(name, allowed === undefined ? 'an array of strings' : `an array of ${allowed.join(' and ')}`, bad)
}

function readPorts(ports: unknown): readonly number[] | 'any' {
  if (ports === undefined) return [443]
  if (ports === 'any') return ports
  const isPort = (port: unknown): boolean => Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536
  if (Array.isArray(ports) && ports.length > 0 && ports.every(isPort)) return [...ports]
  throw badOption('ports', "an array of port numbers or 'any'", ports)
}

/** Checks the values of the options. Throws a `TypeError` that names the option. */
export function readMetadataRules(options: ClientMetadataOptions, allowLoopback = false): MetadataRules {
  const { scope, privateUseSchemes } = options
  if (typeof scope !== 'function' && (!isString(scope) || parseScope(scope) === undefined))
    throw badOption('scope', 'scope values separated by spaces, or a function that returns them', scope)
  checkRedirectUriRules({ privateUseSchemes })
  return {
    scope,
    grantTypes: readArray('grantTypes', options.grantTypes ?? ['authorization_code', 'refresh_token']),
    methods: readArray('methods', options.methods ?? METHODS, METHODS),
    enforces: readArray('enforces', options.enforces ?? []).map((each) => {
      if (!ENFORCEABLE.includes(each)) throw badOption('enforces', `an array of ${ENFORCEABLE.join(' and ')}`, each)
      return each
    }),
    keysOnSameHost: booleanOption('keysOnSameHost', options.keysOnSameHost, false),
    redirectUris: { privateUseSchemes },
    allowQuery: booleanOption('allowQuery', options.allowQuery, false),
    ports: readPorts(options.ports),
    allowLoopback,
  }
}

/** An optional string. Throws for any other type. */
function readString(members: Members, name: string): string | undefined {
  const value = readOptional(members[name])
  if (value === undefined || isString(value)) return value
  throw new Refused(`${name} is not a string`)
}

/** An optional array of strings. Throws for any other type. */
function readStrings(members: Members, name: string): readonly string[] | undefined {
  const value: unknown = readOptional(members[name])
  if (value === undefined) return undefined
  if (isStrings(value)) return value
  throw new Refused(`${name} is not an array of strings`)
}

/** Public keys, each with the members that matter ("Credential and Key Material Restrictions" of the draft). */
function readKeys(members: Members): JwkSet | undefined {
  const jwks: unknown = members['jwks']
  if (isAbsent(jwks)) return undefined
  const keys: unknown = typeof jwks === 'object' ? (jwks as Members)['keys'] : undefined
  if (!Array.isArray(keys)) throw new Refused('jwks is not a key set')
  if (keys.length > MOST_KEYS) throw new Refused(`jwks has more than ${MOST_KEYS} keys`)
  return {
    keys: keys.map((key: unknown) => {
      if (typeof key !== 'object' || key === null || !isString((key as Members)['kty']))
        throw new Refused('jwks has a member that is not a key')
      if ((key as Members)['kty'] === 'oct' || PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name)))
        throw new Refused('jwks has a key that is not public')
      const known = KEY_MEMBERS.filter((name) => Object.hasOwn(key, name))
      return Object.fromEntries(known.map((name) => [name, (key as Members)[name]]))
    }),
  }
}

function readKeySetUri(members: Members, base: URL | undefined, rules: MetadataRules): string | undefined {
  const uri = readString(members, 'jwks_uri')
  if (uri === undefined) return undefined
  const url = readClientUrl(uri, rules)
  if (url === undefined) throw new Refused('jwks_uri is not an acceptable URL')
  if (rules.keysOnSameHost && url.host !== base?.host) throw new Refused('jwks_uri is on another host than client_id')
  return uri
}

/**
 * The one method of the client. Its list (OpenID Connect RP Metadata Choices 1.0) comes before the single member; without
 * either it is `none`, because the default of RFC 7591 is a shared secret, which nobody could have agreed upon.
 */
function chooseMethod(members: Members, hasKeys: boolean, rules: MetadataRules): string {
  const single = readString(members, 'token_endpoint_auth_method')
  const declared = readStrings(members, 'token_endpoint_auth_methods_supported') ?? [single ?? 'none']
  const offered = declared.filter((method) => rules.methods.includes(method))
  if (offered.includes('private_key_jwt') && hasKeys) return 'private_key_jwt'
  // "Client Authentication" of the draft: a client that declares private_key_jwt must be required to use it
  if (single === 'private_key_jwt' && !hasKeys) throw new Refused('private_key_jwt needs jwks or jwks_uri')
  if (offered.includes('none')) return 'none'
  throw new Refused(
    offered.length > 0
      ? 'private_key_jwt needs jwks or jwks_uri'
      : `no client authentication method is one of ${rules.methods.join(', ')}`,
  )
}

function readRedirectUris(members: Members, rules: MetadataRules, warnings: string[]): readonly string[] {
  const uris: unknown = members['redirect_uris']
  if (!Array.isArray(uris) || uris.length === 0) throw new Refused('redirect_uris is not an array with a redirect URI')
  if (uris.length > MOST_REDIRECT_URIS) throw new Refused(`redirect_uris has more than ${MOST_REDIRECT_URIS} members`)
  const usable = uris.filter(
    (uri: unknown): uri is string => isString(uri) && isUsableRedirectUri(uri, rules.redirectUris),
  )
  if (usable.length === 0) throw new Refused('redirect_uris has no URI that can be redirected to')
  if (usable.length < uris.length)
    warnings.push(
      `${uris.length - usable.length} of ${uris.length} redirect_uris cannot be redirected to and were left out`,
    )
  return usable
}

function readGrantTypes(members: Members, rules: MetadataRules): readonly string[] {
  const declared = readStrings(members, 'grant_types') ?? ['authorization_code']
  const granted = [...new Set(declared)].filter((each) => rules.grantTypes.includes(each))
  if (!granted.includes('authorization_code')) throw new Refused('grant_types does not include authorization_code')
  return granted
}

function readScope(members: Members, clientId: string, base: URL | undefined, rules: MetadataRules): string {
  const option: unknown = isString(rules.scope)
    ? rules.scope
    : ignoreRejection<unknown>(rules.scope({ clientId, host: base?.host }))
  const allowed = isString(option) ? parseScope(option) : undefined
  if (allowed === undefined)
    throw badOption('scope', 'a function that returns scope values separated by spaces', option)
  const declared = readString(members, 'scope')
  if (declared === undefined) return formatScope(allowed)
  const wanted = parseScope(declared)
  if (wanted === undefined) throw new Refused('scope is malformed')
  const scope = wanted.filter((value) => allowed.includes(value))
  // An empty scope would count as none registered, and get the default scope of the server.
  if (scope.length === 0 && wanted.length > 0 && allowed.length > 0)
    throw new Refused('scope has no value that is offered to such clients')
  return formatScope(scope)
}

function readName(members: Members, warnings: string[]): string | undefined {
  const name: unknown = readOptional(members['client_name'])
  if (name === undefined) return undefined
  if (isString(name) && name.trim() !== '' && [...name].length <= MOST_NAME_CHARACTERS && !UNFIT_FOR_NAMES.test(name))
    return name
  warnings.push('client_name is too long or has characters that cannot be shown, and was left out')
  return undefined
}

/** The pages of the client that are on its own origin. */
function readPages(members: Members, base: URL | undefined): Record<string, string> {
  const pages: Record<string, string> = {}
  for (const name of PAGES) {
    const value = members[name]
    if (!isString(value) || base === undefined || !URL.canParse(value)) continue
    const url = new URL(value)
    if (url.protocol === 'https:' && url.origin === base.origin && url.username === '' && url.password === '')
      pages[name] = value
  }
  return pages
}

/** Whether a redirect URI leads to a program on the user's device: the loopback interface, or a private-use scheme. */
const isOnDevice = (uri: string): boolean => !/^https:/i.test(uri) // http: is usable on the loopback interface only

function readDemands(members: Members, rules: MetadataRules): Record<string, true> {
  const demands: Record<string, true> = {}
  for (const name of DEMANDS) {
    const value = members[name]
    if (isAbsent(value) || value === false) continue
    if (value !== true) throw new Refused(`${name} is not a boolean`)
    if (!rules.enforces.includes(name)) throw new Refused(`${name} is not available here`)
    demands[name] = true
  }
  return demands
}

/** The record, of the members that are named here and no others. */
function makeClient(
  members: Members,
  clientId: string,
  base: URL | undefined,
  rules: MetadataRules,
  warnings: string[],
) {
  for (const name of ['client_secret', 'client_secret_expires_at'])
    if (Object.hasOwn(members, name)) throw new Refused(`${name} must not be used`)
  const jwks = readKeys(members)
  const jwksUri = readKeySetUri(members, base, rules)
  if (jwks !== undefined && jwksUri !== undefined) throw new Refused('jwks and jwks_uri exclude each other')
  const method = chooseMethod(members, jwksUri !== undefined || (jwks?.keys.length ?? 0) > 0, rules)
  const hasKeys = method === 'private_key_jwt'
  const algorithm = readString(members, 'token_endpoint_auth_signing_alg')
  const redirectUris = readRedirectUris(members, rules, warnings)
  const responseTypes = readStrings(members, 'response_types')
  if (responseTypes !== undefined && !responseTypes.includes('code'))
    throw new Refused('response_types does not include code')
  const name = readName(members, warnings)
  const type = members['application_type']
  const isNative = redirectUris.every(isOnDevice)
  return markClientDocument({
    client_id: clientId,
    ...(name === undefined ? {} : { client_name: name }),
    token_endpoint_auth_method: method,
    ...(hasKeys && algorithm !== undefined ? { token_endpoint_auth_signing_alg: algorithm } : {}),
    ...(hasKeys && jwks !== undefined ? { jwks } : {}),
    ...(hasKeys && jwksUri !== undefined ? { jwks_uri: jwksUri } : {}),
    redirect_uris: redirectUris,
    ...(type === 'native' || type === 'web'
      ? { application_type: type }
      : isNative
        ? { application_type: 'native' }
        : {}),
    grant_types: readGrantTypes(members, rules),
    response_types: ['code'],
    scope: readScope(members, clientId, base, rules),
    ...readPages(members, base),
    ...readDemands(members, rules),
  })
}

const asBuffer = (json: string | Uint8Array): Buffer =>
  typeof json === 'string' ? Buffer.from(json, 'utf8') : Buffer.from(json.buffer, json.byteOffset, json.byteLength)

const refusedBecause = (problem: unknown): ClientMetadata => {
  if (isInstance(problem, Refused)) return { refused: problem.message }
  throw problem
}

function parseMembers(json: string | Uint8Array): Members {
  try {
    return parseJsonObject(skipByteOrderMark(asBuffer(json)), MOST_LEVELS)
  } catch (problem) {
    throw new Refused(`the metadata ${(problem as Error).message}`)
  }
}

/** Judges the metadata document that was found at `url`. */
export function readClientDocument(json: Uint8Array, clientId: string, url: URL, rules: MetadataRules): ClientMetadata {
  try {
    const members = parseMembers(json)
    if (members['client_id'] !== clientId) throw new Refused('client_id is not the URL of the document')
    const warnings: string[] = []
    return { client: makeClient(members, clientId, url, rules, warnings), warnings }
  } catch (problem) {
    return refusedBecause(problem)
  }
}

const REGISTRATION_OPTIONS = optionNames<ClientMetadataOptions & { readonly clientId: string }>({
  ...METADATA_OPTIONS,
  clientId: true,
})

/**
 * Checks client metadata by the same rules as metadata documents. Use it for dynamic registration (RFC 7591) in your
 * own endpoint. `json` is the body of the request, and `clientId` the identifier that you chose. A `client_id` in the
 * metadata is ignored.
 *
 * Store the JSON, and call this function in `findClient`. Then changed options also apply to clients that registered
 * earlier, and `isClientDocument` returns `true` for their records.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { readClientMetadata } from 'passport-client-assertion-jwt/cimd'
 *
 * const json = JSON.stringify({ client_name: 'Notes', redirect_uris: ['https://notes.example.com/callback'], token_endpoint_auth_method: 'none' })
 * const metadata = readClientMetadata(json, { clientId: 'c1', scope: 'notes.read' })
 * if ('refused' in metadata) console.error(metadata.refused)
 * else console.log(metadata.client.redirect_uris)
 * ```
 */
export function readClientMetadata(
  json: string | Uint8Array,
  options: ClientMetadataOptions & { readonly clientId: string },
): ClientMetadata {
  checkOptions('readClientMetadata', options, REGISTRATION_OPTIONS)
  const { clientId } = options
  if (!isString(clientId) || clientId === '') throw badOption('clientId', 'a non-empty string', clientId)
  const rules = readMetadataRules(options)
  try {
    const warnings: string[] = []
    return { client: makeClient(parseMembers(json), clientId, undefined, rules, warnings), warnings }
  } catch (problem) {
    return refusedBecause(problem)
  }
}
