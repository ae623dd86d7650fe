import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import express, { type RequestHandler } from 'express'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { parseBasic } from '../../lib/client_authentication/basic_credentials.ts'
import { OAuthError } from '../../lib/errors.ts'
import { type Client, createBasicVerify, createTokenEndpoint, type FindClient } from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { echo, listen, post, type Route } from '../support/token_route.ts'

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')

/** WHATWG form encoding, as openid-client does it: everything but letters, digits and underscores of ASCII. */
const openidClient = (text: string): string =>
  encodeURIComponent(text).replace(/%20|[-.!~*'()]/g, (each) =>
    each === '%20' ? '+' : `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** How clients make the text before Base64 of an id and a secret. */
const ENCODERS: Readonly<Record<string, (id: string, secret: string) => Uint8Array | undefined>> = {
  'openid-client': (id, secret) => Buffer.from(`${openidClient(id)}:${openidClient(secret)}`),
  'simple-oauth2': (id, secret) => {
    const encode = (text: string) => encodeURIComponent(text).replaceAll('%20', '+')
    return Buffer.from(`${encode(id)}:${encode(secret)}`)
  },
  "Go's oauth2": (id, secret) => {
    const encode = (text: string) =>
      encodeURIComponent(text).replace(/%20|[!'()*]/g, (each) =>
        each === '%20' ? '+' : `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
      )
    return Buffer.from(`${encode(id)}:${encode(secret)}`)
  },
  // requests encodes text as ISO-8859-1, and cannot send what is not in it
  'requests-oauthlib': (id, secret) =>
    /^[\0-\xff]*$/.test(id + secret) && !id.includes(':') ? Buffer.from(`${id}:${secret}`, 'latin1') : undefined,
  // RFC 7617 §2 forbids a colon in the id where nothing is encoded
  curl: (id, secret) => (id.includes(':') ? undefined : Buffer.from(`${id}:${secret}`, 'utf8')),
}

const PRINTABLE = Array.from({ length: 0x7f - 0x20 }, (_, at) => String.fromCharCode(0x20 + at))
const NON_ASCII = ['é', 'ÿ', '£', 'ß', '€', 'Ω', 'я', '秘', '🔑', 'e\u0301']

/** Each character at the beginning, in the middle and at the end, of the id and of the secret; and all at once. */
const CLIENTS: readonly Client[] = [...PRINTABLE, ...NON_ASCII].flatMap((character, at) => [
  { client_id: `middle${at}${character}x`, client_secret: `c${character}d` },
  { client_id: `${character}first${at}`, client_secret: `${character}d` },
  { client_id: `last${at}${character}`, client_secret: `c${character}` },
  { client_id: `twice${at}`, client_secret: `${character}${character}` },
])
const ALL: readonly Client[] = [
  ...CLIENTS,
  { client_id: 'all', client_secret: PRINTABLE.join('') },
  { client_id: 'percent', client_secret: '100%' },
  { client_id: 'sequence', client_secret: '%41%zz%' },
  { client_id: 'looks-encoded', client_secret: 'a%20b+c%2Bd' },
].map((client) => ({ ...client, grant_types: ['echo'] }))

const byId = new Map(ALL.map((client) => [client.client_id, client]))
const findClient: FindClient = (clientId) => byId.get(clientId)

describe('Basic credentials of real clients', () => {
  let bare: Route
  let passported: Route
  before(async () => {
    bare = await listen(createServer(createTokenEndpoint({ findClient, exchanges: [echo] })))
    const passport = new Passport()
    passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
    const server = oauth2orize.createServer()
    server.exchange(toOauth2orize(echo))
    const app = express()
    app.use('/token', createTokenEndpoint({ server, passport, strategies: { basic: 'basic' } }) as RequestHandler)
    passported = await listen(createServer(app))
  })
  after(() => Promise.all([bare.close(), passported.close()]))

  for (const [name, encode] of Object.entries(ENCODERS)) {
    test(`${name}: every printable character and others, in ids and secrets (T29, O32, O33)`, async () => {
      for (const route of [bare, passported]) {
        for (const { client_id: id, client_secret: secret } of ALL) {
          const octets = encode(id, String(secret))
          if (octets === undefined) continue
          const answer = await post(route.url, 'grant_type=echo', { Authorization: `Basic ${base64(octets)}` })
          const what = `${JSON.stringify(id)} with ${JSON.stringify(secret)}: ${answer.text}`
          assert.equal(answer.json.client_id, id, what)
        }
      }
    })
  }

  test('a wrong secret is wrong in every encoding', async () => {
    for (const encode of Object.values(ENCODERS)) {
      const octets = encode('all', 'c+d 100%') ?? new Uint8Array()
      const answer = await post(bare.url, 'grant_type=echo', { Authorization: `Basic ${base64(octets)}` })
      assert.equal(answer.status, 401)
    }
  })
})

test('the decoded pair comes first, the raw pair second, and only where decoding changed the text', () => {
  const header = (text: string) => `Basic ${base64(text)}`
  assert.deepEqual(parseBasic(header('id:secret:x'), 'tolerant'), [{ clientId: 'id', clientSecret: 'secret:x' }])
  assert.deepEqual(parseBasic(header('i%64:a+b'), 'tolerant'), [
    { clientId: 'id', clientSecret: 'a b' },
    { clientId: 'i%64', clientSecret: 'a+b' },
  ])
  assert.deepEqual(parseBasic(header('id:100%'), 'tolerant'), [{ clientId: 'id', clientSecret: '100%' }])
})

test('strict decoding takes the form-decoded pair alone', () => {
  const header = (text: string | Uint8Array) => `Basic ${base64(text)}`
  assert.deepEqual(parseBasic(header('id:a+b'), 'strict'), [{ clientId: 'id', clientSecret: 'a b' }])
  for (const text of ['id:100%', 'id:%ff', Uint8Array.of(0x61, 0x3a, 0xe9)]) {
    assert.throws(
      () => parseBasic(header(text), 'strict'),
      (error) => error instanceof OAuthError && error.reason === 'authorization_header_malformed',
    )
  }
})
