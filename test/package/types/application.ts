// An application that uses every entry of the package, compiled under each kind of module resolution.
import type { Server } from 'node:http'
import express from 'express'
import oauth2orize from 'oauth2orize'
import passport from 'passport'
import {
  type Client,
  createAssertionVerifier,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type FindClient,
  OAuthError,
  onEvent,
  type Reason,
  Strategy,
} from 'passport-client-assertion-jwt'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { createPostgresStores } from 'passport-client-assertion-jwt/stores/postgres'
import { createRedisStores } from 'passport-client-assertion-jwt/stores/redis'
import { createFakeClock, createTestClient, type TestClient } from 'passport-client-assertion-jwt/testing'

interface MyClient extends Client {
  readonly owner: string
}

const issuer = 'https://op.example'
const clients = new Map<string, MyClient>()
const findClient: FindClient<MyClient> = async (clientId) => clients.get(clientId)
const { replayRegister, sessionStore } = createMemoryStores()
const verify = createAssertionVerifier({ issuer, tokenEndpoint: `${issuer}/token`, findClient, replayRegister })

export async function ownerOf(body: Record<string, unknown>): Promise<string> {
  try {
    const { client, authentication } = await verify(body)
    const method: 'private_key_jwt' | 'client_secret_jwt' | string = authentication.method
    return `${client.owner} by ${method}`
  } catch (error) {
    const reason: Reason | undefined = error instanceof OAuthError ? error.reason : undefined
    return reason ?? 'fault'
  }
}

passport.use(new Strategy({ verifyAssertion: verify }))
passport.use(
  'own-word',
  new Strategy({ issuer, findClient, replayRegister }, (client, { claims }, done) => {
    if (claims?.['jti'] === undefined) return done(null, false)
    return done(null, { ...client, seen: true })
  }),
)

const sessions = createSessions({ store: sessionStore })
const tokens = createTokens({ issuer, baseSecret: 'x'.repeat(32) })
const server = oauth2orize.createServer()
server.exchange(createClientCredentialsExchange({ tokens }))
server.exchange(createRefreshTokenExchange({ sessions, tokens }))

const app = express()
app.use('/token', createTokenEndpoint({ server, passport, strategies: { assertion: 'client-assertion-jwt' } }))
app.use(
  '/fast',
  createTokenEndpoint({
    exchanges: [createClientCredentialsExchange({ tokens })],
    findClient,
    verifyAssertion: verify,
  }),
)
app.post('/other', passport.authenticate('client-assertion-jwt', { session: false }), (_request, response) => {
  response.json({})
})
export const listener: Server = app.listen(0)

const stop: () => void = onEvent('client.refused', ({ reason, clientId }) => console.error(clientId, reason))
stop()

export const remote = createRedisStores({ command: async (_args, _key) => 'OK', signingKeys: ['x'.repeat(32)] })
export const relational = createPostgresStores({ query: async () => ({ rows: [] }) })
const clock = createFakeClock()
export const client: Promise<TestClient> = createTestClient({ issuer, clock })
