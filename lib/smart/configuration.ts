import type { AuthorizationServerMetadata } from '../endpoints/metadata.ts'
import { isStrings } from '../optional.ts'
import { badOption, checkOptions, optionNames } from '../options.ts'
import { isScopeList } from '../scope.ts'

/** The document at `/.well-known/smart-configuration` below the base URL of a FHIR server, as clients receive it. */
export type SmartConfiguration = Readonly<Record<string, unknown>> & {
  /** The URL of the token endpoint. */
  readonly token_endpoint: string
  /** The supported PKCE methods: always `S256`. */
  readonly code_challenge_methods_supported: readonly string[]
  /** The SMART capabilities of the server. */
  readonly capabilities: readonly string[]
}

/**
 * The options of `createSmartConfiguration`.
 *
 * @inline
 */
interface SmartConfigurationOptions {
  /** What `createMetadata` returned for the authorization server. */
  readonly metadata: AuthorizationServerMetadata
  /**
   * The SMART capabilities of the server: names from the implementation guide, such as `launch-standalone`, or URIs.
   * They are published unchanged. A capability that contradicts the metadata is a `TypeError`.
   */
  readonly capabilities: readonly string[]
  /** The scope values that clients may request, such as `patient/*.rs`. Default: `scopes_supported` of the metadata. */
  readonly scopes?: readonly string[] | undefined
  /** More members of the document, such as `management_endpoint`. They replace the members above. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

const NAMES = optionNames<SmartConfigurationOptions>({ metadata: true, capabilities: true, scopes: true, extra: true })

/** Members that the document has in common with the metadata. */
const COMMON = [
  'authorization_endpoint',
  'token_endpoint',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'introspection_endpoint',
  'revocation_endpoint',
  'registration_endpoint',
  'grant_types_supported',
  'response_types_supported',
  'scopes_supported',
] as const

/** Members that only a server with OpenID Connect has. */
const OF_OPENID_CONNECT = ['issuer', 'jwks_uri'] as const
const OPENID_CONNECT = 'sso-openid-connect'

type Metadata = Readonly<Record<string, unknown>>

const has = (metadata: Metadata, member: string, ...values: readonly string[]): boolean => {
  const found = metadata[member]
  return Array.isArray(found) && values.some((value) => found.includes(value))
}

const hasAuthorization = (metadata: Metadata): boolean => typeof metadata['authorization_endpoint'] === 'string'
const hasRefresh = (metadata: Metadata): boolean => has(metadata, 'grant_types_supported', 'refresh_token')

/** What the metadata must say for a capability to be true, in words and as a check. */
const NEEDS: Readonly<Record<string, readonly [needed: string, isThere: (metadata: Metadata) => boolean]>> = {
  'launch-ehr': ['authorization_endpoint', hasAuthorization],
  'launch-standalone': ['authorization_endpoint', hasAuthorization],
  'authorize-post': ['authorization_endpoint', hasAuthorization],
  'client-public': ["the method 'none'", (all) => has(all, 'token_endpoint_auth_methods_supported', 'none')],
  'client-confidential-symmetric': [
    "the method 'client_secret_basic' or 'client_secret_post'",
    (all) => has(all, 'token_endpoint_auth_methods_supported', 'client_secret_basic', 'client_secret_post'),
  ],
  'client-confidential-asymmetric': [
    "the method 'private_key_jwt' with RS384 or ES384",
    (all) =>
      has(all, 'token_endpoint_auth_methods_supported', 'private_key_jwt') &&
      has(all, 'token_endpoint_auth_signing_alg_values_supported', 'RS384', 'ES384'),
  ],
  'permission-offline': ["the grant type 'refresh_token'", hasRefresh],
  'permission-online': ["the grant type 'refresh_token'", hasRefresh],
  [OPENID_CONNECT]: ['jwks_uri', (all) => typeof all['jwks_uri'] === 'string'],
}

function checkCapabilities(capabilities: unknown, metadata: Metadata): asserts capabilities is readonly string[] {
  if (!isStrings(capabilities) || capabilities.length === 0 || capabilities.includes(''))
    throw badOption('capabilities', 'a non-empty array of strings', capabilities)
  for (const capability of capabilities) {
    const [needed, isThere] = (Object.hasOwn(NEEDS, capability) && NEEDS[capability]) || []
    if (isThere !== undefined && !isThere(metadata))
      throw badOption(
        'capabilities',
        `an array of capabilities that the metadata supports (this one needs ${needed})`,
        capability,
      )
  }
}

function checkScopes(scopes: unknown): void {
  if (scopes !== undefined && !isScopeList(scopes)) throw badOption('scopes', 'an array of scope values', scopes)
}

/**
 * Creates the SMART configuration of a FHIR server (SMART App Launch, "Conformance"). It is generated from the metadata
 * of the authorization server, so both documents agree. Serve it below the base URL of the FHIR server:
 *
 * ```ts
 * app.all('/fhir/.well-known/smart-configuration', createDocumentEndpoint(smartConfiguration))
 * ```
 *
 * The document contains `issuer` and `jwks_uri` only with the capability `sso-openid-connect`; your application then
 * issues the ID tokens. Beyond the metadata, nothing checks whether your server has a capability. For example, you
 * provide a launch context with the option `context` of the exchanges.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createSmartConfiguration } from 'passport-client-assertion-jwt/smart'
 *
 * const smartConfiguration = createSmartConfiguration({
 *   metadata: createMetadata({
 *     issuer,
 *     authorizationEndpoint: '/authorize',
 *     token: { url: '/token', endpoint: token },
 *     introspection: { url: '/introspect', endpoint: introspection },
 *     scopes,
 *   }),
 *   capabilities: [
 *     ...['launch-standalone', 'context-standalone-patient', 'client-confidential-asymmetric'],
 *     ...['permission-patient', 'permission-offline', 'permission-v2'],
 *   ],
 * })
 * ```
 */
export function createSmartConfiguration(options: SmartConfigurationOptions): SmartConfiguration {
  checkOptions('createSmartConfiguration', options, NAMES)
  const { metadata, capabilities, scopes, extra } = options
  if (typeof metadata !== 'object' || metadata === null || typeof metadata.token_endpoint !== 'string')
    throw badOption('metadata', 'what createMetadata returned', metadata)
  checkCapabilities(capabilities, metadata)
  checkScopes(scopes)
  if (extra !== undefined && (typeof extra !== 'object' || extra === null || Array.isArray(extra)))
    throw badOption('extra', 'an object', extra)
  const names = capabilities.includes(OPENID_CONNECT) ? [...OF_OPENID_CONNECT, ...COMMON] : COMMON
  const copied = names.flatMap((name) => {
    const value = metadata[name]
    return value === undefined || (Array.isArray(value) && value.length === 0) ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(copied),
    token_endpoint: metadata.token_endpoint,
    ...(scopes === undefined ? {} : { scopes_supported: [...scopes] }),
    code_challenge_methods_supported: ['S256'],
    capabilities: [...new Set(capabilities)],
    ...extra,
  }
}
