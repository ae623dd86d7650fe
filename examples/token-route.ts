import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import {
  type AssertionVerifier,
  Strategy as ClientAssertionStrategy,
  type CodeStore,
  type Consents,
  createAuthorizationCodeExchange,
  createBasicVerify,
  createClientCredentialsExchange,
  createClientPasswordVerify,
  createRefreshTokenExchange,
  createTokenEndpoint,
  type FindClient,
  type Oauth2orizeExchange,
  type Permits,
  PublicClientStrategy,
  type Resources,
  type Sessions,
  type TokenEndpoint,
  type Tokens,
} from 'passport-client-assertion-jwt'
import type { Dpop } from 'passport-client-assertion-jwt/dpop'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'

/** The token endpoint of an Express application: `app.use('/token', tokenRoute({ … }))`. Copy it and make it yours. */
export function tokenRoute(parts: {
  readonly findClient: FindClient
  readonly verifyAssertion: AssertionVerifier
  readonly codes: CodeStore
  readonly sessions: Sessions
  readonly tokens: Tokens
  readonly consents: Consents
  readonly isUser: (subject: string) => boolean
  readonly dpop: Dpop
  /** What access tokens may be for (RFC 8707). */
  readonly resources: Resources
  readonly verbosity: 'minimal' | 'normal' | 'debug'
  /** Exchanges beside those of the usual grants. */
  readonly moreExchanges?: readonly Oauth2orizeExchange[]
}): TokenEndpoint {
  const {
    findClient,
    verifyAssertion,
    codes,
    sessions,
    tokens,
    consents,
    isUser,
    dpop,
    resources,
    verbosity,
    moreExchanges = [],
  } = parts

  // Authentication: one strategy for each way in which clients prove who they are.
  const passport = new Passport()
  passport.use('assertion', new ClientAssertionStrategy({ verifyAssertion }))
  passport.use('basic', new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  passport.use(
    'secret',
    new ClientPasswordStrategy({ passReqToCallback: true }, createClientPasswordVerify({ findClient })),
  )
  passport.use('public', new PublicClientStrategy({ findClient }))

  // Grants: one exchange for each grant type.
  const isStillUser: Permits = ({ subject }) => isUser(subject)
  const isStillAllowed: Permits = async (permission, context) =>
    isUser(permission.subject) && consents.allows(permission, context)
  const server = oauth2orize.createServer()
  server.exchange(createAuthorizationCodeExchange({ codes, sessions, tokens, permits: isStillAllowed, resources }))
  server.exchange(createRefreshTokenExchange({ sessions, tokens, permits: isStillUser, resources }))
  server.exchange(createClientCredentialsExchange({ tokens, resources }))
  for (const exchange of moreExchanges) server.exchange(exchange)

  // A request passes through the form parser, exactly one strategy, and its exchange. Every error gets an OAuth response.
  return createTokenEndpoint({
    passport,
    strategies: { assertion: 'assertion', basic: 'basic', clientPassword: 'secret', publicClient: 'public' },
    server,
    dpop, // without it proofs are ignored, and all tokens are Bearer tokens
    verbosity,
  })
}
