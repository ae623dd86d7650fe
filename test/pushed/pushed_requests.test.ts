import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { createMetadata } from '../../lib/endpoints/metadata.ts'
import { createPushedAuthorizationEndpoint } from '../../lib/endpoints/pushed_authorization_request.ts'
import { createAuthorizationSide } from '../../lib/oauth2orize/authorization.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { authorizationApp, CLIENTS, ISSUER, pkcePair } from '../support/authorization_app.ts'

const PREFIX = 'urn:ietf:params:oauth:request_uri:'
const { challenge, verifier } = pkcePair()
const BASIC = `Basic ${Buffer.from(`web:${'x'.repeat(40)}`).toString('base64')}`
const REQUEST = {
  response_type: 'code',
  client_id: 'web',
  redirect_uri: 'https://client.example/cb',
  scope: 'read',
  state: 's1',
  code_challenge: challenge,
  code_challenge_method: 'S256',
}
const OTHER = { ...CLIENTS[0], client_id: 'other', client_secret: 'y'.repeat(40) } as (typeof CLIENTS)[number]

type App = Awaited<ReturnType<typeof authorizationApp>>
type Form = Readonly<Record<string, string>>
interface Pushed {
  readonly status: number
  readonly headers: Headers
  readonly json: Readonly<Record<string, unknown>> & { readonly request_uri: string }
}

async function push(
  app: App,
  form: Form | string = REQUEST,
  headers: Form = { authorization: BASIC },
): Promise<Pushed> {
  const response = await fetch(`${app.base}/par`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  })
  return { status: response.status, headers: response.headers, json: (await response.json()) as Pushed['json'] }
}

const referenceOf = async (app: App, form: Form = REQUEST): Promise<Form> => ({
  client_id: 'web',
  request_uri: (await push(app, form)).json.request_uri,
})

async function withApp(options: Parameters<typeof authorizationApp>[0], use: (app: App) => Promise<void>) {
  const app = await authorizationApp({ pushed: {}, ...options })
  try {
    await use(app)
  } finally {
    await app.close()
  }
}

/** Status 400 and a page, never a redirect. */
async function assertPage(response: Response, code: string, status = 400) {
  const text = await response.text()
  assert.deepEqual([response.status, response.headers.get('location')], [status, null], text)
  assert.ok(text.includes(`<code>${code}</code>`), text)
}

const locationOf = (response: Response): URLSearchParams => {
  const location = response.headers.get('location') ?? ''
  assert.ok(location.startsWith('https://client.example/cb?'), `${response.status} ${location}`)
  return new URL(location).searchParams
}

const codeOf = (response: Response): string => locationOf(response).get('code') ?? ''
const transactionOf = async (response: Response): Promise<string> => {
  assert.equal(response.status, 200)
  return ((await response.json()) as { transaction_id: string }).transaction_id
}

test('PA1: the client is authenticated as at the token endpoint', () =>
  withApp({}, async (app) => {
    const wrong = await push(app, REQUEST, { authorization: `Basic ${Buffer.from('web:no').toString('base64')}` })
    assert.deepEqual([wrong.status, wrong.json['error']], [401, 'invalid_client'])
    const none = await push(app, REQUEST, {})
    assert.deepEqual([none.status, none.json['error']], [400, 'invalid_client'])
    const body = await push(app, { ...REQUEST, client_secret: 'x'.repeat(40) }, {})
    assert.equal(body.status, 201)
    const isPublic = { ...REQUEST, client_id: 'native', redirect_uri: 'http://127.0.0.1:5/cb' }
    assert.equal((await push(app, isPublic, {})).status, 201)
    const json = await push(app, JSON.stringify(REQUEST), {
      authorization: BASIC,
      'content-type': 'application/json',
    })
    assert.equal(json.status, 415)
  }))

test('PA2: request and request_uri are refused inside', () =>
  withApp({}, async (app) => {
    for (const name of ['request', 'request_uri']) {
      const { status, json } = await push(app, { ...REQUEST, [name]: `${PREFIX}x` })
      assert.deepEqual([status, json['error']], [400, 'invalid_request'], name)
    }
    const empty = await push(app, { ...REQUEST, request_uri: '', request: '' })
    assert.equal(empty.status, 201, 'empty is absent')
  }))

