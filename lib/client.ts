import { isAbsent } from './optional.ts'

/** One of several live secrets of a client. */
export interface ClientSecret {
  readonly value: string
  /** Epoch seconds, or a `Date`; 0 or absent means never. */
  readonly expires_at?: number | bigint | Date | undefined
}

/** A set of public keys as RFC 7517 §5 spells it. Members are not trusted: each key is checked when it is used. */
export interface JwkSet {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/**
 * A registered OAuth client, in the member names of RFC 7591 §2 and OpenID Connect Dynamic Client Registration, as on
 * the wire. What the application adds beside them is left alone and handed back as it came.
 */
export interface Client {
  readonly client_id: string
  readonly client_name?: string | undefined
  /** One secret, or several valid ones (rotation). Bytes are used unchanged, strings as UTF-8. */
  readonly client_secret?: string | Uint8Array | readonly ClientSecret[] | undefined
  /** Epoch seconds, or a `Date`, at which a single `client_secret` ends; 0 or absent means never (RFC 7591 §3.2.1). */
  readonly client_secret_expires_at?: number | bigint | Date | undefined
  /** The one method this client may use. Absent: its secret, by Basic or in the body. */
  readonly token_endpoint_auth_method?: string | undefined
  /** The one algorithm this client's assertions may be signed with. Absent: any that the server takes. */
  readonly token_endpoint_auth_signing_alg?: string | undefined
  /** Public keys, as an object or as JSON text. Never together with `jwks_uri`. */
  readonly jwks?: JwkSet | string | undefined
  readonly jwks_uri?: string | undefined
  /**
   * Whose tokens of trusted issuers this client may authenticate with, instead of keys of its own: at most 20. One that
   * names no `subject` names a claim whose value is never given to anybody else, such as `repository_id`. The comparison
   * is exact. `audience` replaces the issuer of this server in the tokens' `aud`.
   */
  readonly federated_credentials?:
    | readonly {
        readonly issuer: string
        readonly subject?: string | undefined
        readonly audience?: string | undefined
        readonly claims?: Readonly<Record<string, string | number | boolean>> | undefined
      }[]
    | undefined
  readonly redirect_uris?: readonly string[] | undefined
  /** `native` frees the port of `http://localhost` in `redirect_uris` (RFC 8252 §7.3). Absent: `web`. */
  readonly application_type?: string | undefined
  /** Whether this client must push its authorization requests (RFC 9126 §6). Absent: only if the server requires it of all. */
  readonly require_pushed_authorization_requests?: boolean | undefined
  /**
   * Resource indicators (RFC 8707), used with the option `resources`: the client gets tokens of `client_credentials` for
   * these alone, and learns by introspection only of tokens for these. Absent: no limit.
   */
  readonly resources?: readonly string[] | undefined
  /** Absent: `["authorization_code"]` (RFC 7591 §2). */
  readonly grant_types?: readonly string[] | undefined
  /** The scope values this client may ask for, separated by spaces. */
  readonly scope?: string | undefined
  /** Whether the client gets tokens only with a DPoP proof (RFC 9449 §5.2), at endpoints that have the option `dpop`. */
  readonly dpop_bound_access_tokens?: boolean | undefined
}

/**
 * A client authentication method, as registered in `token_endpoint_auth_method`: one of this package, or one that the
 * application brings.
 */
export type ClientAuthenticationMethod =
  | 'private_key_jwt'
  | 'client_secret_jwt'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'none'
  | (string & {})

/**
 * How a client was authenticated: what `req.authInfo` holds. It never holds the assertion or the secret itself.
 */
export interface ClientAuthentication {
  readonly method: ClientAuthenticationMethod
  /** The JOSE algorithm of the assertion. */
  readonly alg?: string | undefined
  /** The id of the key that verified the assertion, where it has one. */
  readonly kid?: string | undefined
  readonly jti?: string | undefined
  /** The trusted issuer of the assertion, where the client did not make it itself. */
  readonly issuer?: string | undefined
  /** The verified claims of the assertion. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** The verified protected header of the assertion. */
  readonly header?: Readonly<Record<string, unknown>> | undefined
}

/** A client and how it proved to be that client. */
export interface AuthenticatedClient<C extends Client = Client> {
  readonly client: C
  readonly authentication: ClientAuthentication
}

/** What hooks may know of the request at hand. */
export interface RequestContext {
  /** The request as the server gave it (`http.IncomingMessage`, Express request); absent where there is none. */
  readonly request?: unknown
  /** The form parameters of a request to the token endpoint, each once; the same whatever the host's body parser did. */
  readonly parameters?: Readonly<Record<string, string>> | undefined
}

/**
 * Looks a client up. `undefined` (or `null`, as databases say it) means that there is no such client; a rejection is a
 * server error and becomes a 503, never `invalid_client`. The one exception is an `OAuthError` with the reason
 * `client_document_refused`: it is the response.
 */
export type FindClient<C extends Client = Client> = (
  clientId: string,
  context: RequestContext,
) => C | undefined | null | Promise<C | undefined | null>

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

/** The grant types a client is registered for: RFC 7591 §2 makes `authorization_code` the default. */
export function grantTypesOf({ grant_types: registered }: Client): readonly string[] {
  if (isAbsent(registered)) return ['authorization_code']
  return isStrings(registered) ? registered : [] // of text, `includes` would find parts
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
  for (const member of ['grant_types', 'redirect_uris'] as const) {
    if (!isAbsent(record[member]) && !isStrings(record[member])) return { member, detail: 'is not an array of strings' }
  }
  return undefined
}

/** Whether the client is a public one: registered to authenticate with nothing. */
export const isPublicClient = (client: Client): boolean => client.token_endpoint_auth_method === 'none'
