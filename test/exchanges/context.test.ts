// The option `context` of the exchanges: members of the application in token responses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { OAuthError } from '../../lib/errors.ts'
import type { ContextOption } from '../../lib/exchanges/context.ts'
import type { Exchange } from '../../lib/exchanges/exchange.ts'
import { createJwtBearerExchange, createTrustedIssuers } from '../../lib/federated/index.ts'
import {
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
} from '../../lib/oauth2orize/exchanges.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import type { ClaimsContext } from '../../lib/token/token_claims.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { ISSUER, jws, NOW, sharedKey, testRegister } from '../support/assertions.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const IDP = 'https://idp.company.example'
const REDIRECT_URI = 'https://app.example/callback'

const client: Client = {
  client_id: 'app',
  client_secret: 'x'.repeat(40),
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials', JWT_BEARER],
  scope: 'read write',
}

type Context = ContextOption['context']

/** Four exchanges with the same hook, and a fresh request for each that would be granted. */
async function setting(context: Context) {
  const clock = () => NOW
  const { codeStore, sessionStore } = createMemoryStores({ clock })
  const sessions = createSessions({ store: sessionStore, clock })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: 'b'.repeat(40) })
  const key = await sharedKey('RS256')
  const exchanges = [
    createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens, context }),
    createRefreshTokenExchange({ sessions, tokens, context }),
    createClientCredentialsExchange({ tokens, context }),
    createJwtBearerExchange({
      tokens,
      trustedIssuers: createTrustedIssuers([{ issuer: IDP, jwks: { keys: [key.jwk] } }]),
      replayRegister: testRegister(),
      subjectOf: () => 'alice',
      context,
    }),
  ]
  const exchangeOf = (grantType: string): Exchange => {
    const found = exchanges.find(({ exchange }) => exchange.grantType === grantType)
    assert.ok(found)
    return found.exchange
  }
  const run = (parameters: Readonly<Record<string, string>>) =>
    exchangeOf(parameters['grant_type'] ?? '').run({ client, parameters, now: NOW, context: { parameters } })

  const codes = createCodes({ store: codeStore, issuer: ISSUER })
  const code = await codes.issue(
    {
      ...{ subject: 'alice', clientId: 'app', scope: 'read', redirectUri: REDIRECT_URI, redirectUriWasSent: false },
      ...{ codeChallenge: undefined, extra: { patient: '123' } },
    },
    NOW,
  )
  const session = await sessions.open(
    { subject: 'alice', clientId: 'app', scope: 'read write' },
    { client, extra: { patient: '456' } },
  )
  assert.ok(session)
  const given = { client, scope: 'read', generation: 1, now: NOW, context: {} }
  const { refresh_token = '' } = await tokens.issue(session, given)
  const claims = {
    iss: IDP,
    sub: 'U1',
    aud: ISSUER,
    client_id: 'app',
    jti: 'j',
    exp: NOW + 60,
    iat: NOW,
    scope: 'read',
  }
  const assertion = jws(
    JSON.stringify({ alg: 'RS256', typ: 'oauth-id-jag+jwt' }),
    JSON.stringify(claims),
    'RS256',
    key.privateKey,
  )
  const requests: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    code: { grant_type: 'authorization_code', code },
    refresh: { grant_type: 'refresh_token', refresh_token, scope: 'read' },
    client: { grant_type: 'client_credentials', scope: 'read' },
    assertion: { grant_type: JWT_BEARER, assertion },
  }
  return { run, requests, sessions }
}

const GRANTS = ['code', 'refresh', 'client', 'assertion'] as const