test('PA3: the whole request is judged when it is pushed, with the code the redirect would have', () =>
  withApp({ options: { scopesSupported: ['read', 'write'] } }, async (app) => {
    const { code_challenge: _, ...withoutPkce } = REQUEST
    const cases: readonly (readonly [Form, string])[] = [
      [{ ...REQUEST, redirect_uri: 'https://evil.example/cb' }, 'invalid_request'],
      [{ ...REQUEST, scope: 'admin' }, 'invalid_scope'],
      [{ ...REQUEST, response_type: 'token' }, 'unsupported_response_type'],
      [{ ...REQUEST, response_type: '' }, 'invalid_request'],
      [{ ...REQUEST, code_challenge_method: 'plain' }, 'invalid_request'],
      [{ ...REQUEST, prompt: 'none login' }, 'invalid_request'],
      [{ ...REQUEST, response_mode: 'fragment' }, 'invalid_request'],
      [withoutPkce, 'invalid_request'],
    ]
    for (const [form, error] of cases) {
      const { status, json } = await push(app, form)
      assert.deepEqual([status, json['error'], json['request_uri']], [400, error, undefined], JSON.stringify(form))
    }
    const repeated = await push(app, `${new URLSearchParams(REQUEST)}&scope=write`)
    assert.deepEqual([repeated.status, repeated.json['error']], [400, 'invalid_request'])
    const machine = Buffer.from(`machine:${'x'.repeat(40)}`).toString('base64')
    const form: Form = { ...REQUEST, client_id: 'machine', redirect_uri: 'https://machine.example/cb' }
    const { redirect_uri: _uri, ...withoutUri } = form
    for (const each of [
      form,
      withoutUri,
      { ...form, redirect_uri: 'https://evil.example/cb' },
      { ...form, response_type: '' },
      { ...form, scope: 'admin' },
    ]) {
      const other = await push(app, each, { authorization: `Basic ${machine}` })
      assert.deepEqual([other.status, other.json['error']], [400, 'unauthorized_client'], JSON.stringify(each))
    }
  }))

test('PA3: with requireRedirectUri a request without redirect_uri is refused, without it the only registered one is used', async () => {
  const { redirect_uri: _, ...form } = REQUEST
  for (const [requireRedirectUri, status] of [
    [true, 400],
    [false, 201],
    [undefined, 201],
  ] as const)
    await withApp({ pushed: { requireRedirectUri } }, async (app) => {
      const pushed = await push(app, form)
      assert.deepEqual([pushed.status, pushed.json['error']], [status, status === 400 ? 'invalid_request' : undefined])
      assert.equal((await push(app)).status, 201)
    })
})

test('PA3: a client_id that is not the authenticated client is refused, and an absent one is filled in', () =>
  withApp({}, async (app) => {
    // the built-in methods refuse the first themselves; strategies of the application may not
    const pushed = createPushedRequests({ store: createMemoryStores().sessionStore })
    const [web] = CLIENTS
    assert.ok(web)
    createAuthorizationSide({
      issuer: ISSUER,
      findClient: () => web,
      codes: app.stores.codeStore,
      consents: app.consents,
      replayRegister: app.stores.replayRegister,
      secret: 's'.repeat(32),
      pushed,
    })
    const mismatch = pushed.push(web, { ...REQUEST, client_id: 'other' }, 1)
    await assert.rejects(mismatch, { code: 'invalid_request', reason: 'parameter_malformed' })
    const { client_id: _, ...rest } = REQUEST
    const { status, json } = await push(app, rest)
    assert.equal(status, 201)
    assert.equal((await app.authorizeWith({ client_id: 'web', request_uri: json.request_uri })).status, 200)
  }))

test('PA4: 201 with a reference of 43 random characters, expires_in and no-store', () =>
  withApp({}, async (app) => {
    const one = await push(app)
    assert.equal(one.status, 201)
    assert.deepEqual(Object.keys(one.json).sort(), ['expires_in', 'request_uri'])
    assert.match(one.json.request_uri, /^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}$/)
    assert.equal(one.json['expires_in'], 300)
    assert.equal(one.headers.get('cache-control'), 'no-store')
    assert.notEqual((await push(app)).json.request_uri, one.json.request_uri)
  }))

