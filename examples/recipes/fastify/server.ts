// The token endpoint, revocation and introspection in a Fastify application, through its Express plugin: the handlers of this
// package are middlewares, and the plugin takes middlewares. They read the request body themselves and answer every request of
// their own, so Fastify's parsers and error handler stay out of it. Proved in test/recipes/fastify.test.ts.
//
// With Fastify 5.3 or later the plugin keeps working under HTTP/1.1 only, as Express does.
import fastifyExpress from '@fastify/express'
import fastify, { type FastifyInstance } from 'fastify'
import {
  createAssertionVerifier,
  createClientAuthenticator,
  createClientCredentialsExchange,
  createIntrospectionEndpoint,
  createMetadata,
  createRefreshTokenExchange,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type FindClient,
  type ReplayRegister,
  type SessionStore,
} from 'passport-client-assertion-jwt'

export interface FastifyOptions {
  readonly issuer: string
  /** At least 32 bytes, the same on every node. */
  readonly baseSecret: string
  readonly findClient: FindClient
  readonly replayRegister: ReplayRegister
  readonly sessionStore: SessionStore
}

export async function createApplication(options: FastifyOptions): Promise<FastifyInstance> {
  const { issuer, baseSecret, findClient, replayRegister, sessionStore } = options
  const sessions = createSessions({ store: sessionStore })
  const tokens = createTokens({ issuer, baseSecret })
  const verifyAssertion = createAssertionVerifier({
    issuer,
    tokenEndpoint: `${issuer}/token`,
    findClient,
    replayRegister,
  })
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion })

  const token = createTokenEndpoint({
    authenticateClient,
    exchanges: [createClientCredentialsExchange({ tokens }), createRefreshTokenExchange({ sessions, tokens })],
  })
  const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens, endpoint: `${issuer}/revoke` })
  const introspection = createIntrospectionEndpoint({
    authenticateClient,
    sessions,
    tokens,
    endpoint: `${issuer}/introspect`,
  })
  const metadata = createMetadata({
    issuer,
    jwksUri: '/jwks',
    token: { url: '/token', endpoint: token },
    revocation: { url: '/revoke', endpoint: revocation },
    introspection: { url: '/introspect', endpoint: introspection },
  })

  const application = fastify()
  await application.register(fastifyExpress)
  application.use('/token', token)
  application.use('/revoke', revocation)
  application.use('/introspect', introspection)

  application.get('/jwks', () => tokens.jwks())
  application.get('/.well-known/oauth-authorization-server', () => metadata)
  return application
}
