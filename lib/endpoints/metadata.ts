import { DOCUMENT_METHODS } from '../client_document.ts'
import { askHook, MOST_HOOK_MILLISECONDS, returnedWrong } from '../hooks.ts'
import { type CorsOptions, createCors } from '../http/cors.ts'
import { createErrorWriter } from '../http/error_response.ts'
import { answerJson } from '../http/json_response.ts'
import type { Next, Request, Response } from '../http/message.ts'
import { NO_STORE } from '../http/no_store.ts'
import { requireIssuer } from '../issuer.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, booleanOption, checkOptions, optionNames, wholeNumber } from '../options.ts'
import type { EndpointFacts } from './turn.ts'

/** An endpoint in the metadata document: its URL, and the handler that serves it. */
export interface AdvertisedEndpoint {
  /** The URL of the endpoint, or a path below the issuer such as `'/token'`. */
  readonly url: string
  /** What `createTokenEndpoint`, `createRevocationEndpoint` or `createIntrospectionEndpoint` returned. */
  readonly endpoint: EndpointFacts
}

/** The options of `createMetadata`. */
export interface MetadataOptions {
  /** The issuer identifier: a URL without query and fragment. */
  readonly issuer: string
  /** The URL of the authorization endpoint, or a path below the issuer such as `'/authorize'`. Default: none. */
  readonly authorizationEndpoint?: string | undefined
  /** The URL of your public keys, or a path below the issuer such as `'/jwks.json'`. Default: not published. */
  readonly jwksUri?: string | undefined
  /** The token endpoint (RFC 6749 §3.2). */
  readonly token: AdvertisedEndpoint & {
    /** What `createTokenEndpoint` returned. */
    readonly endpoint: {
      /** The grant types, published as `grant_types_supported`. */
      readonly grantTypes: readonly string[]
      /** The algorithms of DPoP proofs, published as `dpop_signing_alg_values_supported`. Absent: not published. */
      readonly dpopAlgorithms?: readonly string[] | undefined
    }
  }
  /** The revocation endpoint (RFC 7009). Default: none. */
  readonly revocation?: AdvertisedEndpoint | undefined
  /** The introspection endpoint (RFC 7662). Default: none. */
  readonly introspection?: AdvertisedEndpoint | undefined
  /** The endpoint for pushed authorization requests (RFC 9126). Default: none. */
  readonly pushed?:
    | (AdvertisedEndpoint & {
        /** What `createPushedAuthorizationEndpoint` returned. */
        readonly endpoint: {
          /** Whether every client must push its requests, published as `require_pushed_authorization_requests`. */
          readonly isRequired: boolean
        }
      })
    | undefined
  /** The scope values, published as `scopes_supported`. Default: not published. */
  readonly scopes?: readonly string[] | undefined
  /** The resources of this server (RFC 9728 §4): what `createResources` returned. */
  readonly resources?:
    | {
        /** The URIs of the resources, published as `protected_resources`. */
        readonly uris: readonly string[]
      }
    | undefined
  /**
   * The response types, published as `response_types_supported`. Default `['code']`, or `[]` without an authorization
   * endpoint.
   */
  readonly responseTypes?: readonly string[] | undefined
  /** Whether authorization responses contain `iss` (RFC 9207), as those of this package do. Default `true`. */
  readonly issuerInResponse?: boolean | undefined
  /** More members of the document. They replace members of the same name. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

const NAMES = optionNames<MetadataOptions>({
  issuer: true,
  authorizationEndpoint: true,
  jwksUri: true,
  token: true,
  revocation: true,
  introspection: true,
  pushed: true,
  scopes: true,
  resources: true,
  responseTypes: true,
  issuerInResponse: true,
  extra: true,
})

/** Authorization server metadata (RFC 8414 §2), as clients receive it. */
export type AuthorizationServerMetadata = Readonly<Record<string, unknown>> & {
  /** The issuer identifier. */
  readonly issuer: string
  /** The URL of the token endpoint. */
  readonly token_endpoint: string
}

/** The paths, on the host of an issuer, at which its metadata documents are served. */
export type WellKnownPaths = {
  /** The path of RFC 8414 §3.1: the well-known name is inserted before the path of the issuer. */
  readonly authorizationServer: string
  /** The path of OpenID Connect Discovery §4: the well-known name is appended to the path of the issuer. */
  readonly openidConfiguration: string
  /** All paths at which clients look for the document, including the other two, each path once. */
  readonly all: string[]
}

/**
 * Returns the paths at which the metadata documents of an issuer must be served. A slash at the end of the issuer's
 * path is removed (RFC 8414 §3.1). Throws a `TypeError` if `issuer` is no issuer identifier.
 *
 * @example
 * ```ts
 * import { getWellKnownPaths } from 'passport-client-assertion-jwt'
 *
 * app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(document))
 * ```
 */
export function getWellKnownPaths(issuer: string): WellKnownPaths {
  const path = new URL(requireIssuer(issuer)).pathname.replace(/\/$/, '')
  const authorizationServer = `/.well-known/oauth-authorization-server${path}`
  const openidConfiguration = `${path}/.well-known/openid-configuration`
  const others = [`${path}/.well-known/oauth-authorization-server`, `/.well-known/openid-configuration${path}`]
  return {
    authorizationServer,
    openidConfiguration,
    all: [...new Set([authorizationServer, openidConfiguration, ...others])],
  }
}

const endpointMembers = (name: string, url: string, { methods, signingAlgorithms }: EndpointFacts) => ({
  [`${name}_endpoint`]: url,
  [`${name}_endpoint_auth_methods_supported`]: [...methods],
  ...(signingAlgorithms.length > 0
    ? { [`${name}_endpoint_auth_signing_alg_values_supported`]: [...signingAlgorithms] }
    : {}),
})

/** RFC 9126 §5. */
const pushedMembers = (url: string, { isRequired, ...facts }: EndpointFacts & { readonly isRequired: boolean }) => ({
  ...endpointMembers('pushed_authorization_request', url, facts),
  require_pushed_authorization_requests: isRequired === true,
})

const A_URL = "a URL, or a path below the issuer that begins with one '/'"

const canAdvertise = (url: unknown): boolean =>
  typeof url === 'string' && (/^\/(?!\/)/.test(url) || (/^https?:\/\//i.test(url) && URL.canParse(url)))

function checkAdvertised(name: string, given: AdvertisedEndpoint): void {
  const { url, endpoint } = Object(given) as Partial<AdvertisedEndpoint>
  if (typeof url !== 'string') throw badOption(name, 'an object with url and endpoint', given)
  if (!canAdvertise(url)) throw badOption(`${name}.url`, A_URL, url)
  if (!Array.isArray(endpoint?.methods) || !Array.isArray(endpoint.signingAlgorithms)) {
    throw badOption(`${name}.endpoint`, 'an endpoint of this package', endpoint)
  }
}

/** Throws unless the token endpoint offers what a resolver of client documents offers, if `extra` has its metadata. */
function checkDocumentMethods(extra: MetadataOptions['extra'], { methods }: EndpointFacts): void {
  const offered = (Object(extra) as { readonly [DOCUMENT_METHODS]?: readonly string[] })[DOCUMENT_METHODS] ?? []
  const missing = offered.find((method) => !methods.includes(method))
  if (missing !== undefined) {
    throw badOption(
      'methods',
      `limited in createClientDocuments to the methods of the token endpoint (${methods.join(', ')})`,
      missing,
    )
  }
}

/**
 * Creates the metadata document of an authorization server (RFC 8414 §2). It is generated from the handlers that serve
 * the endpoints, so it always matches what they do. Call it after all exchanges are registered. It does not
 * request any of the URLs.
 *
 * If you set `authorizationEndpoint`, the document also has the members that OpenID Connect clients require. Replace
 * them with the option `extra`.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createMetadata } from 'passport-client-assertion-jwt'
 *
 * const document = createMetadata({
 *   issuer,
 *   authorizationEndpoint: '/authorize',
 *   jwksUri: '/jwks.json',
 *   token: { url: '/oauth/token', endpoint: token },
 *   scopes: ['read', 'write'],
 * })
 * ```
 */
export function createMetadata(options: MetadataOptions): AuthorizationServerMetadata {
  checkOptions('createMetadata', options, NAMES)
  requireIssuer(options.issuer)
  checkAdvertised('token', options.token)
  if (!Array.isArray(options.token.endpoint.grantTypes)) {
    throw badOption('token.endpoint', 'the result of createTokenEndpoint', options.token.endpoint)
  }
  checkDocumentMethods(options.extra, options.token.endpoint)
  if (options.revocation !== undefined) checkAdvertised('revocation', options.revocation)
  if (options.introspection !== undefined) checkAdvertised('introspection', options.introspection)
  if (options.pushed !== undefined) checkAdvertised('pushed', options.pushed)
  const { issuer, authorizationEndpoint, jwksUri, token, revocation, introspection, scopes, responseTypes } = options
  for (const name of ['authorizationEndpoint', 'jwksUri'] as const)
    if (options[name] !== undefined && !canAdvertise(options[name])) throw badOption(name, A_URL, options[name])
  for (const name of ['scopes', 'responseTypes'] as const)
    if (options[name] !== undefined && !Array.isArray(options[name]))
      throw badOption(name, 'an array of strings', options[name])
  if (options.extra !== undefined && (typeof options.extra !== 'object' || options.extra === null))
    throw badOption('extra', 'an object with more members', options.extra)
  const { resources } = options
  if (resources !== undefined && !Array.isArray(resources?.uris))
    throw badOption('resources', 'the result of createResources', resources)
  const base = issuer.replace(/\/$/, '')
  const below = (url: string): string => (url.startsWith('/') ? base + url : url)
  const { grantTypes, dpopAlgorithms } = token.endpoint
  const members = {
    issuer,
    ...(authorizationEndpoint === undefined ? {} : { authorization_endpoint: below(authorizationEndpoint) }),
    ...endpointMembers('token', below(token.url), token.endpoint),
    ...(revocation === undefined ? {} : endpointMembers('revocation', below(revocation.url), revocation.endpoint)),
    ...(introspection === undefined
      ? {}
      : endpointMembers('introspection', below(introspection.url), introspection.endpoint)),
    ...(options.pushed === undefined ? {} : pushedMembers(below(options.pushed.url), options.pushed.endpoint)),
    ...(jwksUri === undefined ? {} : { jwks_uri: below(jwksUri) }),
    ...(scopes === undefined ? {} : { scopes_supported: [...scopes] }),
    ...(resources === undefined || resources.uris.length === 0 ? {} : { protected_resources: [...resources.uris] }),
    response_types_supported: [...(responseTypes ?? (authorizationEndpoint === undefined ? [] : ['code']))],
    grant_types_supported: [...grantTypes],
    ...(authorizationEndpoint === undefined
      ? {}
      : {
          response_modes_supported: ['query'],
          code_challenge_methods_supported: ['S256'],
          authorization_response_iss_parameter_supported: booleanOption(
            'issuerInResponse',
            options.issuerInResponse,
            true,
          ),
          // what clients of OpenID Connect require (Discovery §3), and defaults there that are not true here
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          // also with pushed requests: it is about other URIs, and pushed ones work whatever it says (RFC 9126 §5)
          request_parameter_supported: false,
          request_uri_parameter_supported: false,
        }),
    ...(dpopAlgorithms === undefined ? {} : { dpop_signing_alg_values_supported: [...dpopAlgorithms] }),
    ...Object.fromEntries(Object.entries(options.extra ?? {})),
  }
  return members as unknown as AuthorizationServerMetadata
}

/**
 * The options of `createDocumentEndpoint`.
 *
 * @inline
 */
export interface DocumentEndpointOptions {
  /** Seconds for which the document may be cached, 0 to 86400. Default 300. */
  readonly maxAgeSeconds?: number | undefined
  /** `false`: the response has no CORS headers. Default: any origin may read the document. */
  readonly cors?: CorsOptions | false | undefined
}

const DOCUMENT_NAMES = optionNames<DocumentEndpointOptions>({ maxAgeSeconds: true, cors: true })

/**
 * Creates a handler that serves a public JSON document, such as metadata or a set of public keys. It responds to GET
 * and HEAD, and allows caching. Use it with `node:http`, or with Express:
 * `app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(document))`.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @param document the document, or a function that returns it (or a promise of it) for each request
 *
 * @example
 * ```ts
 * import { createDocumentEndpoint } from 'passport-client-assertion-jwt'
 *
 * app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(document))
 * ```
 */
export function createDocumentEndpoint(
  document: object | (() => object | Promise<object>),
  options: DocumentEndpointOptions = {},
): (request: Request, response: Response, next?: Next) => void {
  if (typeof document !== 'function' && (isPromise(document) || !isJsonObject(document))) {
    throw badOption('document', 'a JSON object, or a function', document)
  }
  checkOptions('createDocumentEndpoint', options, DOCUMENT_NAMES)
  const maxAge = wholeNumber('maxAgeSeconds', options.maxAgeSeconds, 300, 0, 86_400)
  const methods = ['GET', 'HEAD']
  const cors = createCors(options.cors, methods)
  const writeError = createErrorWriter()

  async function send(request: Request, response: Response): Promise<void> {
    const body: object = typeof document === 'function' ? await ask(document as () => unknown) : document
    answerJson(response, 200, body, { 'Cache-Control': `public, max-age=${maxAge}`, ...cors.of(request, false) })
  }

  return (request, response) => {
    request.resume()
    const { method = 'GET' } = request
    if (methods.includes(method)) {
      send(request, response).catch((error: unknown) => writeError(error, request, response, cors.of(request, false)))
    } else if (method === 'OPTIONS') {
      response.writeHead(204, { ...ALLOW, ...cors.of(request, true) })
      response.end()
    } else {
      answerJson(response, 405, { error: 'invalid_request' }, { ...NO_STORE, ...ALLOW, ...cors.of(request, false) })
    }
  }
}

async function ask(document: () => unknown): Promise<object> {
  const body: unknown = await askHook('document', MOST_HOOK_MILLISECONDS, document)
  if (isJsonObject(body)) return body as object
  throw returnedWrong('document', 'a JSON object, or a promise of one')
}

/** Whether a value can be sent as a JSON object: no array, no function, nothing circular, no BigInt. */
function isJsonObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  try {
    return typeof JSON.stringify(value) === 'string'
  } catch {
    return false
  }
}

const ALLOW = { Allow: 'GET, HEAD, OPTIONS' }