test('PA4: the lifetime is 5 to 600 seconds, and options are checked', () => {
  const { sessionStore: store } = createMemoryStores()
  for (const bad of [{ lifetimeSeconds: 4 }, { lifetimeSeconds: 601 }, { required: 'yes' }, { lifetime: 5 }])
    assert.throws(() => createPushedRequests({ store, ...bad } as never), TypeError)
  for (const otherParameters of ['tenant', [''], ['a b'], [1], ['request'], ['client_secret']])
    assert.throws(() => createPushedRequests({ store, otherParameters } as never), TypeError)
  for (const bad of [undefined, null, {}, { store: {} }])
    assert.throws(() => createPushedRequests(bad as never), TypeError)
  assert.throws(() => createPushedAuthorizationEndpoint({} as never, { findClient: () => undefined }), TypeError)
  const pushed = createPushedRequests({ store })
  assert.throws(() => createPushedAuthorizationEndpoint(pushed, {} as never), TypeError)
})

test('PA4: a request that has expired is refused on a page', async () => {
  let now = 1_800_000_000
  await withApp({ now: () => now, pushed: { lifetimeSeconds: 5 } }, async (app) => {
    const reference = await referenceOf(app)
    now += 4
    assert.equal((await app.authorizeWith(reference)).status, 200)
    now += 1
    await assertPage(await app.authorizeWith(reference), 'invalid_request_uri')
  })
})

test('PA5: kept as a record of the session store under a digest of the reference, bound to the client, without credentials', () =>
  withApp({ pushed: { otherParameters: ['tenant'] } }, async (app) => {
    const form = {
      ...REQUEST,
      resource: 'https://api.example',
      dpop_jkt: 'j',
      acr_values: 'a',
      tenant: 't',
      unknown: 'u',
      client_secret: 'x'.repeat(40),
    }
    const { json } = await push(app, form, {})
    const reference = json.request_uri.slice(PREFIX.length)
    const id = `pushed:${createHash('sha256').update(reference).digest('base64url')}`
    const record = await app.stores.sessionStore.get(id)
    assert.deepEqual([record?.type, record?.clientId, record?.issuer], ['pushed_request', 'web', ISSUER])
    const { client_secret: _, unknown: __, ...kept } = form
    assert.deepEqual(record?.extra['parameters'], kept)
    const text = JSON.stringify(record)
    assert.ok(!text.includes('x'.repeat(40)) && !text.includes(reference))
  }))

test('PA5: repeated resource parameters survive', () =>
  withApp({}, async (app) => {
    const form = `${new URLSearchParams(REQUEST)}&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example`
    const { json } = await push(app, form)
    const id = createHash('sha256').update(json.request_uri.slice(PREFIX.length)).digest('base64url')
    const record = await app.stores.sessionStore.get(`pushed:${id}`)
    const kept = record?.extra['parameters'] as Form | undefined
    assert.equal(kept?.['resource'], 'https://a.example https://b.example')
  }))

test('PA5: more than 32 KiB get 413', () =>
  withApp({}, async (app) => {
    const fits = await push(app, { ...REQUEST, state: 's'.repeat(32_000) })
    assert.equal(fits.status, 201)
    const { status, json } = await push(app, { ...REQUEST, state: 's'.repeat(32_800) })
    assert.deepEqual([status, json['error']], [413, 'invalid_request'])
  }))

test('PA5: one client cannot use up the store: 429, while others go on', async () => {
  let now = 1_800_000_000
  await withApp({ now: () => now, clients: [...CLIENTS, OTHER], pushed: { maximumBytes: 1_048_576 } }, async (app) => {
    const long = { ...REQUEST, state: 's'.repeat(32_000) }
    const statuses: number[] = []
    for (let count = 0; count < 6; count += 1) statuses.push((await push(app, long)).status)
    assert.deepEqual(statuses, [201, 201, 201, 429, 429, 429], 'an eighth of a MiB')
    const refused = await push(app, long)
    assert.deepEqual([refused.json['error'], refused.headers.get('retry-after')], ['temporarily_unavailable', '300'])
    const other = { authorization: `Basic ${Buffer.from(`other:${'y'.repeat(40)}`).toString('base64')}` }
    assert.equal((await push(app, { ...long, client_id: 'other' }, other)).status, 201)
    now += 600
    assert.equal((await push(app, long)).status, 201, 'given back after two lifetimes')
  })
})

