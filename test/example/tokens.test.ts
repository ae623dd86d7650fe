import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'

const REDIRECT_URI = 'https://app.example.com/cb'

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly refresh_expires_in?: number
}

describe('the endpoints that clients call', () => {
  let example: RunningExample
  let clients: Readonly<Record<string, ExampleClient>>

  before(async () => {
    clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    example = await startExample({ clients: Object.values(clients).map(({ record }) => record), users: USERS })
  })
  after(() => example?.stop())

  const form = (parameters: Readonly<Record<string, string>>): RequestInit => ({
    method: 'POST',
    body: new URLSearchParams(parameters),
  })
  const asPost = (parameters: Readonly<Record<string, string>>) => ({
    client_id: 'post',
    client_secret: clients['post']?.secret ?? '',
    ...parameters,
  })
  const call = async (path: string, parameters: Readonly<Record<string, string>>, init: RequestInit = {}) => {
    const response = await fetch(example.url + path, { ...form(parameters), ...init })
    return { response, body: (await response.json()) as Record<string, unknown> }
  }
  const introspect = async (token: string, more: Readonly<Record<string, string>> = {}) =>
    (await call('/introspect', asPost({ token, ...more }))).body

  async function connect(clientId = 'none', authentication: Readonly<Record<string, string>> = { client_id: 'none' }) {
    const { verifier, challenge } = newPkce()
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: REDIRECT_URI,
      scope: 'profile email',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    const arrival = await createFormBrowser(example.url).authorize(`${example.url}/authorize?${query}`, ALICE)
    const parameters = {
      grant_type: 'authorization_code',
      code: arrival.searchParams.get('code') ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
    }
    const { response, body } = await call('/token', { ...parameters, ...authentication })
    assert.equal(response.status, 200)
    return { parameters, tokens: body as unknown as Tokens }
  }
  const refresh = (refresh_token: string, more: Readonly<Record<string, string>> = {}) =>
    call('/token', { grant_type: 'refresh_token', client_id: 'none', refresh_token, ...more })

  async function assertion(clientId: string, claims: object = {}): Promise<Readonly<Record<string, string>>> {
    const { key } = clients[clientId] as ExampleClient
    const now = Math.floor(Date.now() / 1000)
    const jwt = new SignJWT({
      iss: clientId,
      sub: clientId,
      aud: example.url,
      jti: randomUUID(),
      iat: now,
      exp: now + 60,
      ...claims,
    }).setProtectedHeader({ alg: 'ES256' })
    return {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await jwt.sign(key as NonNullable<typeof key>),
    }
  }

  describe('access tokens', () => {
    test('verify with the key at jwks_uri, ES256 or EdDSA, and no private part is there', async () => {
      const { tokens } = await connect()
      const url = new URL(`${example.url}/jwks.json`)
      const { payload, protectedHeader } = await jwtVerify(tokens.access_token, createRemoteJWKSet(url), {
        issuer: example.url,
        typ: 'at+jwt',
      })
      assert.ok(['ES256', 'EdDSA'].includes(protectedHeader.alg))
      assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 900)
      assert.equal(tokens.expires_in, 900)
      assert.equal(tokens.refresh_expires_in, 5_184_000)
      const { keys } = (await (await fetch(url)).json()) as { keys: Record<string, unknown>[] }
      for (const key of keys) for (const member of ['d', 'k', 'p', 'q']) assert.equal(key[member], undefined)
    })
  })

  describe('introspection', () => {
    test('T97: any confidential client may ask about any access token, and about refresh tokens of its own', async () => {
      const { tokens } = await connect()
      const access = await introspect(tokens.access_token)
      assert.deepEqual(
        { ...access, exp: typeof access['exp'], iat: typeof access['iat'], jti: 0, sid: 0 },
        {
          active: true,
          scope: 'email profile',
          client_id: 'none',
          sub: 'u1',
          exp: 'number',
          iat: 'number',
          iss: example.url,
          aud: example.url,
          token_type: 'Bearer',
          styp: 'oauth2',
          jti: 0,
          sid: 0,
        },
      )
      assert.deepEqual(await introspect(tokens.refresh_token), { active: false }, "another client's")
      const own = await connect('post', asPost({}))
      const refreshing = await introspect(own.tokens.refresh_token)
      for (const member of ['active', 'scope', 'client_id', 'sub', 'exp', 'iat', 'iss', 'token_type'])
        assert.ok(refreshing[member], member)
    })

    for (const hint of ['access_token', 'refresh_token', 'something', '']) {
      test(`the hint ${JSON.stringify(hint)} changes nothing`, async () => {
        const { tokens } = await connect('post', asPost({}))
        assert.equal((await introspect(tokens.access_token, { token_type_hint: hint }))['active'], true)
        assert.equal((await introspect(tokens.refresh_token, { token_type_hint: hint }))['active'], true)
      })
    }

    test('everything else is {"active":false}, 200', async () => {
      const { tokens } = await connect()
      const [head = '', body = '', signature = ''] = tokens.access_token.split('.')
      for (const token of ['x', 'a.b.c', `${head}.${body}.${signature.slice(0, -4)}AAAA`, 'x'.repeat(20_000), 'é']) {
        const { response, body } = await call('/introspect', asPost({ token }))
        assert.equal(response.status, 200)
        assert.deepEqual(body, { active: false })
      }
    })

    test('asking moves nothing on: the token is as good as before', async () => {
      const { tokens } = await connect('post', asPost({}))
      for (let turn = 0; turn < 3; turn += 1) assert.equal((await introspect(tokens.refresh_token))['active'], true)
      const { response } = await refresh(tokens.refresh_token, asPost({}))
      assert.equal(response.status, 200)
    })

    test('a public client may not ask, nor may anybody without credentials', async () => {
      const { tokens } = await connect()
      for (const parameters of [{ client_id: 'none' }, {}, { client_id: 'post', client_secret: 'wrong' }]) {
        const { response, body } = await call('/introspect', { token: tokens.access_token, ...parameters } as never)
        assert.equal(response.status, 400)
        assert.equal(body['error'], 'invalid_client')
      }
    })

    test('without a token, or with an empty one, it is invalid_request', async () => {
      for (const parameters of [{}, { token: '' }])
        assert.equal((await call('/introspect', asPost(parameters as never))).body['error'], 'invalid_request')
    })

    test('an assertion may be addressed to the endpoint that is called', async () => {
      const { tokens } = await connect()
      const body = await assertion('es256', { aud: `${example.url}/introspect` })
      assert.equal((await call('/introspect', { token: tokens.access_token, ...body })).body['active'], true)
      const wrong = await assertion('es256', { aud: `${example.url}/revoke` })
      assert.equal((await call('/introspect', { token: 'x', ...wrong })).body['error'], 'invalid_client')
    })
  })

  describe('revocation', () => {
    test('a refresh token revoked by its client ends the session and its access tokens', async () => {
      const { tokens } = await connect()
      const { response, body } = await call('/revoke', { client_id: 'none', token: tokens.refresh_token })
      assert.equal(response.status, 200)
      assert.deepEqual(body, {})
      assert.match(response.headers.get('Content-Type') ?? '', /^application\/json/)
      assert.deepEqual(await introspect(tokens.access_token), { active: false })
      assert.deepEqual(await introspect(tokens.refresh_token), { active: false })
      assert.equal((await refresh(tokens.refresh_token)).body['error'], 'invalid_grant')
    })

    test('an access token revoked is itself inactive, and its session goes on', async () => {
      const { tokens } = await connect()
      const next = (await refresh(tokens.refresh_token)).body as unknown as Tokens
      assert.equal((await call('/revoke', { client_id: 'none', token: next.access_token })).response.status, 200)
      assert.deepEqual(await introspect(next.access_token), { active: false })
      assert.equal((await introspect(tokens.access_token))['active'], true)
      assert.equal((await refresh(next.refresh_token)).response.status, 200)
    })

    test("another client's token is left alone, an unknown one is nothing, and both are answered alike", async () => {
      const { tokens } = await connect()
      for (const token of [tokens.access_token, tokens.refresh_token, 'unknown', 'a.b.c']) {
        const { response, body } = await call('/revoke', asPost({ token }))
        assert.equal(response.status, 200)
        assert.deepEqual(body, {})
      }
      assert.equal((await introspect(tokens.access_token))['active'], true)
      assert.equal((await refresh(tokens.refresh_token)).response.status, 200)
    })

    test('a request whose client authentication fails changes nothing', async () => {
      const { tokens } = await connect()
      const { response } = await call('/revoke', { token: tokens.refresh_token, client_id: 'post', client_secret: 'x' })
      assert.equal(response.status, 400)
      assert.equal((await refresh(tokens.refresh_token)).response.status, 200)
    })
  })

  describe('the token endpoint', () => {
    test('a failed client authentication does not spend the code, nor move the session on', async () => {
      const authentication = asPost({})
      const { verifier, challenge } = newPkce()
      const query = `response_type=code&client_id=post&redirect_uri=${REDIRECT_URI}&code_challenge=${challenge}&code_challenge_method=S256`
      const arrival = await createFormBrowser(example.url).authorize(`${example.url}/authorize?${query}`, ALICE)
      const parameters = {
        grant_type: 'authorization_code',
        code: arrival.searchParams.get('code') ?? '',
        redirect_uri: REDIRECT_URI,
        code_verifier: verifier,
      }
      const refused = await call('/token', { ...parameters, ...authentication, client_secret: 'wrong' })
      assert.equal(refused.body['error'], 'invalid_client')
      const { response, body } = await call('/token', { ...parameters, ...authentication })
      assert.equal(response.status, 200)
      const wrong = { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']), client_id: 'post' }
      for (let turn = 0; turn < 3; turn += 1)
        assert.equal((await call('/token', { ...wrong, client_secret: 'wrong' })).body['error'], 'invalid_client')
      assert.equal((await call('/token', { ...wrong, ...authentication })).response.status, 200)
    })

    test('a code redeemed twice with all proofs ends the session it opened', async () => {
      const { parameters, tokens } = await connect()
      const { body } = await call('/token', { ...parameters, client_id: 'none' })
      assert.equal(body['error'], 'invalid_grant')
      assert.equal((await refresh(tokens.refresh_token)).body['error'], 'invalid_grant')
    })

    test('an empty parameter counts as absent, resource is accepted, once or more', async () => {
      const body = new URLSearchParams(
        asPost({ grant_type: 'client_credentials', scope: '', code: '', client_assertion: '' }),
      )
      body.append('resource', 'https://api.example.com')
      body.append('resource', 'https://b.example.com')
      const response = await fetch(`${example.url}/token`, { method: 'POST', body })
      assert.equal(response.status, 200)
      assert.equal((await call('/token', asPost({ grant_type: '' }))).body['error'], 'invalid_request')
    })

    for (const path of ['/token', '/introspect', '/revoke']) {
      test(`POST ${path} with more than 64 KiB is answered with 413, JSON with 415, GET with 405, all as JSON`, async () => {
        const large = await call(path, { client_id: 'none', more: 'x'.repeat(65_536) })
        assert.equal(large.response.status, 413)
        assert.equal(large.body['error'], 'invalid_request')
        const json = await call(path, {}, { body: '{}', headers: { 'Content-Type': 'application/json' } })
        assert.equal(json.response.status, 415)
        const get = await fetch(example.url + path)
        assert.equal(get.status, 405)
        for (const { headers } of [large.response, json.response, get]) {
          assert.equal(headers.get('Cache-Control'), 'no-store')
          assert.match(headers.get('Content-Type') ?? '', /^application\/json/)
        }
      })
    }

    test('no rate limit is reached: 300 failures in a row from one address, and the next request is answered', async () => {
      for (let turn = 0; turn < 300; turn += 1)
        assert.equal((await call('/token', asPost({ grant_type: 'x', client_secret: 'wrong' }))).response.status, 400)
      assert.equal((await call('/token', asPost({ grant_type: 'client_credentials' }))).response.status, 200)
    })

    test('failed Basic is 401 with a challenge, whatever is in the body', async () => {
      const headers = { Authorization: `Basic ${Buffer.from('post:wrong').toString('base64')}` }
      const { response, body } = await call('/token', asPost({ grant_type: 'client_credentials' }), { headers })
      assert.equal(response.status, 401)
      assert.match(response.headers.get('WWW-Authenticate') ?? '', /^Basic realm="/)
      assert.equal(body['error'], 'invalid_client')
    })
  })
})

describe('the variables', () => {
  const client = { client_id: 'a', client_secret: 'a secret', grant_types: ['client_credentials'] }
  const ask = async (example: RunningExample, parameters: Readonly<Record<string, string>> = {}) => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'a',
      client_secret: 'a secret',
      ...parameters,
    })
    return (await (await fetch(`${example.url}/token`, { method: 'POST', body })).json()) as Record<string, unknown>
  }

  test('ACCESS_TOKEN_TTL and ERROR_VERBOSITY=debug', async () => {
    const example = await startExample({
      clients: [client],
      environment: { ACCESS_TOKEN_TTL: '17', ERROR_VERBOSITY: 'debug' },
    })
    const granted = await ask(example)
    const refused = await ask(example, { client_secret: 'wrong' })
    await example.stop()
    assert.equal(granted['expires_in'], 17)
    const { exp = 0, iat = 0 } = decodeJwt(String(granted['access_token']))
    assert.equal(exp - iat, 17)
    assert.match(String(refused['error_description']), /client_secret_wrong/)
  })

  test('REFRESH_TOKEN_TTL: a session that is used lives on, also where the time is shorter than the usual overlap', async () => {
    const { none } = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    const example = await startExample({
      clients: [none?.record],
      users: USERS,
      environment: { REFRESH_TOKEN_TTL: '8' },
    })
    try {
      const { verifier, challenge } = newPkce()
      const query = `response_type=code&client_id=none&redirect_uri=${REDIRECT_URI}&code_challenge=${challenge}&code_challenge_method=S256`
      const arrival = await createFormBrowser(example.url).authorize(`${example.url}/authorize?${query}`, ALICE)
      const post = async (parameters: Readonly<Record<string, string>>) => {
        const body = new URLSearchParams({ client_id: 'none', ...parameters })
        return (await fetch(`${example.url}/token`, { method: 'POST', body })).json() as Promise<Tokens>
      }
      const code = arrival.searchParams.get('code') ?? ''
      const grant = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier }
      let { refresh_token, refresh_expires_in } = await post(grant)
      assert.equal(refresh_expires_in, 8)
      for (const milliseconds of [3050, 3050, 5050]) {
        await new Promise((resolve) => setTimeout(resolve, milliseconds))
        ;({ refresh_token, refresh_expires_in } = await post({ grant_type: 'refresh_token', refresh_token }))
        assert.equal(refresh_expires_in, 8)
      }
    } finally {
      await example.stop()
    }
  })

  test('ERROR_VERBOSITY=minimal says the code and nothing else', async () => {
    const example = await startExample({ clients: [client], environment: { ERROR_VERBOSITY: 'minimal' } })
    const refused = await ask(example, { client_secret: 'wrong' })
    await example.stop()
    assert.deepEqual(refused, { error: 'invalid_client' })
  })

  test('BASE_SECRET: the same keys in every process that has the same, others in the next', async () => {
    const keysWith = async (secret: string): Promise<string> => {
      const example = await startExample({ environment: { BASE_SECRET: secret } })
      const keys = await (await fetch(`${example.url}/jwks.json`)).text()
      await example.stop()
      return keys
    }
    const secret = 'the same secret on every node, and long enough'
    const first = await keysWith(secret)
    assert.equal(await keysWith(secret), first)
    assert.notEqual(await keysWith('short'), first)
  })

  test('ASSERTION_PROFILE=fapi2 takes no assertion addressed to the token endpoint; AUTHORIZATION_CODE_TTL ends codes', async () => {
    const clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    const example = await startExample({
      clients: [clients['es256']?.record, clients['none']?.record],
      users: USERS,
      environment: { ASSERTION_PROFILE: 'fapi2', AUTHORIZATION_CODE_TTL: '1' },
    })
    try {
      const sign = (aud: string): Promise<string> =>
        new SignJWT({ iss: 'es256', sub: 'es256', aud, jti: randomUUID() })
          .setIssuedAt()
          .setExpirationTime('1m')
          .setProtectedHeader({ alg: 'ES256' })
          .sign(clients['es256']?.key as NonNullable<ExampleClient['key']>)
      const present = async (aud: string): Promise<number> => {
        const body = new URLSearchParams({
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await sign(aud),
        })
        return (await fetch(`${example.url}/token`, { method: 'POST', body })).status
      }
      assert.equal(await present(example.url), 200)
      assert.equal(await present(`${example.url}/token`), 400)

      const { verifier, challenge } = newPkce()
      const query = `response_type=code&client_id=none&redirect_uri=${REDIRECT_URI}&code_challenge=${challenge}&code_challenge_method=S256`
      const arrival = await createFormBrowser(example.url).authorize(`${example.url}/authorize?${query}`, ALICE)
      await new Promise((resolve) => setTimeout(resolve, 2100))
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'none',
        code: arrival.searchParams.get('code') ?? '',
        redirect_uri: REDIRECT_URI,
        code_verifier: verifier,
      })
      assert.equal((await fetch(`${example.url}/token`, { method: 'POST', body })).status, 400)
    } finally {
      await example.stop()
    }
  })
})

