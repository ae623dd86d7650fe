// Everything here depends on private parts of oauth2orize. Seen in 1.11 and 1.12.

/** A registered exchange. An `async` one returns a promise, which oauth2orize drops. */
export interface ExchangeLayer<Handle = (...given: never[]) => unknown> {
  /** `null` serves every grant type. */
  readonly type: string | null
  readonly handle: Handle
}

/** The part of an oauth2orize server that is used. */
export interface ServerLike {
  /** Makes the middleware that runs the exchange. `never` accepts servers that declare their own options. */
  token(options?: never): unknown
}

/** The exchanges registered with a server now; `undefined` if the server does not show them. */
export function readExchanges<Handle>(server: ServerLike): readonly ExchangeLayer<Handle>[] | undefined {
  const { _exchanges: layers } = server as { readonly _exchanges?: unknown }
  return Array.isArray(layers) ? layers : undefined
}

/** A server with other exchanges: an object derived from `server`, which itself does not change. */
export const withExchanges = (server: ServerLike, layers: () => readonly ExchangeLayer[] | undefined): ServerLike =>
  Object.create(server, { _exchanges: { get: layers } })

/** An error as oauth2orize makes it, as far as it can be read. */
interface Oauth2orizeError {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly status?: unknown
}

/** Sentences of oauth2orize that only repeat the code, or the request. */
const BOILERPLATE =
  /^(Unsupported grant type:|Invalid (authorization code|refresh token|client credentials|resource owner credentials)$)/

/** The status that oauth2orize gives an error whose code it does not know. */
const STATUS_OF_UNKNOWN_CODES = 500

/** Whether oauth2orize made the error, or a class derived from one of its own did. Recognised by names and members. */
function isOauth2orizeError(error: object): boolean {
  const { name, status } = error as Oauth2orizeError
  if (name === 'TokenError' || name === 'AuthorizationError') return true
  if (!Object.hasOwn(error, 'uri') || typeof status !== 'number') return false
  for (let type = Object.getPrototypeOf(error); type !== null; type = Object.getPrototypeOf(type)) {
    if (type.constructor?.name === 'OAuth2Error') return true
  }
  return false
}

/** What an error of oauth2orize says; `undefined` for other errors. */
export interface ReadError {
  readonly code: string
  /** The sentence the application wrote; absent if it is empty or one of oauth2orize's own. */
  readonly description: string | undefined
  readonly message: string | undefined
  /** Absent if nobody chose it. */
  readonly status: number | undefined
  /** Whether the request has no `grant_type`. */
  readonly isGrantTypeMissing: boolean
}

/** Reads an error of oauth2orize (`TokenError`, `AuthorizationError`, `OAuth2Error`); `undefined` for other errors. */
export function readError(error: object): ReadError | undefined {
  const { code, message, status } = error as Oauth2orizeError
  if (typeof code !== 'string' || !isOauth2orizeError(error)) return undefined
  const text = typeof message === 'string' && message !== '' ? message : undefined
  return {
    code,
    description: text === undefined || BOILERPLATE.test(text) ? undefined : text,
    message: text,
    status: typeof status === 'number' && status !== STATUS_OF_UNKNOWN_CODES ? status : undefined,
    isGrantTypeMissing: message === 'Unsupported grant type: undefined',
  }
}