test('PA6: /authorize reads client_id and request_uri, and ignores everything else', () =>
  withApp({}, async (app) => {
    const reference = await referenceOf(app)
    const noise = `&scope=write&scope=read&redirect_uri=https://evil.example/&state=other&response_type=token&prompt=none`
    const asked = await app.authorizeWith(`${new URLSearchParams(reference)}${noise}`)
    const body = (await asked.json()) as { transaction_id: string; scope: string[] }
    assert.deepEqual(body.scope, ['read'])
    const decided = await app.post('/authorize/decision', { transaction_id: body.transaction_id })
    const parameters = locationOf(decided)
    assert.deepEqual([parameters.get('state'), parameters.get('iss')], ['s1', ISSUER])
    const tokens = await app.redeem('web', {
      grant_type: 'authorization_code',
      code: parameters.get('code') ?? '',
      redirect_uri: REQUEST.redirect_uri,
      code_verifier: verifier,
    })
    assert.equal(tokens.scope, 'read')
  }))

test('PA6: POST to /authorize loads it as well', () =>
  withApp({}, async (app) => {
    const asked = await app.post('/authorize', await referenceOf(app))
    assert.equal(asked.status, 200)
  }))

test('PA6: the reference of another client, an unknown one, or none of ours never redirects', () =>
  withApp({ clients: [...CLIENTS, OTHER] }, async (app) => {
    const { request_uri } = await referenceOf(app)
    const plain = { ...REQUEST, client_id: 'other' }
    await assertPage(await app.authorizeWith({ ...plain, request_uri: request_uri ?? '' }), 'invalid_request_uri')
    for (const bad of ['A'.repeat(43), '', 'A'.repeat(44), `${'A'.repeat(43)}.x`, 'a\u0000b', '%', '../x', 'é'])
      await assertPage(await app.authorizeWith({ ...REQUEST, request_uri: PREFIX + bad }), 'invalid_request_uri')
    await assertPage(await app.authorizeWith({ request_uri: request_uri ?? '' }), 'invalid_request')
    const twice = `client_id=web&request_uri=${request_uri}&request_uri=${request_uri}`
    await assertPage(await app.authorizeWith(twice), 'invalid_request')
    await assertPage(
      await app.authorizeWith({ client_id: 'web', request_uri: `${request_uri}.${'A'.repeat(22)}` }),
      'invalid_request_uri',
    )
  }))

test('PA6: records of other types and of other issuers are no pushed requests', async () => {
  const stores = createMemoryStores()
  await withApp({ stores }, async (app) => {
    const reference = await referenceOf(app)
    await withApp({ stores, options: { issuer: 'https://other.example' } }, async (other) => {
      await assertPage(await other.authorizeWith(reference), 'invalid_request_uri')
    })
    const session = await app.sessions.open(
      { subject: 'alice', clientId: 'web', scope: '' },
      { id: `pushed:${createHash('sha256').update('B'.repeat(43)).digest('base64url')}` },
    )
    assert.ok(session)
    const forged = { client_id: 'web', request_uri: PREFIX + 'B'.repeat(43) }
    await assertPage(await app.authorizeWith(forged), 'invalid_request_uri')
  })
})

