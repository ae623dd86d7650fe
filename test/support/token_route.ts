import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type RequestHandler } from 'express'
import express4 from 'express4'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import {
  type Client,
  createBasicVerify,
  createClientPasswordVerify,
  createTokenEndpoint,
  type EndpointOptions,
  type Exchange,
  type FindClient,
  OAuthError,
  PublicClientStrategy,
  respondWithError,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'

export const SECRET = 'the secret of tests: with colons, and more than thirty-two octets'

export const CLIENTS: readonly Client[] = [
  { client_id: 'any', client_secret: SECRET, grant_types: ['echo', 'fault', 'refuse', 'broken'] },
  {
    client_id: 'basic',
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['echo'],
  },
  { client_id: 'post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post', grant_types: ['echo'] },
  { client_id: 'public', token_endpoint_auth_method: 'none', grant_types: ['echo'] },
  { client_id: 'none', client_secret: SECRET, token_endpoint_auth_method: 'none', grant_types: ['echo'] },
  { client_id: 'jwt', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt', grant_types: ['echo'] },
  { client_id: 'codes', client_secret: SECRET },
]

/** Rejects for the client `down`, as a database does that is not there. */
export const findClient: FindClient = async (clientId) => {
  if (clientId === 'down') throw new Error('connect ECONNREFUSED 10.0.0.3:5432')
  return CLIENTS.find((client) => client.client_id === clientId)
}

/** Answers with what it got. */
export const echo: Exchange = {
  grantType: 'echo',
  run: async ({ client, authentication, parameters }) => ({
    access_token: 'token',
    token_type: 'Bearer',
    expires_in: 900,
    client_id: client.client_id,
    method: authentication?.method,
    parameters,
  }),
}

const EXCHANGES: readonly Exchange[] = [
  echo,
  {
    grantType: 'fault',
    run: async () => {
      throw Object.assign(new Error('duplicate key value violates "tokens_pkey"'), { code: '23505', status: 418 })
    },
  },
  {
    grantType: 'refuse',
    run: async () => {
      throw new OAuthError('invalid_grant')
    },
  },
  {
    grantType: 'broken',
    run: () => {
      throw new TypeError('not even a promise')
    },
  },
]

export interface Route {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/** A kind of host for the token route. */
export interface Host {
  readonly name: string
  /** An earlier parser had the body first. */
  readonly parsed: boolean
  /** An earlier parser of nested forms had the body first. */
  readonly extended: boolean
  start(options?: EndpointOptions & { readonly strict?: boolean }): Promise<Route>
}

/** Listens on a free port of this machine. */
export async function listen(server: Server): Promise<Route> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}/token`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The strategies of an application, registered with a Passport of its own. */
export function applicationPassport(): InstanceType<typeof Passport> {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  passport.use(new ClientPasswordStrategy(createClientPasswordVerify({ findClient })))
  passport.use(new PublicClientStrategy({ findClient }))
  return passport
}

const STRATEGIES = { basic: 'basic', clientPassword: 'oauth2-client-password', publicClient: 'oauth2-public-client' }

type Options = EndpointOptions & { readonly strict?: boolean }

const handler = (options: Options) => createTokenEndpoint({ findClient, exchanges: EXCHANGES, ...options })

function endpoint(options: Options) {
  const server = oauth2orize.createServer()
  for (const exchange of EXCHANGES) server.exchange(toOauth2orize(exchange))
  return createTokenEndpoint({ server, passport: applicationPassport(), strategies: STRATEGIES, ...options })
}

function onExpress(
  framework: typeof express,
  parsers: (framework: typeof express) => readonly RequestHandler[],
  make: (options: Options) => unknown,
): (options?: Options) => Promise<Route> {
  return (options = {}) => {
    const app = framework()
    for (const parser of parsers(framework)) app.use(parser)
    app.use('/token', make(options) as RequestHandler)
    // what the earlier parser itself refuses never reaches the route
    app.use(respondWithError({ cors: {} }))
    return listen(createServer(app))
  }
}

const FRAMEWORKS = [
  ['Express 4', express4 as unknown as typeof express],
  ['Express 5', express],
] as const

const PARSERS = [
  ['no earlier parser', () => []],
  ['extended: true before it', (on: typeof express) => [on.urlencoded({ extended: true })]],
  ['extended: false before it', (on: typeof express) => [on.urlencoded({ extended: false })]],
  ['express.json() before it', (on: typeof express) => [on.json()]],
] as const

/** Every kind of host the token route is tested on. */
export const HOSTS: readonly Host[] = [
  {
    name: 'node:http, exchanges',
    parsed: false,
    extended: false,
    start: (options = {}) => listen(createServer(handler(options))),
  },
  ...FRAMEWORKS.flatMap(([name, framework]) =>
    PARSERS.flatMap(([parserName, parsers]) => {
      const parsed = parserName.startsWith('extended')
      const extended = parserName.startsWith('extended: true')
      const doors = [
        ['server', endpoint],
        ['exchanges', handler],
      ] as const
      return doors.map(([door, make]) => ({
        name: `${name}, ${door}, ${parserName}`,
        parsed,
        extended,
        start: onExpress(framework, parsers, make),
      }))
    }),
  ),
]

/** One of each: bare, and Express 5 around oauth2orize and Passport, with nothing before it. */
export const TWO_HOSTS = HOSTS.filter(
  ({ name }) => name.startsWith('node:http') || name === 'Express 5, server, no earlier parser',
)

export const basicHeader = (clientId: string, secret: string): string =>
  `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`

export interface Posted {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any shape, asserted member by member
  readonly json: any
}

/** Posts a form. `body` may be text that is a form already, or anything else that is no form. */
export async function post(
  url: string,
  body: string | Record<string, string> | URLSearchParams,
  headers: Record<string, string> = {},
): Promise<Posted> {
  const text = typeof body === 'string' ? body : new URLSearchParams(body).toString()
  const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const response = await fetch(url, { method: 'POST', headers: { ...type, ...headers }, body: text })
  return answerOf(response)
}

export async function answerOf(response: Response): Promise<Posted> {
  const text = await response.text()
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.status, headers: response.headers, text, json }
}
