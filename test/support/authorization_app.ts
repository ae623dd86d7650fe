import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import express4 from 'express4'
import oauth2orize from 'oauth2orize'
import type { Client } from '../../lib/client.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { createPushedAuthorizationEndpoint } from '../../lib/endpoints/pushed_authorization_request.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import type { TokenResponse } from '../../lib/exchanges/exchange.ts'
import { type AuthorizationOptions, createAuthorizationSide } from '../../lib/oauth2orize/authorization.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores, type MemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'

export const ISSUER = 'https://as.example'

/** A code verifier and its challenge. */
export function pkcePair() {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

export const CLIENTS: readonly Client[] = [
  {
    client_id: 'web',
    client_secret: 'x'.repeat(40),
    redirect_uris: ['https://client.example/cb'],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'read write',
  },
  {
    client_id: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/cb', 'https://client.example/cb?keep=a+b%20c&state=mine'],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'read write',
  },
  {
    client_id: 'machine',
    client_secret: 'x'.repeat(40),
    redirect_uris: ['https://machine.example/cb'],
    grant_types: ['client_credentials'],
    scope: 'read',
  },
]

interface AppOptions {
  readonly options?: Partial<AuthorizationOptions>
  readonly clients?: readonly Client[]
  readonly now?: () => number
  readonly framework?: 4 | 5
  /** Accepts pushed requests, at `/par`. */
  readonly pushed?: Omit<Parameters<typeof createPushedRequests>[0], 'store'>
  readonly stores?: MemoryStores
}

/** A real Express and oauth2orize server whose user is the one that the header `x-user` names. */
export async function authorizationApp({
  options = {},
  clients = CLIENTS,
  now,
  framework = 5,
  pushed: pushedOptions,
  stores: given,
}: AppOptions = {}) {
  const clock = now ?? (() => Math.floor(Date.now() / 1000))
  const stores = given ?? createMemoryStores({ clock })
  const pushed = pushedOptions && createPushedRequests({ store: stores.sessionStore, ...pushedOptions })
  const consents = createConsents({ store: stores.sessionStore, clock })
  const sessions = createSessions({ store: stores.sessionStore, clock })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: 'b'.repeat(32), accessTokenAlgorithm: 'HS256' })
  const exchange = authorizationCode({ codes: stores.codeStore, sessions, tokens })
  const findClient = (clientId: string) => clients.find((each) => each.client_id === clientId)
  const side = createAuthorizationSide({
    issuer: ISSUER,
    findClient,
    codes: stores.codeStore,
    consents,
    replayRegister: stores.replayRegister,
    secret: 's'.repeat(32),
    clock,
    pushed,
    ...options,
  })
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const make = framework === 4 ? (express4 as unknown as typeof express) : express
  const app = make()
  if (pushed !== undefined)
    app.use(
      '/par',
      createPushedAuthorizationEndpoint(pushed, {
        findClient: options.findClient ?? findClient,
        clock,
        ...(options.dpop === undefined ? {} : { dpop: options.dpop, endpoint: `${ISSUER}/par` }),
      }) as express.RequestHandler,
    )
  app.use(express.urlencoded({ extended: false, limit: '64kb' }))
  app.use((request, _response, next) => {
    const name = request.headers['x-user']
    if (typeof name === 'string') (request as { user?: unknown }).user = { sub: name, loggedInAt }
    next()
  })
  const authorize = server.authorization(side.validate, side.immediate)
  const dialog: express.RequestHandler = (request, response) => {
    const { oauth2 } = request as unknown as {
      oauth2: { transactionID: string; req: { scope: string[]; resources?: string[] } }
    }
    response.json({ transaction_id: oauth2.transactionID, scope: oauth2.req.scope, resources: oauth2.req.resources })
  }
  app.get('/authorize', authorize as express.RequestHandler, dialog)
  app.post('/authorize', authorize as express.RequestHandler, dialog)
  app.post('/authorize/decision', server.decision() as unknown as express.RequestHandler)
  app.use(side.errors as unknown as express.ErrorRequestHandler)

  const listening: Server = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  const base = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`

  /** When users logged in, for `authenticatedAt`. */
  let loggedInAt = clock()
  const logInAt = (time: number): void => {
    loggedInAt = time
  }

  const headersOf = (user: string | undefined): Record<string, string> => (user === undefined ? {} : { 'x-user': user })

  /** An authorization request: `query` is a record, or the query string itself. */
  const authorizeWith = (query: Readonly<Record<string, string>> | string, user: string | undefined = 'alice') => {
    const text = typeof query === 'string' ? query : new URLSearchParams(query).toString()
    return fetch(`${base}/authorize?${text}`, { redirect: 'manual', headers: headersOf(user) })
  }
  const post = (path: string, body: Readonly<Record<string, string>> | string, user: string | undefined = 'alice') =>
    fetch(base + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { ...headersOf(user), 'content-type': 'application/x-www-form-urlencoded' },
      body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
    })
  /** A request, its dialog, and the answer: what the client gets. */
  const decide = async (
    query: Readonly<Record<string, string>>,
    decision: Readonly<Record<string, string>> = {},
    user = 'alice',
  ) => {
    const asked = await authorizeWith(query, user)
    if (asked.status !== 200) return asked
    const { transaction_id } = (await asked.json()) as { transaction_id: string }
    return post('/authorize/decision', { transaction_id, ...decision }, user)
  }
  const redeem = (
    clientId: string,
    parameters: Readonly<Record<string, string>>,
    thumbprint?: string,
  ): Promise<TokenResponse> => {
    const client = findClient(clientId)
    if (client === undefined) throw new Error(`no client ${clientId}`)
    const proof = thumbprint === undefined ? undefined : { thumbprint }
    return exchange.run({ client, parameters, now: clock(), context: {}, proof })
  }
  const close = async () => {
    listening.closeAllConnections()
    await new Promise((resolve) => listening.close(resolve))
  }
  return {
    base,
    side,
    logInAt,
    stores,
    consents,
    sessions,
    tokens,
    exchange,
    authorizeWith,
    post,
    decide,
    redeem,
    close,
  }
}

export type AuthorizationApp = Awaited<ReturnType<typeof authorizationApp>>

/** The parameters of the redirect in an answer. */
export const redirected = (response: Response): URL => new URL(response.headers.get('location') ?? 'about:blank')

/** An authorization request that is right in every respect. */
export const rightRequest = (
  challenge: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> => ({
  response_type: 'code',
  client_id: 'web',
  redirect_uri: 'https://client.example/cb',
  scope: 'read',
  state: 'st',
  code_challenge: challenge,
  code_challenge_method: 'S256',
  ...more,
})
