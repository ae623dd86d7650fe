import { isAbsent, isStrings } from './optional.ts'

/** One of several valid secrets of a client. */
export interface ClientSecret {
  /** The secret itself: a string, or the hash that `hashClientSecret` returned. */
  readonly value: string
  /** When the secret expires, in epoch seconds or as a `Date`. 0 or absent: never. */
  readonly expires_at?: number | bigint | Date | undefined
}

/** A JWK set (RFC 7517 §5) of public keys. Its members are not trusted: each key is checked when it is used. */
export interface JwkSet {
  /** The public keys, each a JWK (RFC 7517 §4). */
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/**
 * A registered OAuth client, in the member names of RFC 7591 §2 and OpenID Connect Dynamic Client Registration, as on
 * the wire. Members that the application adds are not changed.
 */
export interface Client {
  /** The client identifier (RFC 6749 §2.2): what requests send as `client_id`. Compared exactly. */
  readonly client_id: string
  /** The name for your consent page. This package does not use it otherwise. Absent: the client has none. */
  readonly client_name?: string | undefined
  /** One secret, or several valid ones (rotation). Bytes are used unchanged, strings as UTF-8. */
  readonly client_secret?: string | Uint8Array | readonly ClientSecret[] | undefined
  /** When a single `client_secret` expires, in epoch seconds or as a `Date`. 0 or absent: never (RFC 7591 §3.2.1). */
  readonly client_secret_expires_at?: number | bigint | Date | undefined
  /** The only method this client may use. Absent: its secret, by Basic or in the body. */
  readonly token_endpoint_auth_method?: string | undefined
  /** The only algorithm this client may sign assertions with. Absent: any algorithm that the server accepts. */
  readonly token_endpoint_auth_signing_alg?: string | undefined
  /** Public keys, as an object or a JSON string. Must not be combined with `jwks_uri`. */
  readonly jwks?: JwkSet | string | undefined
  /**
   * The `https` URL of the client's JWK set, fetched when a key is needed and cached. Must not be combined with `jwks`.
   */
  readonly jwks_uri?: string | undefined
  /**
   * The tokens of trusted issuers that this client may authenticate with, instead of its own keys; at most 20. An entry
   * without `subject` must have a claim whose value is never reassigned, such as `repository_id`. Values are compared
   * exactly. `audience` is the required `aud`. Default: the issuer of this server.
   */
  readonly federated_credentials?:
    | readonly {
        /** The trusted issuer: its `iss`, exactly. */
        readonly issuer: string
        /** The `sub` of the token. Absent: any, and `claims` decides. */
        readonly subject?: string | undefined
        /** The value that `aud` must have. Default: the issuer identifier of this server. */
        readonly audience?: string | undefined
        /** More claims that the token must have, with their values. Default: none. */
        readonly claims?: Readonly<Record<string, string | number | boolean>> | undefined
      }[]
    | undefined
  /**
   * The redirect URIs of the client (RFC 7591 §2), compared exactly. Absent: the client cannot use the authorization
   * endpoint.
   */
  readonly redirect_uris?: readonly string[] | undefined
  /** With `native`, the port of `http://localhost` in `redirect_uris` may differ (RFC 8252 §7.3). Absent: `web`. */
  readonly application_type?: string | undefined
  /** Whether this client must push its authorization requests (RFC 9126 §6). Absent: only if the server requires it for all clients. */
  readonly require_pushed_authorization_requests?: boolean | undefined
  /**
   * Resource indicators (RFC 8707), used with the option `resources`. With `client_credentials` the client gets tokens for
   * these resources only, and introspection returns only tokens for them. Absent: no limit.
   */
  readonly resources?: readonly string[] | undefined
  /** Absent: `["authorization_code"]` (RFC 7591 §2). */
  readonly grant_types?: readonly string[] | undefined
  /** The scope values this client may request, separated by spaces. */
  readonly scope?: string | undefined
  /** Whether the client gets tokens only with a DPoP proof (RFC 9449 §5.2), at endpoints that have the option `dpop`. */
  readonly dpop_bound_access_tokens?: boolean | undefined
}

/**
 * A client authentication method, as registered in `token_endpoint_auth_method`: a built-in one, or one that the
 * application adds.
 */
export type ClientAuthenticationMethod =
  | 'private_key_jwt'
  | 'client_secret_jwt'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'none'
  | (string & {})

/**
 * How a client was authenticated: the value of `req.authInfo`. It never contains the assertion or the secret.
 */
export interface ClientAuthentication {
  /** The method that the client used, as in `token_endpoint_auth_method`. */
  readonly method: ClientAuthenticationMethod
  /** The JOSE algorithm of the assertion. */
  readonly alg?: string | undefined
  /** The `kid` of the key that verified the assertion, if the key has one. */
  readonly kid?: string | undefined
  /** The `jti` of the assertion (RFC 7519 §4.1.7). Absent: it has none, or the method uses no assertion. */
  readonly jti?: string | undefined
  /** The trusted issuer of the assertion, if the client did not create it itself. */
  readonly issuer?: string | undefined
  /** The verified claims of the assertion. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** The verified protected header of the assertion. */
  readonly header?: Readonly<Record<string, unknown>> | undefined
}

/** A client and how it was authenticated. */
export interface AuthenticatedClient<C extends Client = Client> {
  /** The client record, as `findClient` returned it. */
  readonly client: C
  /** How the client authenticated. */
  readonly authentication: ClientAuthentication
}

/** The context of the current request, which hooks receive. */
export interface RequestContext {
  /** The HTTP request (`http.IncomingMessage` or Express request); absent if there is none. */
  readonly request?: unknown
  /** The form parameters of a request to the token endpoint, each once. They do not depend on the body parser of the application. */
  readonly parameters?: Readonly<Record<string, string>> | undefined
}

/**
 * Looks up a client. Return `undefined` or `null` if the client does not exist. If the function throws or rejects, the
 * response is 503, never `invalid_client`. The only exception is an `OAuthError` with the reason
 * `client_document_refused`, which is sent as the response.
 */
export type FindClient<C extends Client = Client> = (
  clientId: string,
  context: RequestContext,
) => C | undefined | null | Promise<C | undefined | null>

/** The grant types a client is registered for: RFC 7591 §2 makes `authorization_code` the default. */
export function grantTypesOf({ grant_types: registered }: Client): readonly string[] {
  if (isAbsent(registered)) return ['authorization_code']
  return isStrings(registered) ? registered : []
}

/** The redirect URIs a client has registered. */
export const redirectUrisOf = ({ redirect_uris: registered }: Client): readonly string[] =>
  isStrings(registered) ? registered : []

/** A member of a client record that would be misread, and what is wrong with it. */
export interface UnreadableMember {
  readonly member: keyof Client
  readonly detail: string
}

/** Finds a member of what `findClient` gave that would be misread; the expiry of secrets is judged apart. */
export function findUnreadable(found: unknown): UnreadableMember | undefined {
  const record = Object(found) as Readonly<Partial<Record<keyof Client, unknown>>>
  if (typeof record.client_id !== 'string') return { member: 'client_id', detail: 'is not a string' }
  if (!isAbsent(record.scope) && typeof record.scope !== 'string') return { member: 'scope', detail: 'is not a string' }
  for (const member of ['grant_types', 'redirect_uris', 'resources'] as const) {
    if (!isAbsent(record[member]) && !isStrings(record[member])) return { member, detail: 'is not an array of strings' }
  }
  return undefined
}

/** Whether the client is a public one: registered to authenticate with nothing. */
export const isPublicClient = (client: Client): boolean => client.token_endpoint_auth_method === 'none'