test('PA7: a reload and a login in between load it again, until the user has decided', () =>
  withApp({}, async (app) => {
    const reference = await referenceOf(app)
    const anonymous = await fetch(`${app.base}/authorize?${new URLSearchParams(reference)}`, { redirect: 'manual' })
    assert.equal(anonymous.status, 401)
    const link = /href="([^"]+)"/.exec(await anonymous.text())?.[1]?.replaceAll('&amp;', '&')
    assert.equal(link, `/authorize?${new URLSearchParams(reference)}`)
    const first = await transactionOf(await app.authorizeWith(reference))
    const second = await transactionOf(await app.authorizeWith(reference))
    assert.ok(codeOf(await app.post('/authorize/decision', { transaction_id: second })))
    await assertPage(await app.post('/authorize/decision', { transaction_id: first }), 'invalid_request_uri')
    await assertPage(await app.authorizeWith(reference), 'invalid_request_uri')
  }))

test('PA7: two forms sent at once, by the same or another user, give one code', () =>
  withApp({}, async (app) => {
    const reference = await referenceOf(app)
    const users = ['alice', 'bob', 'alice', 'carol']
    const forms = await Promise.all(users.map(async (user) => transactionOf(await app.authorizeWith(reference, user))))
    const answers = await Promise.all(
      forms.map((transaction_id, at) => app.post('/authorize/decision', { transaction_id }, users[at])),
    )
    assert.equal(answers.filter(({ status }) => status === 303).length, 1)
    assert.equal(answers.filter(({ status }) => status === 400).length, 3)
  }))

const redeemed = (app: App, code: string) =>
  app.redeem('web', { code, redirect_uri: REQUEST.redirect_uri, code_verifier: verifier })

test('PA7: a form that is sent twice gets the same code twice, until the code is redeemed; then a page', () =>
  withApp({ options: { secret: ['s'.repeat(32), 't'.repeat(32)] } }, async (app) => {
    const transaction_id = await transactionOf(await app.authorizeWith(await referenceOf(app)))
    const send = (user?: string) => app.post('/authorize/decision', { transaction_id, allow: 'allow' }, user)
    const first = await Promise.all([send(), send(), send()])
    const again = await send()
    const codes = new Set([...first, again].map(codeOf))
    assert.equal(codes.size, 1, 'one code')
    assert.equal(locationOf(again).get('state'), 's1')
    assert.equal(locationOf(again).get('iss'), ISSUER)
    assert.equal((await send('mallory')).status, 403)
    assert.equal((await redeemed(app, [...codes][0] ?? '')).token_type, 'Bearer')
    await assertPage(await send(), 'invalid_request_uri')
    await assert.rejects(redeemed(app, [...codes][0] ?? ''), { code: 'invalid_grant' })
  }))

test('PA7: a repeated form gets no code that has expired, and none of another form', async () => {
  let now = 1_800_000_000
  await withApp({ now: () => now }, async (app) => {
    const reference = await referenceOf(app)
    const form = await transactionOf(await app.authorizeWith(reference))
    const twin = await transactionOf(await app.authorizeWith(reference))
    const code = codeOf(await app.post('/authorize/decision', { transaction_id: form }))
    await assertPage(await app.post('/authorize/decision', { transaction_id: twin }), 'invalid_request_uri')
    now += 60
    assert.equal(codeOf(await app.post('/authorize/decision', { transaction_id: form })), code)
    now += 1
    await assertPage(await app.post('/authorize/decision', { transaction_id: form }), 'invalid_request_uri')
  })
})

test('PA7: a node that rotated the secret repeats the code of one that has not', async () => {
  const [old, fresh] = ['s'.repeat(32), 't'.repeat(32)]
  const stores = createMemoryStores()
  await withApp({ stores, options: { secret: [old, fresh] } }, (one) =>
    withApp({ stores, options: { secret: [fresh, old] } }, async (two) => {
      const transaction_id = await transactionOf(await one.authorizeWith(await referenceOf(one)))
      const code = codeOf(await one.post('/authorize/decision', { transaction_id }))
      assert.equal(codeOf(await two.post('/authorize/decision', { transaction_id })), code)
    }),
  )
})

