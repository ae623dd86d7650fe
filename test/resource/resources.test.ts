import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCodes } from '../../lib/code/codes.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { createIntrospection } from '../../lib/endpoints/introspection.ts'
import type { Exchange } from '../../lib/exchanges/exchange.ts'
import { readAuthorizationParameters } from '../../lib/oauth2orize/authorization_parameters.ts'
import {
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
} from '../../lib/oauth2orize/exchanges.ts'
import { createResources } from '../../lib/resource/resources.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'

const NOW = 1_800_000_000
const clock = () => NOW
const issuer = 'https://op.example'
const A = 'https://api.example/a'
const B = 'https://api.example/b'
const C = 'https://api.example/c'
const LIST = [{ uri: A, scopes: ['read'] }, { uri: B, scopes: ['write'], audience: 'urn:b' }, { uri: C }]
const client = {
  client_id: 'app',
  client_secret: 'x'.repeat(40),
  redirect_uris: ['https://app.example/cb'],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  scope: 'read write',
}
const context = { client }
const target = (reason: string) => ({ code: 'invalid_target', reason, status: 400 })

function server(resources = createResources(LIST)) {
  const stores = createMemoryStores({ clock })
  const sessions = createSessions({ store: stores.sessionStore, clock })
  const tokens = createTokens({ issuer, baseSecret: 'b'.repeat(43) })
  const common = { sessions, tokens, clock, resources }
  const codes = createCodes({ store: stores.codeStore, issuer })
  const run = async (exchange: Exchange, parameters: Record<string, string>, who = client, now = NOW) => {
    const body = await exchange.run({ client: who, parameters, now, context: {} })
    return { body, claims: await tokens.readAccessToken(body.access_token) }
  }
  const byCode = createAuthorizationCodeExchange({ ...common, codes: stores.codeStore }).exchange
  const byRefresh = createRefreshTokenExchange(common).exchange
  const byClient = createClientCredentialsExchange({ tokens, clock, resources }).exchange
  const code = (bound: readonly string[] | undefined, scope = 'read write') =>
    codes.issue(
      {
        ...{ subject: 'alice', clientId: 'app', scope, redirectUri: 'https://app.example/cb' },
        ...{ redirectUriWasSent: false, codeChallenge: undefined, resources: bound },
      },
      NOW,
    )
  return { stores, sessions, tokens, run, byCode, byRefresh, byClient, code }
}

test('RI1: resource may repeat; more than 8, or one of more than 512 characters, is invalid_target', async () => {
  const headers = {}
  const url = `/authorize?resource=${encodeURIComponent(A)}&resource=&resource=${encodeURIComponent(B)}&client_id=app`
  assert.equal(readAuthorizationParameters({ method: 'GET', url, headers }).values['resource'], `${A} ${B}`)
  const resources = createResources(LIST)
  assert.deepEqual(await resources.request(`${A} ${B}`, 'read', context), [A, B])
  const many = Array.from({ length: 9 }, () => A).join(' ')
  await assert.rejects(resources.request(many, '', context), target('resource_malformed'))
  await assert.rejects(resources.request(`${A}/${'x'.repeat(512)}`, '', context), target('resource_malformed'))
})

test('RI2: a resource must be an absolute URI without a fragment', async () => {
  const resources = createResources(LIST)
  for (const sent of ['/a', 'api.example', `${A}#x`, 'https:/x', 'https://', 'é:x', '\ufffd', 'https://a\\b'])
    await assert.rejects(resources.request(sent, '', context), target('resource_malformed'), sent)
})

