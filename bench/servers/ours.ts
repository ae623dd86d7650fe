// This package behind each of its doors: `route` (Passport strategies and oauth2orize), `endpoint` (the handler as one
// Express middleware), `front` (the handler before an Express application), `node` (the handler on bare node:http).
// `+helper`: the server that gives Express its prototypes from the start. `+sync`: signatures on the main thread.
// `+jwt`, `+fresh`, `+1e6`: in place of what the setting says. `+dpop`: DPoP proofs are accepted; no request has one.
import { createServer, type RequestListener } from 'node:http'
import express from 'express'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createDpop } from '../../lib/dpop/dpop.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import { createExpressServer as createFastServer } from '../../lib/hosts/express.ts'
import { toOauth2orize } from '../../lib/oauth2orize/to_oauth2orize.ts'
import { ClientAssertionStrategy } from '../../lib/passport/assertion_strategy.ts'
import { createBasicVerify } from '../../lib/passport/basic.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createKeyset } from '../../lib/token/keyset.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { sessionRecord } from '../records.ts'
import { CHALLENGE, ISSUER, populationClientId, REDIRECT_URI, RESOURCE, type Setting, SUBJECT } from '../setting.ts'
import { openStores } from '../stores.ts'
import { serve } from './serve.ts'

/** A copy that shares nothing, as a database would give it. */
const copied = (client: Client): Client => ({
  ...client,
  ...(client.redirect_uris === undefined ? {} : { redirect_uris: [...client.redirect_uris] }),
  ...(client.grant_types === undefined ? {} : { grant_types: [...client.grant_types] }),
  ...(typeof client.jwks === 'object' ? { jwks: { keys: client.jwks.keys.map((key) => ({ ...key })) } } : {}),
})

function clientsOf({ clients, method, population }: Setting): Map<string, Client> {
  const records = new Map(clients.map((client) => [client.client_id, client]))
  const own = records.get(method)
  for (let index = 1; own !== undefined && index < population.clients; index++) {
    const client_id = populationClientId(method, index)
    records.set(client_id, { ...own, client_id })
  }
  return records
}

/** The setting, changed as the variant says. */
function changed(setting: Setting, extras: readonly string[]): Setting {
  const count = extras.map(Number).find((each) => each > 0)
  return {
    ...setting,
    ...(extras.includes('jwt') ? { tokens: 'jwt' as const } : {}),
    ...(extras.includes('fresh') ? { records: 'fresh' as const } : {}),
    ...(count === undefined ? {} : { population: { clients: count, sessions: count, jtis: count } }),
  }
}

serve(async (given, variant) => {
  const [door = '', ...extras] = variant.split('+')
  const setting = changed(given, extras)
  const { grant, method, population, records, seeds, tokens: format, tokenKey } = setting
  const clients = clientsOf(setting)
  const findClient =
    records === 'one'
      ? async (id: string) => clients.get(id)
      : async (id: string) => {
          const client = clients.get(id)
          return client === undefined ? undefined : copied(client)
        }
  const now = Math.floor(Date.now() / 1000)
  const { replayRegister, codeStore, sessionStore } = await openStores(setting.store)
  for (let index = 0; index < population.jtis; index++)
    await replayRegister.remember(ISSUER, `client-${index % 1000}`, `jti-${index}`, now + 3600)
  for (let index = 0; index < population.sessions; index++)
    await sessionStore.create(sessionRecord(`subject-${index}`, `session-${index}`, now))

  const verifyAssertion = createAssertionVerifier({
    issuer: ISSUER,
    tokenEndpoint: `${ISSUER}/token`,
    findClient,
    replayRegister,
    verification: extras.includes('sync') ? 'sync' : 'pool',
  })
  const sessions = createSessions({ store: sessionStore })
  const tokens = createTokens({
    issuer: ISSUER,
    baseSecret: 'a base secret of the benchmark, 32 octets or more',
    audience: RESOURCE,
    accessTokenFormat: format,
    ...(format === 'jwt' ? { keyset: createKeyset([{ key: tokenKey }]) } : {}),
  })
  const exchanges = [
    clientCredentials({ tokens }),
    refreshToken({ sessions, tokens }),
    authorizationCode({ codes: codeStore, sessions, tokens }),
  ]

  const client = clients.get(method)
  if (client === undefined) throw new Error('no such client')
  const codes = createCodes({ store: codeStore, codeLifetimeSeconds: 600 })
  const made: string[] = []
  for (let index = 0; index < seeds; index++) {
    if (grant === 'refresh_token') {
      const session = sessionRecord(`${SUBJECT}-${index}`, `seeded-${index}`, now, method)
      await sessionStore.create(session)
      const set = await tokens.issue(session, { client, scope: 'read', generation: 1, now, context: {} })
      made.push(set.refresh_token ?? '')
    } else {
      const permission = {
        subject: `${SUBJECT}-${index}`,
        clientId: method,
        scope: 'read',
        redirectUri: REDIRECT_URI,
        redirectUriWasSent: true,
        codeChallenge: CHALLENGE,
      }
      made.push(await codes.issue(permission, now))
    }
  }

  const dpop = extras.includes('dpop') ? createDpop({ tokenEndpoint: `${ISSUER}/token`, replayRegister }) : undefined
  const handler = createTokenEndpoint({ findClient, verifyAssertion, exchanges, dpop, path: '/token' })
  if (door === 'node') return { server: createServer((request, response) => handler(request, response)), seeds: made }
  const app = express()
  app.disable('x-powered-by')
  if (door === 'front')
    return {
      server: createServer((request, response) => handler(request, response, () => app(request, response))),
      seeds: made,
    }
  if (door === 'endpoint') app.post('/token', createTokenEndpoint({ findClient, verifyAssertion, exchanges }))
  if (door === 'route') {
    // as examples/token-route.ts has it
    const passport = new Passport()
    passport.use('assertion', new ClientAssertionStrategy({ verifyAssertion }))
    passport.use('basic', new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
    const server = oauth2orize.createServer()
    for (const exchange of exchanges) server.exchange(toOauth2orize(exchange) as never)
    app.use('/token', createTokenEndpoint({ passport, strategies: { assertion: 'assertion', basic: 'basic' }, server }))
  }
  return {
    server: extras.includes('helper') ? createFastServer(app) : createServer(app as RequestListener),
    seeds: made,
  }
})