test('PA7: a denial that is sent twice is told twice; what contradicts the first decision gets a page', () =>
  withApp({}, async (app) => {
    const formOf = async () => transactionOf(await app.authorizeWith(await referenceOf(app)))
    const [denied, allowed] = [await formOf(), await formOf()]
    const send = (transaction_id: string, answer: Form) =>
      app.post('/authorize/decision', { transaction_id, ...answer })
    const deny = { cancel: 'cancel' }
    for (let time = 0; time < 3; time += 1) {
      const parameters = locationOf(await send(denied, deny))
      assert.deepEqual(
        [parameters.get('error'), parameters.get('state'), parameters.get('iss')],
        ['access_denied', 's1', ISSUER],
      )
    }
    await assertPage(await send(denied, { allow: 'allow' }), 'invalid_request_uri')
    const code = codeOf(await send(allowed, { allow: 'allow' }))
    for (let time = 0; time < 3; time += 1) await assertPage(await send(allowed, deny), 'invalid_request_uri')
    assert.equal(codeOf(await send(allowed, { allow: 'allow' })), code)
  }))

test('PA7: when the store of the codes is down, a repeated form gets a 503', async () => {
  const stores = createMemoryStores()
  let isDown = false
  const { codeStore } = stores
  const find: typeof codeStore.find = (id) => (isDown ? Promise.reject(new Error('down')) : codeStore.find(id))
  await withApp({ stores: { ...stores, codeStore: { ...codeStore, find } } }, async (app) => {
    const transaction_id = await transactionOf(await app.authorizeWith(await referenceOf(app)))
    const code = codeOf(await app.post('/authorize/decision', { transaction_id }))
    isDown = true
    await assertPage(await app.post('/authorize/decision', { transaction_id }), 'temporarily_unavailable', 503)
    isDown = false
    assert.equal(codeOf(await app.post('/authorize/decision', { transaction_id })), code)
  })
})

test('PA7: a denial uses the request up, and so does consent that was remembered', () =>
  withApp({}, async (app) => {
    const denied = await referenceOf(app)
    const transaction_id = await transactionOf(await app.authorizeWith(denied))
    const answer = await app.post('/authorize/decision', { transaction_id, cancel: 'Deny' })
    assert.equal(locationOf(answer).get('error'), 'access_denied')
    await assertPage(await app.authorizeWith(denied), 'invalid_request_uri')

    await app.consents.remember({ subject: 'alice', clientId: 'web', scope: 'read' })
    const allowed = await referenceOf(app)
    const answers = await Promise.all([1, 2, 3].map(() => app.authorizeWith(allowed)))
    assert.equal(answers.filter(({ status }) => status === 302).length, 1)
    for (const each of answers) if (each.status !== 302) await assertPage(each, 'invalid_request_uri')
    await assertPage(await app.authorizeWith(allowed), 'invalid_request_uri')
  }))

test('PA7: a form that was open when the request expired is still good once, and its twin is not', async () => {
  let now = 1_800_000_000
  await withApp({ now: () => now, pushed: { lifetimeSeconds: 5 } }, async (app) => {
    const reference = await referenceOf(app)
    const one = await transactionOf(await app.authorizeWith(reference))
    now += 4
    const twin = await transactionOf(await app.authorizeWith(reference))
    now += 590
    assert.ok(codeOf(await app.post('/authorize/decision', { transaction_id: one })))
    now += 5
    await assertPage(await app.post('/authorize/decision', { transaction_id: twin }), 'invalid_request_uri')
  })
})

test('PA7: the register decides when the session store fails to end the record; when the register fails, nothing is spent', async () => {
  const stores = createMemoryStores()
  const { sessionStore, replayRegister } = stores
  let isDown = false
  const broken = {
    ...stores,
    sessionStore: { ...sessionStore, end: () => Promise.reject(new Error('down')) },
    replayRegister: {
      remember: (...given: Parameters<typeof replayRegister.remember>) =>
        isDown ? Promise.reject(new Error('down')) : replayRegister.remember(...given),
    },
  }
  await withApp({ stores: broken }, async (app) => {
    const reference = await referenceOf(app)
    const transaction_id = await transactionOf(await app.authorizeWith(reference))
    isDown = true
    assert.equal((await app.post('/authorize/decision', { transaction_id })).status, 503)
    isDown = false
    assert.ok(codeOf(await app.post('/authorize/decision', { transaction_id })))
    await app.consents.withdraw('alice', 'web')
    const again = await transactionOf(await app.authorizeWith(reference))
    await assertPage(await app.post('/authorize/decision', { transaction_id: again }), 'invalid_request_uri')
  })
})