test('RI3, RI4, RI5: an unknown one is refused; a slash at the end counts on neither side, nothing else is repaired', async () => {
  const resources = createResources([...LIST, { uri: 'https://root.example/' }])
  await assert.rejects(resources.request('https://api.example/d', '', context), target('resource_unknown'))
  assert.deepEqual(await resources.request(`${A}/ https://root.example`, '', context), [A, 'https://root.example/'])
  for (const sent of ['https://API.example/a', 'https://api.example:443/a', 'https://api.example/%61', `${A}//`])
    await assert.rejects(resources.request(sent, '', context), target('resource_unknown'), sent)
  const exact = createResources(LIST, { trailingSlash: 'exact' })
  await assert.rejects(exact.request(`${A}/`, '', context), target('resource_unknown'))
})

test('RI6: without resource: the only one, or the default, or none; invalid_target where it is required', async () => {
  assert.deepEqual(await createResources([{ uri: A }]).request(undefined, '', context), [A])
  assert.deepEqual(await createResources([{ uri: A }], { default: [] }).request(undefined, '', context), [])
  assert.deepEqual(await createResources(LIST).request(undefined, '', context), [])
  assert.deepEqual(await createResources(LIST, { default: C }).request(undefined, '', context), [C])
  await assert.rejects(
    createResources(LIST, { required: true }).request(undefined, '', context),
    target('resource_malformed'),
  )
})

test('RI7: a token request names a part of the grant; one outside of it is refused and the code stays unspent', async () => {
  const { run, byCode, byRefresh, code } = server()
  const sent = await code([A, B])
  for (const [resource, reason] of [
    [C, 'resource_exceeded'],
    ['https://api.example/d', 'resource_unknown'],
    ['nonsense', 'resource_malformed'],
  ] as const)
    await assert.rejects(run(byCode, { code: sent, resource }), target(reason))
  const { body, claims } = await run(byCode, { code: sent, resource: `${A}/` })
  assert.deepEqual([claims?.aud, body.scope], [A, 'read'])
  const all = await run(byRefresh, { refresh_token: String(body.refresh_token) }, client, NOW + 60)
  assert.deepEqual([all.claims?.aud, all.body.scope], [[A, 'urn:b'], 'read write'])
})

test('RI8, RI9: a refresh names a part; outside of it the session does not move; a grant without resources takes none', async () => {
  const { run, byCode, byRefresh, code, sessions, stores } = server()
  const { body, claims } = await run(byCode, { code: await code([A, B]) })
  const refresh_token = String(body.refresh_token)
  const sid = String(claims?.sid)
  const before = await stores.sessionStore.get(sid)
  assert.deepEqual([before?.version, before?.resources], [2, [A, B]])
  await assert.rejects(run(byRefresh, { refresh_token, resource: C }, client, NOW + 60), target('resource_exceeded'))
  assert.deepEqual(await stores.sessionStore.get(sid), before)
  const part = await run(byRefresh, { refresh_token, resource: B }, client, NOW + 60)
  assert.deepEqual([part.claims?.aud, part.body.scope], ['urn:b', 'write'])
  const unbound = await run(byCode, { code: await code(undefined) })
  assert.equal(unbound.claims?.aud, issuer)
  assert.equal((await sessions.get(String(unbound.claims?.sid), NOW))?.version, 1)
  const token = String(unbound.body.refresh_token)
  await assert.rejects(
    run(byRefresh, { refresh_token: token, resource: A }, client, NOW + 60),
    target('resource_exceeded'),
  )
  assert.equal((await run(byRefresh, { refresh_token: token }, client, NOW + 60)).claims?.aud, issuer)
})

test('RI10: the scope of a token is what its resources know; nothing left is invalid_scope, and the code stays unspent', async () => {
  const { run, byCode, code } = server()
  const sent = await code([A, B], 'read')
  await assert.rejects(run(byCode, { code: sent, resource: B }), { code: 'invalid_scope' })
  assert.equal((await run(byCode, { code: sent, resource: A })).body.scope, 'read')
  await assert.rejects(createResources(LIST).request(B, 'read', context), { code: 'invalid_scope' })
})

