import type { IncomingMessage } from 'node:http'
import { answerOf, OAuthError, refusal } from '../errors.ts'
import { callHost } from '../hosts/passport.ts'
import { checkOptions, optionNames, requireFunction, requireVerbs } from '../options.ts'
import type { AccessToken } from './access_token.ts'
import { readBearerToken } from './credentials.ts'
import type { AccessTokenVerifier } from './verifier.ts'

/**
 * What the strategy puts into `req.authInfo` or into the challenge. passport-http-bearer declares only these members.
 */
type Info = {
  /** Why the token was refused. */
  message?: string
  /** The scope of the token, as values separated by spaces. For a refused token: the scope that is needed. */
  scope?: string
  /** The claims of the token. */
  claims?: Readonly<Record<string, unknown>>
}

type Done = (error: unknown, user?: unknown, info?: Info) => void

/** The verify function of passport-http-bearer's `Strategy`, with and without `passReqToCallback`. */
export interface BearerVerify {
  (request: IncomingMessage, token: string, done: Done): void
  (token: string, done: Done): void
}

/**
 * The options of `createBearerVerify`.
 *
 * @inline
 */
export interface BearerVerifyOptions {
  /**
   * Returns the user of a token, or a promise of the user. `undefined` or `false` refuses the token. If the function
   * throws or rejects, the error has the status 503. Default: returns the verified token itself.
   */
  readonly userOf?: ((token: AccessToken) => unknown) | undefined
}

const NAMES = optionNames<BearerVerifyOptions>({ userOf: true })

/**
 * Creates the verify function for `new BearerStrategy({ passReqToCallback: true }, createBearerVerify(verifier))` of
 * passport-http-bearer. `req.user` is what `userOf` returns, and `req.authInfo` is `{ scope, claims }`.
 *
 * With `passReqToCallback`, only tokens in the `Authorization` header are accepted. Without it, passport-http-bearer
 * also accepts tokens in the query and in the body (RFC 9700 §4.3.2).
 *
 * The strategy writes the challenge itself, without `resource_metadata` and without step-up. Use `requireAccessToken`
 * if you need them.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createBearerVerify } from 'passport-client-assertion-jwt/resource-server'
 *
 * const verify = createBearerVerify(verifier, { userOf: ({ subject }) => findUser(subject) })
 * ```
 */
export function createBearerVerify(verifier: AccessTokenVerifier, options: BearerVerifyOptions = {}): BearerVerify {
  requireVerbs('verifier', verifier, ['verify'])
  checkOptions('createBearerVerify', options, NAMES)
  const { userOf = (token: AccessToken): unknown => token } = options
  requireFunction('userOf', userOf)

  async function verify(request: IncomingMessage | undefined, token: string): Promise<{ user: unknown; info: Info }> {
    if (request !== undefined && readBearerToken(request) !== token)
      throw refusal('token_missing', { detail: 'the token is not in the Authorization header' })
    const verified = await verifier.verify(token)
    const user = await answerOf(() => userOf(verified))
    return { user, info: { scope: verified.scopes.join(' '), claims: verified.claims } }
  }

  return (...given: unknown[]) => {
    const done = given.at(-1)
    if (typeof done !== 'function' || given.length < 2)
      throw new TypeError('createBearerVerify: the result must be called as (token, done) or (request, token, done)')
    const request = given.length > 2 ? (given.at(-3) as IncomingMessage) : undefined
    const answer = done as Done
    verify(request, given.at(-2) as string).then(
      ({ user, info }) => callHost(request, () => answer(null, user || false, info), answer),
      (error: unknown) => {
        const isRefusal = error instanceof OAuthError && error.status < 500
        const outcome = isRefusal ? () => answer(null, false, { message: error.message }) : () => answer(error)
        callHost(request, outcome, answer)
      },
    )
  }
}