test('PA7: a pushed prompt=login is demanded, and is fulfilled by the query that the login continues with', () =>
  withApp({}, async (app) => {
    const reference = await referenceOf(app, { ...REQUEST, prompt: 'login' })
    for (let reload = 0; reload < 2; reload += 1) {
      const demanded = await app.authorizeWith(reference)
      assert.equal(demanded.status, 401)
      const query = /href="\/authorize\?([^"]+)"/.exec(await demanded.text())?.[1]?.replaceAll('&amp;', '&') ?? ''
      const names = [...new URLSearchParams(query).keys()]
      assert.deepEqual(names, ['client_id', 'request_uri'])
      assert.equal((await app.authorizeWith(query)).status, 200)
    }
    await assertPage(await app.authorizeWith({ ...reference, prompt: 'consent' }), 'access_denied', 401)
  }))

test('PA7: max_age and prompt=none of the pushed request count', () =>
  withApp({}, async (app) => {
    const silent = await referenceOf(app, { ...REQUEST, prompt: 'none' })
    assert.equal(locationOf(await app.authorizeWith(silent)).get('error'), 'consent_required')
  }))

test('PA8: request, and a request_uri of any other form, are refused on the page', () =>
  withApp({}, async (app) => {
    await assertPage(await app.authorizeWith({ ...REQUEST, request: 'eyJ.e.' }), 'request_not_supported')
    for (const request_uri of ['https://client.example/request.jwt', 'urn:example:x', PREFIX.slice(0, -1), 'x'])
      await assertPage(await app.authorizeWith({ ...REQUEST, request_uri }), 'request_uri_not_supported')
    assert.equal((await app.authorizeWith({ ...REQUEST, request_uri: '', request: '' })).status, 200, 'empty is absent')
  }))

test('PA8: without the option both parameters are ignored, as before', () =>
  withApp({ pushed: undefined } as never, async (app) => {
    const asked = await app.authorizeWith({ ...REQUEST, request: 'x', request_uri: 'https://client.example/r' })
    assert.equal(asked.status, 200)
  }))

test('PA9: required for all, or for a client by its record: invalid_request is redirected', async () => {
  await withApp({ pushed: { required: true } }, async (app) => {
    const parameters = locationOf(await app.authorizeWith(REQUEST))
    assert.deepEqual([parameters.get('error'), parameters.get('state')], ['invalid_request', 's1'])
    assert.equal((await app.authorizeWith(await referenceOf(app))).status, 200)
    const evil = await app.authorizeWith({ ...REQUEST, redirect_uri: 'https://evil.example/' })
    await assertPage(evil, 'invalid_request')
  })
  for (const [value, status] of [
    [true, 302],
    ['true', 302],
    [false, 200],
    [null, 200],
    [undefined, 200],
  ] as const) {
    const web = { ...CLIENTS[0], require_pushed_authorization_requests: value } as (typeof CLIENTS)[number]
    await withApp({ clients: [web] }, async (app) => {
      assert.equal((await app.authorizeWith(REQUEST)).status, status, String(value))
    })
  }
})

test('PA10: the metadata names the endpoint, and whether it is required', () => {
  const { sessionStore: store } = createMemoryStores()
  const findClient = () => undefined
  const token = { methods: ['none'], signingAlgorithms: [], grantTypes: ['authorization_code'] }
  for (const required of [true, false]) {
    const endpoint = createPushedAuthorizationEndpoint(createPushedRequests({ store, required }), { findClient })
    const document = createMetadata({
      issuer: ISSUER,
      authorizationEndpoint: '/authorize',
      token: { url: '/token', endpoint: token },
      pushed: { url: '/par', endpoint },
    })
    assert.equal(document['pushed_authorization_request_endpoint'], `${ISSUER}/par`)
    assert.equal(document['require_pushed_authorization_requests'], required)
    assert.deepEqual(document['pushed_authorization_request_endpoint_auth_methods_supported'], endpoint.methods)
    assert.equal(document['request_uri_parameter_supported'], false, 'it is about URIs of clients')
  }
  const without = createMetadata({ issuer: ISSUER, token: { url: '/token', endpoint: token } })
  assert.ok(!Object.keys(without).some((name) => name.includes('pushed')))
})

