import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import type { Passport as CurrentPassport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import {
  type Client,
  Strategy as ClientAssertionStrategy,
  createBasicVerify,
  createClientCredentialsExchange,
  createClientPasswordVerify,
  createTokenEndpoint,
  createTokens,
  PublicClientStrategy,
  readFormBody,
  respondWithError,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { createMemoryReplayRegister } from '../../lib/stores/memory.ts'
import { createTestClient } from '../../lib/testing/index.ts'
import { basicHeader, listen, post, type Route } from '../support/token_route.ts'

const require = createRequire(import.meta.url)
const packageJson = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** The names under which the versions of Passport are installed for this test. */
const INSTALLED = ['passport04', 'passport05', 'passport06', 'passport']

const issuer = 'https://as.example'
const SECRET = 'a secret of tests, with more than thirty-two octets'

test('every minor version of Passport that npm lets in is run here, with the one that is current', () => {
  const versions = INSTALLED.map((name) => require(`${name}/package.json`).version as string)
  assert.deepEqual(
    versions.map((version) => version.replace(/\.\d+$/, '')),
    ['0.4', '0.5', '0.6', '0.7'],
  )
  assert.equal(packageJson.peerDependencies.passport, '^0.4.0 || ^0.5.0 || ^0.6.0 || ^0.7.0')
})

for (const name of INSTALLED) {
  const { version } = require(`${name}/package.json`)
  describe(`with Passport ${version}`, () => {
    let route: Route
    let robot: Awaited<ReturnType<typeof createTestClient>>
    const chain = () => route.url.replace('/token', '/chain')
    const form = { grant_type: 'client_credentials' }
    const basic = { Authorization: basicHeader('secret', SECRET) }

    before(async () => {
      robot = await createTestClient({ clientId: 'robot', issuer, client: { grant_types: ['client_credentials'] } })
      const grant_types = ['client_credentials', 'whoami']
      const clients: readonly Client[] = [
        { client_id: 'secret', client_secret: SECRET, grant_types },
        { client_id: 'public', token_endpoint_auth_method: 'none', grant_types },
        robot.client,
      ]
      const findClient = (clientId: string) => clients.find((client) => client.client_id === clientId)
      const { Passport } = require(name) as { Passport: typeof CurrentPassport }
      const passport = new Passport()
      passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
      passport.use(
        new ClientPasswordStrategy({ passReqToCallback: true }, createClientPasswordVerify({ findClient }) as never),
      )
      passport.use(new PublicClientStrategy({ findClient }))
      passport.use(new ClientAssertionStrategy({ issuer, findClient, replayRegister: createMemoryReplayRegister() }))
      const server = oauth2orize.createServer()
      server.exchange(createClientCredentialsExchange({ tokens: createTokens({ issuer, baseSecret: SECRET }) }))
      server.exchange(
        toOauth2orize({
          grantType: 'whoami',
          run: async ({ client }) => ({ access_token: client.client_id, token_type: 'Bearer', expires_in: 1 }),
        }),
      )
      const strategies = {
        assertion: 'client-assertion-jwt',
        basic: 'basic',
        clientPassword: 'oauth2-client-password',
        publicClient: 'oauth2-public-client',
      }
      const app = express()
      app.use('/token', createTokenEndpoint({ server, passport, strategies }))
      app.post(
        '/chain',
        readFormBody(),
        passport.initialize(),
        passport.authenticate(Object.values(strategies), { session: false, failWithError: true }),
        server.token() as express.RequestHandler,
      )
      app.use(respondWithError())
      route = await listen(createServer(app))
    })
    after(() => route.close())

    test('each method authenticates its client, through the endpoint and in a plain chain', async () => {
      for (const url of [route.url, chain()]) {
        const body = { ...form, client_id: 'secret', client_secret: SECRET }
        assert.equal((await post(url, form, basic)).status, 200)
        assert.equal((await post(url, body)).status, 200)
        assert.equal((await post(url, { ...form, ...(await robot.parameters()) })).status, 200)
        const whoami = await post(url, { grant_type: 'whoami', client_id: 'public' })
        assert.deepEqual([whoami.status, whoami.json.access_token], [200, 'public'])
      }
    })

    test('each refuses what is wrong, as RFC 6749 §5.2 has it', async () => {
      for (const url of [route.url, chain()]) {
        const signed = { ...form, ...(await robot.parameters()) }
        assert.equal((await post(url, signed)).status, 200)
        for (const [what, body, headers] of [
          ['a replay', signed, {}],
          ['a wrong secret', form, { Authorization: basicHeader('secret', 'wrong') }],
          ['a wrong secret in the body', { ...form, client_id: 'secret', client_secret: 'wrong' }, {}],
          ['a client that is not public', { ...form, client_id: 'secret' }, {}],
          ['nothing', form, {}],
        ] as const) {
          const refused = await post(url, body, headers)
          assert.equal(refused.json.error, 'invalid_client', `${what}: ${refused.status} ${refused.text}`)
          assert.ok([400, 401].includes(refused.status))
        }
        const challenged = await post(url, form, { Authorization: basicHeader('secret', 'wrong') })
        assert.equal(challenged.status, 401)
        assert.match(challenged.headers.get('www-authenticate') ?? '', /^Basic /)
      }
    })
  })
}