test('RI11: client_credentials stays within the resources of the record', async () => {
  const { run, byClient } = server()
  const limited = { ...client, resources: [A, C] }
  assert.deepEqual((await run(byClient, {}, limited)).claims?.aud, [A, C])
  assert.equal((await run(byClient, { resource: C }, limited)).claims?.aud, C)
  await assert.rejects(run(byClient, { resource: B }, limited), target('resource_exceeded'))
  assert.equal((await run(byClient, { resource: B })).claims?.aud, 'urn:b')
  assert.equal((await run(byClient, {})).claims?.aud, issuer)
})

test('RI12: with several refuse a token request must name one resource', async () => {
  const { run, byCode, code } = server(createResources(LIST, { several: 'refuse' }))
  const sent = await code([A, C])
  await assert.rejects(run(byCode, { code: sent }), target('resource_exceeded'))
  assert.equal((await run(byCode, { code: sent, resource: C })).claims?.aud, C)
})

test('with unknown ignore, a malformed, unknown or ungranted resource counts as not sent', async () => {
  const lenient = { unknown: 'ignore' } as const
  const resources = createResources(LIST, lenient)
  for (const sent of ['nonsense', `${A}#x`, 'https://other.example', Array.from({ length: 9 }, () => A).join(' ')]) {
    assert.deepEqual(await resources.request(sent, 'read', context), [], sent)
    assert.deepEqual(await createResources(LIST, { ...lenient, default: C }).request(sent, '', context), [C], sent)
    const required = createResources(LIST, { ...lenient, required: true })
    await assert.rejects(required.request(sent, '', context), target('resource_malformed'), sent)
  }
  // one that is known does not save the others: the parameter counts as not sent
  assert.deepEqual(await resources.request(`${A} https://other.example`, '', context), [])
  assert.deepEqual(await resources.request(`${A}/`, 'read', context), [A])

  const { run, byCode, byRefresh, byClient, code } = server(resources)
  const { body, claims } = await run(byCode, { code: await code([A, B]), resource: C })
  assert.deepEqual(claims?.aud, [A, 'urn:b'], 'not granted: the whole grant')
  const refresh = (resource: string) =>
    run(byRefresh, { refresh_token: String(body.refresh_token), resource }, client, NOW + 60)
  assert.deepEqual((await refresh('nonsense')).claims?.aud, [A, 'urn:b'])
  assert.deepEqual((await run(byCode, { code: await code([A, B]), resource: B })).claims?.aud, 'urn:b')
  // a grant without resources still takes none
  assert.equal((await run(byCode, { code: await code(undefined), resource: A })).claims?.aud, issuer)
  const limited = { ...client, resources: [A] }
  assert.equal((await run(byClient, { resource: C }, limited)).claims?.aud, A)
  assert.equal((await run(byClient, { resource: 'https://other.example' })).claims?.aud, issuer)
})

test('with unknown ignore, a function that fails is still a 503, and a scope that fits nothing still invalid_scope', async () => {
  const down = createResources(() => Promise.reject(new Error('down')), { unknown: 'ignore' })
  await assert.rejects(down.request(A, '', context), { status: 503 })
  const resources = createResources(LIST, { unknown: 'ignore' })
  await assert.rejects(resources.request(B, 'read', context), { code: 'invalid_scope' })
})

test('RI13: remembered consent counts for the resources it was given for', async () => {
  const consents = createConsents({ store: createMemoryStores({ clock }).sessionStore, clock })
  const permission = { subject: 'alice', clientId: 'app', scope: 'read' }
  const at = (resources: string[], scope = 'read') => consents.allows({ ...permission, scope, resources })
  await consents.remember({ ...permission, resources: [A] })
  await consents.remember({ ...permission, scope: 'write', resources: [B] })
  assert.deepEqual(
    [await at([A]), await at([B], 'write'), await at([A, B]), await at([A], 'write'), await at([C])],
    [true, true, false, false, false],
  )
  assert.equal(await consents.allows(permission), false)
  await consents.remember(permission)
  assert.deepEqual([await consents.allows(permission), await at([A])], [true, true])
  await consents.withdraw('alice', 'app')
  assert.equal(await at([A]), false)
})