test('PA11: other methods get 405 with Allow', () =>
  withApp({}, async (app) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const response = await fetch(`${app.base}/par`, { method })
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST, OPTIONS'], method)
    }
    assert.equal((await fetch(`${app.base}/par`, { method: 'OPTIONS' })).status, 204)
  }))

test('an endpoint without an authorization side is a server error, and no side shares its requests with another', async () => {
  const stores = createMemoryStores()
  const pushed = createPushedRequests({ store: stores.sessionStore })
  const [web] = CLIENTS
  assert.ok(web)
  await assert.rejects(pushed.push(web, REQUEST, 1), { code: 'server_error', reason: 'misconfigured' })
  const make = (options: object = {}) =>
    createAuthorizationSide({
      issuer: ISSUER,
      findClient: () => web,
      codes: stores.codeStore,
      consents: { allows: () => Promise.resolve(false), remember: () => Promise.resolve() },
      replayRegister: stores.replayRegister,
      secret: 's'.repeat(32),
      pushed,
      ...options,
    })
  assert.throws(() => make({ secret: 'short' }), TypeError)
  make()
  assert.throws(() => make(), /another authorization side/)
  assert.throws(() => make({ pushed: {} }), TypeError)
})

test('a session store that fails or returns nonsense is 503 or 500, never a refusal of the request', async () => {
  const { sessionStore } = createMemoryStores()
  const down = () => Promise.reject(new Error('down'))
  const stores = createMemoryStores()
  let get: unknown = down
  const broken = {
    ...stores,
    sessionStore: { ...sessionStore, create: down, get: (id: string) => (get as typeof sessionStore.get)(id) },
  }
  await withApp({ stores: broken as never }, async (app) => {
    assert.equal((await push(app)).status, 503)
    const reference = { client_id: 'web', request_uri: PREFIX + 'A'.repeat(43) }
    await assertPage(await app.authorizeWith(reference), 'temporarily_unavailable', 503)
    get = () => Promise.resolve({ nonsense: true })
    await assertPage(await app.authorizeWith(reference), 'temporarily_unavailable', 503)
  })
})

test('PA7: a form that is sent after a logout offers the login with the reference, not with the parameters', () =>
  withApp({}, async (app) => {
    const reference = await referenceOf(app)
    const transaction_id = await transactionOf(await app.authorizeWith(reference))
    const answer = await fetch(`${app.base}/authorize/decision`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ transaction_id }),
    })
    assert.equal(answer.status, 401)
    const query = /\?([^"]+)"/.exec(await answer.text())?.[1]?.replaceAll('&amp;', '&')
    assert.equal(query, new URLSearchParams(reference).toString())
  }))

test("PA7: a transaction that oauth2orize's own session store kept uses the request up as well", () =>
  withApp({}, async (app) => {
    for (const allow of [true, false]) {
      const query = new URLSearchParams(await referenceOf(app))
      const parsed = await new Promise<object>((resolve, reject) => {
        const request = { method: 'GET', url: `/authorize?${query}`, headers: {} }
        app.side.grant.request(request, (error, read) => (error ? reject(error) : resolve(read ?? {})))
      })
      const respond = () =>
        new Promise<string>((resolve) => {
          const headers = new Map<string, unknown>()
          const response = {
            headersSent: false,
            setHeader: (name: string, value: unknown) => headers.set(name, value),
            end: () => resolve(String(headers.get('Location'))),
          }
          const transaction = {
            client: CLIENTS[0],
            redirectURI: REQUEST.redirect_uri,
            req: JSON.parse(JSON.stringify(parsed)),
            user: { sub: 'alice' },
            res: { allow },
          }
          const next = (error: unknown) => resolve((error as { reason: string }).reason)
          app.side.grant.response(transaction as never, response as never, (done) => done(), next)
        })
      assert.match(await respond(), allow ? /[?&]code=/ : /error=access_denied/)
      assert.equal(await respond(), 'request_uri_invalid')
    }
  }))
