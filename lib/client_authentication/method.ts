import type {
  AuthenticatedClient,
  Client,
  ClientAuthentication,
  ClientAuthenticationMethod,
  FindClient,
  RequestContext,
} from '../client.ts'
import type { FormParameters } from '../parameters.ts'
import type { BasicDecoding, Credentials } from './basic_credentials.ts'

/** What the choice of a method looks at. `rawHeaders` is Node's list; without it a repeated header cannot be seen. */
export interface RequestHead {
  /** The headers by their name in lower case, as Node parses them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Names and values in turn, as Node received them. Absent: a repeated header cannot be detected. */
  readonly rawHeaders?: readonly string[]
}

/** What is known of the request beside its headers and parameters. */
export interface AuthenticationContext extends RequestContext {
  /** The one reading of the clock for this request, epoch seconds. Default: the clock of this machine. */
  readonly now?: number | undefined
  /** The advertised URL of the endpoint that is called, if it is not the token endpoint. */
  readonly endpoint?: string | undefined
  /** The assertion methods that are offered, where they are not both. */
  readonly methods?: readonly string[] | undefined
}

/** A request, as all methods see it. */
export interface PresentedRequest {
  /** The request's headers. */
  readonly request: RequestHead
  /** The form parameters of the request. Each was sent once. */
  readonly parameters: FormParameters
  /** The endpoint that was called, and your own members of the context. */
  readonly context: AuthenticationContext
}

/** The parts of a request that carry what the methods of this package authenticate clients with. */
export type Credential = 'client_assertion' | 'authorization_header' | 'client_secret' | 'client_id'

/**
 * A client authentication method of an application, for the option `methods`: `[...builtInMethods, mine]`. The request
 * is chosen by `presents`, the client is looked up, and the method runs only for clients whose record names it in
 * `token_endpoint_auth_method`. See `docs/extending.md`.
 */
export interface AuthenticationMethod {
  /** The name that clients are registered with in `token_endpoint_auth_method`, and that the metadata publishes. */
  readonly method: string
  /**
   * What a request presents the method by. A function looks at the request itself; a request for which it returns `true`
   * and that also has another credential uses two methods and is refused. A name shares what a method of this package
   * uses, and the client's record tells the methods apart: `client_id` alone (mutual TLS), a `client_assertion`, or an
   * `Authorization` header of another scheme than Basic.
   */
  readonly presents:
    | 'client_id'
    | 'client_assertion'
    | 'authorization_header'
    | ((request: RequestHead, parameters: FormParameters) => boolean)
  /** The JOSE algorithms of the method, for the metadata document. Default: none. */
  readonly signingAlgorithms?: readonly string[] | undefined
  /**
   * Reads the client identifier from the credential, unverified: the record of this client is what `authenticate`
   * receives. Returns `undefined` if there is none. Default: the parameter `client_id`.
   */
  readonly readClientId?: ((request: RequestHead, parameters: FormParameters) => string | undefined) | undefined
  /**
   * Checks that the request comes from the client. Returns `true`, or an object with more members for `req.authInfo`, if
   * it does, and `false` if it does not; an `OAuthError` of a status below 500 that it throws is passed on. Anything else
   * that it throws or returns is a server error, and so is no answer within 30 seconds. Not called where the application
   * has a Passport strategy for the method.
   */
  readonly authenticate?:
    | ((
        presented: PresentedRequest & {
          /** The record of the client that `readClientId` named. It is not authenticated yet. */
          readonly client: Client
        },
      ) => MethodAnswer | Promise<MethodAnswer>)
    | undefined
}

/** What a method of an application answers. */
export type MethodAnswer = boolean | Omit<ClientAuthentication, 'method'>

/** The entry of `strategies` that serves a method of this package. */
export type StrategyDoor = 'assertion' | 'basic' | 'clientPassword' | 'publicClient'

/** Verifies the client assertion among the parameters. */
export interface AssertionVerification {
  (parameters: Readonly<Record<string, unknown>>, context?: AuthenticationContext): Promise<AuthenticatedClient>
  /** The JOSE algorithms it takes, for the metadata document. */
  readonly algorithms?: readonly string[] | undefined
}

/** Authenticates the client whose secret one of the pairs holds, or rejects with an `OAuthError` of the code `invalid_client`. */
export type VerifySecret = (
  method: BuiltInMethod,
  pairs: readonly Credentials[],
  context: AuthenticationContext,
) => Promise<AuthenticatedClient>

/** What the methods of this package work with. */
export interface MethodParts {
  readonly findClient: FindClient
  readonly verifySecret: VerifySecret
  /** Absent where no method of assertions is offered. */
  readonly verifyAssertion: AssertionVerification | undefined
  /** The methods that are offered. */
  readonly offered: readonly ClientAuthenticationMethod[]
  /** Those of them that present an assertion. */
  readonly assertionMethods: readonly ClientAuthenticationMethod[]
  readonly strict: boolean
  readonly decoding: BasicDecoding
}

/** A client authentication method of this package: all of these are of one shape, a file each. */
export interface BuiltInMethod {
  readonly method: 'private_key_jwt' | 'client_secret_jwt' | 'client_secret_basic' | 'client_secret_post' | 'none'
  readonly presents: Credential
  readonly strategy: StrategyDoor
  /** Whether a client may use it whose record names no method. */
  readonly isDefault?: true
  /** Whether a JOSE algorithm is one of the method; absent where it has none. */
  readonly takesAlgorithm?: (alg: string) => boolean
  /** Whether `authenticate` publishes the outcome itself. */
  readonly publishes?: true
  /** Names the client; or throws an `OAuthError`, or rejects with one. One that publishes its outcome only rejects. */
  readonly authenticate: (presented: PresentedRequest, parts: MethodParts) => Promise<AuthenticatedClient>
}
