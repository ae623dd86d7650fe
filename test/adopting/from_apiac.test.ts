// A client base of APIacAuthClientJWT, authenticated by the programs of docs/from-apiac.md.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Express } from 'express'
import type { AssertionVerifier, Client } from '../../lib/index.ts'
import { ASSERTION_TYPE, jws, newKey, type TestKey } from '../support/assertions.ts'
import { loadProgram } from '../support/page_programs.ts'
import { basicHeader, listen, post, type Route } from '../support/token_route.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/from-apiac.md'
const TOKEN_ENDPOINT = 'https://as.example.com/token'
const SECRET = 'a secret of the old server, with more than sixty-four bytes in it, for HS512'

/** An assertion as clients of the plug make them: for the token endpoint, thirty seconds, with iat and jti. */
function assertionOf(
  clientId: string,
  { alg, key, kid }: { alg: string; key: TestKey['privateKey'] | string; kid?: string },
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: TOKEN_ENDPOINT,
    iat: now,
    exp: now + 30,
    jti: randomUUID(),
    ...changes,
  }
  const header = { alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) }
  return {
    client_assertion_type: ASSERTION_TYPE,
    client_assertion: jws(JSON.stringify(header), JSON.stringify(claims), alg, key),
  }
}

/** A client of the old server: its record as `client_callback` returned it, how it signs, and what becomes of it here. */
interface OldClient {
  readonly what: string
  readonly record: Readonly<Record<string, unknown>>
  readonly signs: { readonly alg: string; readonly key: TestKey['privateKey'] | string; readonly kid?: string }
  /** What the page says about its record, where it does not move as it is. */
  readonly becomes?: { readonly error: string; readonly status: number; readonly row: string }
}