describe('jwks_uri', () => {
  test('over http on this machine is taken while the issuer is http on this machine; a redirect is not followed', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one' }
    const keyServer = createServer((request, response) => {
      if (request.url === '/moved') response.writeHead(302, { Location: '/keys' }).end()
      else response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: [jwk] }))
    })
    await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', resolve))
    const { port } = keyServer.address() as AddressInfo
    const client = (client_id: string, path: string) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `http://127.0.0.1:${port}${path}`,
      grant_types: ['client_credentials'],
    })
    const example = await startExample({ clients: [client('direct', '/keys'), client('moved', '/moved')] })
    try {
      for (const [clientId, status] of [
        ['direct', 200],
        ['moved', 400],
      ] as const) {
        const jwt = await new SignJWT({ iss: clientId, sub: clientId, aud: example.url, jti: randomUUID() })
          .setIssuedAt()
          .setExpirationTime('1m')
          .setProtectedHeader({ alg: 'ES256', kid: 'one' })
          .sign(privateKey)
        const body = new URLSearchParams({
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: jwt,
        })
        assert.equal((await fetch(`${example.url}/token`, { method: 'POST', body })).status, status, clientId)
      }
    } finally {
      await example.stop()
      keyServer.closeAllConnections()
      keyServer.close()
    }
  })
})