const refusalOf = async (answer: Promise<unknown>): Promise<OAuthError> => {
  try {
    await answer
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
  throw new Error('expected a refusal')
}

test('SM4: members that context returns are added to the response of every exchange', async () => {
  const asked: ClaimsContext[] = []
  const { run, requests } = await setting(async (facts) => {
    asked.push(facts)
    return { patient: facts.session?.extra['patient'] ?? 'none', need_patient_banner: true, fhirContext: [{ a: 1 }] }
  })
  for (const [grant, patient] of [
    ['code', '123'],
    ['refresh', '456'],
    ['client', 'none'],
    ['assertion', 'none'],
  ] as const) {
    const response = await run(requests[grant] ?? {})
    assert.equal(response['patient'], patient, grant)
    assert.equal(response['need_patient_banner'], true)
    assert.deepEqual(response['fhirContext'], [{ a: 1 }])
    assert.equal(response.token_type, 'Bearer')
    assert.equal(typeof response.access_token, 'string')
    const facts = asked.at(-1)
    assert.equal(facts?.grantType, requests[grant]?.['grant_type'])
    assert.deepEqual(
      [facts?.client.client_id, facts?.subject, facts?.scope, facts?.now],
      ['app', grant === 'client' ? 'app' : 'alice', 'read', NOW],
    )
    assert.deepEqual(facts?.parameters, requests[grant])
    assert.equal(facts?.session?.subject, grant === 'code' || grant === 'refresh' ? 'alice' : undefined)
  }
  assert.equal(asked.length, 4)
})

test('SM4: each refresh asks context again, with the session of the code', async () => {
  let calls = 0
  const { run, requests } = await setting(({ session }) => ({ patient: session?.extra['patient'], call: ++calls }))
  const first = await run(requests['code'] ?? {})
  const second = await run({ grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' })
  const third = await run({ grant_type: 'refresh_token', refresh_token: second.refresh_token ?? '' })
  assert.deepEqual(
    [first, second, third].map(({ patient, call }) => [patient, call]),
    [
      ['123', 1],
      ['123', 2],
      ['123', 3],
    ],
  )
})

test('SM4: without members, or without context, a response is as it was', async () => {
  for (const context of [undefined, () => undefined, () => null, async () => undefined, () => ({})] as Context[]) {
    const { run, requests } = await setting(context)
    const members = ['access_token', 'expires_in', 'scope', 'token_type']
    assert.deepEqual(Object.keys(await run(requests['client'] ?? {})).sort(), members)
    assert.deepEqual(Object.keys(await run(requests['assertion'] ?? {})).sort(), members)
    for (const grant of ['code', 'refresh'])
      assert.deepEqual(Object.keys(await run(requests[grant] ?? {})).sort(), [
        'access_token',
        'expires_in',
        'refresh_expires_in',
        'refresh_token',
        'scope',
        'token_type',
      ])
  }
})

const PROTOCOL = [
  ...['access_token', 'token_type', 'expires_in', 'scope', 'refresh_token', 'refresh_expires_in'],
  ...['issued_token_type', 'error', 'error_description', 'error_uri', 'error_anything', 'Access_Token', 'ERROR'],
]

test('SM4: a member of the protocol is a server error that names it, and uses up nothing', async () => {
  let returned: Readonly<Record<string, unknown>> = {}
  const { run, requests } = await setting(() => returned)
  for (const grant of GRANTS) {
    for (const name of PROTOCOL) {
      returned = { patient: '123', [name]: 'evil' }
      const refused = await refusalOf(run(requests[grant] ?? {}))
      assert.deepEqual([refused.status, refused.code, refused.reason], [500, 'server_error', 'misconfigured'])
      assert.match(refused.detail ?? '', new RegExp(`'context'.*'${name}'`))
    }
    returned = { patient: '123', id_token: 'of the application', authorization_details: [{ type: 'payment' }] }
    const { patient, id_token, authorization_details } = await run(requests[grant] ?? {})
    assert.deepEqual({ patient, id_token, authorization_details }, returned, grant)
  }
})

test('SM4: a context that fails uses up nothing: the same request succeeds afterwards', async () => {
  let fail = true
  const { run, requests, sessions } = await setting(async () => {
    if (fail) throw new Error('the directory is down')
    return { patient: '123' }
  })
  for (const grant of GRANTS) {
    fail = true
    const refused = await refusalOf(run(requests[grant] ?? {}))
    assert.equal(refused.status, 500)
    assert.ok(refused.detail?.includes("'context'"))
    assert.ok(!refused.message.includes('directory'))
    fail = false
    assert.equal((await run(requests[grant] ?? {}))['patient'], '123', grant)
  }
  // one of the refresh token, one of the code: a retry opens no other
  assert.equal((await sessions.list('alice', 'oauth2', NOW)).length, 2)
})

test('SM4: an OAuthError of context is the response', async () => {
  const { run, requests } = await setting(() => {
    throw new OAuthError('invalid_grant', { detail: 'no patient was chosen' })
  })
  for (const grant of GRANTS) {
    const refused = await refusalOf(run(requests[grant] ?? {}))
    assert.deepEqual([refused.code, refused.status], ['invalid_grant', 400], grant)
  }
})

test('SM4: what context returned is read once, as the JSON it becomes', async () => {
  const hidden = { patient: '123', toJSON: () => ({ patient: '123', scope: 'admin' }) }
  const circular: Record<string, unknown> = { patient: '123' }
  circular['self'] = circular
  const proto = JSON.parse('{"__proto__":{"scope":"admin"}}')
  const notJson = [
    hidden,
    proto,
    circular,
    new Map([['patient', '1']]),
    new Set(),
    { big: 1n },
    new Date(0),
    [],
    ['a'],
    '',
    'text',
    7,
    () => ({}),
  ]
  for (const wrong of notJson) {
    const { run, requests } = await setting((() => wrong) as never)
    assert.equal((await refusalOf(run(requests['client'] ?? {}))).reason, 'misconfigured')
  }
})

test('SM4: context is a function, or absent', async () => {
  for (const wrong of [7, 'text', {}, true, null])
    await assert.rejects(setting(wrong as never), { name: 'TypeError', message: /'context'/ })
})