describe('a client base of APIacAuthClientJWT, by docs/from-apiac.md', () => {
  let route: Route
  let likeThePlug: AssertionVerifier
  let clients: Map<string, Client>
  let base: readonly OldClient[] = []

  before(async () => {
    const [rsa, ec, ed, other] = await Promise.all(
      ['RS256', 'ES256', 'EdDSA', 'ES256'].map((alg) => newKey(alg, 'key-1')),
    )
    if (rsa === undefined || ec === undefined || ed === undefined || other === undefined) throw new Error('no keys')
    const method = { token_endpoint_auth_method: 'private_key_jwt' }
    const mac = { token_endpoint_auth_method: 'client_secret_jwt' }
    base = [
      {
        what: 'an RSA key',
        record: { client_id: 'rsa', ...method, jwks: { keys: [rsa.jwk] } },
        signs: { alg: 'RS256', key: rsa.privateKey },
      },
      {
        what: 'an EC key of two, by kid',
        record: { client_id: 'ec', ...method, jwks: { keys: [{ ...other.jwk, kid: 'key-0' }, ec.jwk] } },
        signs: { alg: 'ES256', key: ec.privateKey, kid: 'key-1' },
      },
      {
        what: 'an Ed25519 key and a registered algorithm',
        record: {
          client_id: 'ed',
          ...method,
          token_endpoint_auth_signing_alg: 'EdDSA',
          jwks: { keys: [ed.jwk] },
        },
        signs: { alg: 'EdDSA', key: ed.privateKey },
      },
      {
        what: 'a secret',
        record: { client_id: 'mac', ...mac, client_secret: SECRET },
        signs: { alg: 'HS512', key: SECRET },
      },
      {
        what: 'an oct key in jwks',
        record: {
          client_id: 'oct',
          ...mac,
          jwks: { keys: [{ kty: 'oct', k: Buffer.from(SECRET).toString('base64url') }] },
        },
        signs: { alg: 'HS256', key: SECRET },
      },
      {
        what: 'a secret, and a kid in the header, which failed there',
        record: { client_id: 'mac-kid', ...mac, client_secret: SECRET },
        signs: { alg: 'HS256', key: SECRET, kid: 'any' },
      },
      {
        what: 'a private key in jwks',
        record: { client_id: 'private', ...method, jwks: { keys: [ec.privateJwk] } },
        signs: { alg: 'ES256', key: ec.privateKey },
        becomes: { error: 'invalid_client', status: 400, row: 'private keys in `jwks`' },
      },
      {
        what: 'jwks and jwks_uri',
        record: {
          client_id: 'both',
          ...method,
          jwks: { keys: [ec.jwk] },
          jwks_uri: 'https://client.example.com/jwks.json',
        },
        signs: { alg: 'ES256', key: ec.privateKey },
        becomes: { error: 'server_error', status: 500, row: 'both `jwks` and `jwks_uri`' },
      },
      {
        what: 'a record without a method',
        record: { client_id: 'method', jwks: { keys: [ec.jwk] } },
        signs: { alg: 'ES256', key: ec.privateKey },
        becomes: { error: 'invalid_client', status: 400, row: 'no `token_endpoint_auth_method`' },
      },
      {
        what: 'a short secret',
        record: { client_id: 'short', ...mac, client_secret: 'short' },
        signs: { alg: 'HS256', key: 'short' },
        becomes: { error: 'invalid_client', status: 400, row: 'a `client_secret` shorter than 32' },
      },
      {
        what: 'a key for encryption',
        record: { client_id: 'use', ...method, jwks: { keys: [{ ...ec.jwk, use: 'enc' }] } },
        signs: { alg: 'ES256', key: ec.privateKey },
        becomes: { error: 'invalid_client', status: 400, row: 'keys with a `use`' },
      },
    ]
    const program = (await loadProgram(root, PAGE, 'likeThePlug', ['app', 'clients'])) as {
      app: Express
      clients: Map<string, Client>
      likeThePlug: AssertionVerifier
    }
    clients = program.clients
    likeThePlug = program.likeThePlug
    for (const { record } of base) clients.set(String(record['client_id']), record as unknown as Client)
    route = await listen(createServer(program.app))
  })
  after(() => route.close())

  test('each client authenticates as before, or does not for the reason that the page gives', async () => {
    const page = (await import('node:fs')).readFileSync(`${root}/${PAGE}`, 'utf8')
    for (const { what, record, signs, becomes } of base) {
      const id = String(record['client_id'])
      const answer = await post(route.url, { grant_type: 'x', ...assertionOf(id, signs) })
      const verified = await likeThePlug(assertionOf(id, signs)).then(
        () => 'accepted',
        (error: { code: string }) => error.code,
      )
      if (becomes === undefined) {
        assert.equal(answer.status, 200, `${what}: ${answer.text}`)
        assert.equal(verified, 'accepted', what)
      } else {
        assert.deepEqual([answer.status, answer.json.error], [becomes.status, becomes.error], what)
        assert.equal(verified, becomes.error, what)
        assert.ok(page.includes(`| ${becomes.row}`), becomes.row)
      }
    }
  })

  test('the first program answers as the plug did: 400, JSON and invalid_client, with an assertion and without', async () => {
    const signs = base[3]?.signs ?? assert.fail()
    for (const [what, form, headers] of [
      ['no assertion', { grant_type: 'x' }, {}],
      ['nothing', {}, {}],
      ['an unknown client', assertionOf('nobody', signs), {}],
      ['a wrong signature', assertionOf('mac', { ...signs, key: `${SECRET}!` }), {}],
      ['an expired assertion', assertionOf('mac', signs, { exp: 1 }), {}],
      ['another audience', assertionOf('mac', signs, { aud: 'https://elsewhere.example' }), {}],
    ] as const) {
      const answer = await post(route.url, form as Record<string, string>, headers)
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_client'], `${what}: ${answer.text}`)
      assert.equal(answer.headers.get('content-type')?.split(';')[0], 'application/json', what)
    }
    const used = assertionOf('mac', signs)
    assert.equal((await post(route.url, used)).status, 200)
    assert.equal((await post(route.url, used)).json.error, 'invalid_client', 'a replay')
    const both = await post(route.url, assertionOf('mac', signs), { Authorization: basicHeader('mac', SECRET) })
    assert.deepEqual([both.status, both.json.error], [400, 'invalid_request'], 'two credentials')
  })

  test('with the options of the page the age of 30 seconds is accepted and that of 31 is not', async () => {
    const signs = base[3]?.signs ?? assert.fail()
    const now = 1_800_000_000
    const at = (age: number) =>
      likeThePlug(assertionOf('mac', signs, { iat: now - age, exp: now + 100 }), { now }).then(
        () => 'accepted',
        (error: { reason: string }) => error.reason,
      )
    assert.deepEqual([await at(0), await at(30), await at(31)], ['accepted', 'accepted', 'assertion_too_old'])
  })
})