test('RI14: a resource that is no longer known is dropped; none left is invalid_target', async () => {
  const { run, byCode, code, tokens, sessions } = server()
  const { body } = await run(byCode, { code: await code([A, C]) })
  const refreshWith = (list: { uri: string }[]) =>
    run(
      createRefreshTokenExchange({ sessions, tokens, resources: createResources(list) }).exchange,
      { refresh_token: String(body.refresh_token) },
      client,
      NOW + 60,
    )
  await assert.rejects(refreshWith([{ uri: B }]), target('resource_unknown'))
  assert.equal((await refreshWith([{ uri: C }])).claims?.aud, C)
})

test('RI15: a client registered with resources learns only of tokens for them', async () => {
  const resources = createResources(LIST)
  const { run, byCode, code, tokens, sessions } = server(resources)
  const { body } = await run(byCode, { code: await code([B]) })
  const introspect = createIntrospection({ sessions, tokens, resources })
  const ask = (own: string[] | undefined) =>
    introspect({
      client: { ...client, client_id: 'rs', resources: own },
      parameters: { token: body.access_token },
      now: NOW,
      context: {},
    })
  const seen = await ask([B])
  assert.deepEqual([seen.active, 'aud' in seen && seen['aud']], [true, 'urn:b'])
  assert.deepEqual(await ask([A]), { active: false })
  assert.equal((await ask(undefined)).active, true)
})

test('RI17: an exchange without the option refuses a bound code, which stays unspent', async () => {
  const { stores, tokens, sessions, run, byCode, code } = server()
  const sent = await code([A])
  const without = createAuthorizationCodeExchange({ codes: stores.codeStore, tokens, sessions, clock }).exchange
  await assert.rejects(run(without, { code: sent }), { status: 500, reason: 'misconfigured' })
  assert.equal((await run(byCode, { code: sent })).claims?.aud, A)
})

test('RI18: the claims hook may replace the audience', async () => {
  const tokens = createTokens({ issuer, baseSecret: 'b'.repeat(43), claims: () => ({ aud: 'mine' }) })
  const resources = createResources([{ uri: A }])
  const { exchange } = createClientCredentialsExchange({ tokens, resources })
  const { access_token } = await exchange.run({ client, parameters: { resource: A }, now: NOW, context: {} })
  assert.equal((await tokens.readAccessToken(access_token))?.aud, 'mine')
})

test('a function looks resources up; what it does wrong is a server error, a rejection a 503', async () => {
  const asked: unknown[] = []
  const tenants = createResources((uri, { client, subject }) => {
    asked.push([uri, client.client_id, subject])
    return uri.startsWith('https://t') ? { uri } : undefined
  })
  assert.deepEqual(await tenants.request('https://t1.example/mcp/', '', { client, subject: 'alice' }), [
    'https://t1.example/mcp',
  ])
  assert.deepEqual(asked, [['https://t1.example/mcp', 'app', 'alice']])
  await assert.rejects(tenants.request('https://x.example', '', context), target('resource_unknown'))
  for (const wrong of [{ uri: 'https://other.example' }, 'x', { uri: 1 }])
    await assert.rejects(createResources(() => wrong as never).request(A, '', context), { status: 500 })
  await assert.rejects(createResources(() => Promise.reject(new Error('down'))).request(A, '', context), {
    status: 503,
  })
})

test('options that cannot be used throw', () => {
  for (const list of [[], 'x', [{ uri: '/a' }], [{ uri: A }, { uri: `${A}/` }], [{ uri: A, scope: 'x' }]])
    assert.throws(() => createResources(list as never), TypeError)
  for (const options of [{ default: B }, { defaults: A }, { several: 'x' }, { required: 1 }])
    assert.throws(() => createResources([{ uri: A }], options as never), TypeError)
})
