import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { FROM_SOURCES, type RunningExample, runExample, startExample } from '../support/example.ts'
import { exampleClients, USERS } from '../support/example_clients.ts'

describe('starting the example', () => {
  for (const [title, command] of [
    ['npm run example', ['npm', 'run', '--silent', 'example']],
    ['its sources', FROM_SOURCES],
  ] as const)
    test(`${title}: with an unusable setting it ends with status 1, without one it is ready and ends with status 0`, async () => {
      const environment = { ACCESS_TOKEN_TTL: 'soon' }
      const { status, stdout, stderr } = await runExample({ command, environment })
      assert.deepEqual([status, stdout], [1, ''])
      assert.match(stderr, /^ACCESS_TOKEN_TTL: [^\n]+\n$/)
      const example = await startExample({ command })
      assert.equal((await fetch(`${example.url}/account`)).status, 200)
      assert.deepEqual(await example.stop(), { status: 0, signal: null })
    })

  for (const [variable, value, problem] of [
    ['CLIENTS_FILE', '/nowhere/clients.json', /does not exist/],
    ['USERS_FILE', 'package.json', /must be a JSON array/],
    ['ACCESS_TOKEN_TTL', 'soon', /whole number/],
    ['STORE_URL', 'mysql://db.example.com', /must begin with/],
    ['ISSUER', 'example', /http or https URL/],
    ['PORT', '99999', /whole number/],
  ] as const) {
    test(`an unusable ${variable} ends it with status 1 and one line on standard error`, async () => {
      const { status, stdout, stderr } = await runExample({ environment: { [variable]: value } })
      assert.equal(status, 1)
      assert.equal(stdout, '')
      assert.match(stderr, new RegExp(`^${variable}: [^\\n]+\\n$`))
      assert.match(stderr, problem)
    })
  }

  for (const [environment, reason] of [
    [{ NODE_ENV: 'production' }, 'NODE_ENV is production'],
    [{ ISSUER: 'https://id.example.com' }, 'ISSUER is https'],
    [{ ISSUER: 'HTTPS://id.example.com' }, 'ISSUER is https'],
    [{ NODE_ENV: 'production', ISSUER: 'http://localhost:4000' }, 'NODE_ENV is production'],
  ] as const) {
    const { clients, users } = { clients: [{ client_id: 'app', client_secret: 'x' }], users: USERS }
    test(`${JSON.stringify(environment)} without clients or users of its own ends it with status 1`, async () => {
      for (const [variable, files] of [
        ['USERS_FILE', {}],
        ['USERS_FILE', { clients }],
        ['CLIENTS_FILE', { users }],
      ] as const) {
        const { status, stdout, stderr } = await runExample({ ...files, environment })
        assert.deepEqual([status, stdout], [1, ''])
        assert.match(stderr, new RegExp(`^${variable}: [^\\n]+\\n$`))
        assert.match(stderr, new RegExp(reason))
      }
    })
  }

  test('with files of its own it starts in production', async () => {
    const example = await startExample({
      environment: { NODE_ENV: 'production', ISSUER: 'https://id.example.com', BASE_SECRET: 'x'.repeat(32) },
      clients: [],
      users: USERS,
    })
    assert.equal((await fetch(`${example.url}/jwks.json`)).status, 200)
    assert.equal(example.stderr(), '')
    await example.stop()
  })

  test('a port that is in use ends it with status 1 and one line that names PORT', async () => {
    const example = await startExample()
    const { port } = new URL(example.url)
    const { status, stderr } = await runExample({ environment: { PORT: port } })
    await example.stop()
    assert.equal(status, 1)
    assert.match(stderr, /^PORT: [^\n]*EADDRINUSE[^\n]*\n$/)
  })

  test('a port that another program has on ::1 alone is in use as well', async (context) => {
    const other = createServer()
    other.listen({ port: 0, host: '::1' })
    const listening = await once(other, 'listening').then(
      () => true,
      () => false,
    )
    if (!listening) return context.skip('this machine has no IPv6')
    const { port } = other.address() as AddressInfo
    const { status, stdout, stderr } = await runExample({ environment: { PORT: String(port) } })
    other.close()
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^PORT: [^\n]*EADDRINUSE[^\n]*\n$/)
  })

  test('one line on standard output has the URL, and then the metadata document answers', async () => {
    const example = await startExample()
    try {
      const metadata = await fetch(`${example.url}/.well-known/oauth-authorization-server`)
      assert.equal(metadata.status, 200)
      assert.equal(((await metadata.json()) as { issuer: string }).issuer, example.url)
      const lines = example.stdout().split('\n').filter(Boolean)
      assert.equal(lines.length, 1)
      assert.match(lines[0] ?? '', /http:\/\/localhost:\d+$/)
      assert.match(example.stderr(), /^warning: BASE_SECRET: [^\n]+\n$/)
    } finally {
      await example.stop()
    }
  })

  test('every name of the loopback interface is listened on', async () => {
    const example = await startExample()
    const { port } = new URL(example.url)
    try {
      assert.equal((await fetch(`http://127.0.0.1:${port}/jwks.json`)).status, 200)
      assert.equal((await fetch(`http://localhost:${port}/jwks.json`)).status, 200)
    } finally {
      await example.stop()
    }
  })

  test('SIGTERM: open requests are answered, kept-alive connections closed, status 0', async () => {
    const example = await startExample()
    const { port } = new URL(example.url)
    const idle = connect(Number(port), '127.0.0.1')
    await once(idle, 'connect')
    idle.write('GET /jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(idle, 'data')
    const open = connect(Number(port), '127.0.0.1')
    await once(open, 'connect')
    const body = 'grant_type=client_credentials'
    open.write(
      `POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    let answer = ''
    open.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    const stopped = example.stop()
    await new Promise((resolve) => setTimeout(resolve, 200))
    open.write(body)
    assert.deepEqual(await stopped, { status: 0, signal: null })
    assert.match(answer, /^HTTP\/1\.1 400 .*invalid_client/s)
  })

  test('SIGTERM does not wait for connections on which nothing was ever sent', async () => {
    const example = await startExample()
    const { port } = new URL(example.url)
    const ahead = connect(Number(port), '127.0.0.1')
    await once(ahead, 'connect')
    await new Promise((resolve) => setTimeout(resolve, 100))
    const before = performance.now()
    assert.deepEqual(await example.stop(), { status: 0, signal: null })
    assert.ok(performance.now() - before < 5000)
  })

  test('a second signal while it ends does not break it off', async () => {
    const example = await startExample()
    example.process.kill('SIGTERM')
    example.process.kill('SIGTERM')
    assert.deepEqual(await example.stop(), { status: 0, signal: null })
  })
})

describe('an issuer that is not the address it listens on', () => {
  const issuer = 'https://id.example.com/tenant/one'
  let example: RunningExample
  before(async () => {
    const clients = await exampleClients({ redirect_uris: ['https://app.example.com/cb'] })
    example = await startExample({
      environment: { ISSUER: issuer },
      users: USERS,
      clients: Object.values(clients).map(({ record }) => record),
    })
  })
  after(() => example?.stop())

  for (const path of [
    '/.well-known/oauth-authorization-server/tenant/one',
    '/.well-known/openid-configuration/tenant/one',
    '/tenant/one/.well-known/openid-configuration',
    '/tenant/one/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server',
  ]) {
    test(`the document at ${path} has no other address in it, whatever the Host header says`, async () => {
      const response = await fetch(example.url + path, { headers: { 'X-Forwarded-Host': 'evil.example' } })
      assert.equal(response.status, 200)
      const metadata = (await response.json()) as Record<string, unknown>
      assert.equal(metadata['issuer'], issuer)
      for (const [name, value] of Object.entries(metadata))
        if (name.endsWith('_endpoint') || name.endsWith('_uri'))
          assert.ok(String(value).startsWith(`${issuer}/`), `${name} ${value}`)
    })
  }

  for (const base of ['', '/tenant/one']) {
    test(`behind a proxy that ${base === '' ? 'takes the path away' : 'leaves the path'} everything is found`, async () => {
      const at = (path: string): Promise<Response> => fetch(example.url + base + path, { redirect: 'manual' })
      assert.equal((await at('/jwks.json')).status, 200)
      assert.equal((await at('/token')).status, 405)
      assert.equal((await at('/introspect')).status, 405)
      assert.equal((await at('/revoke')).status, 405)
      const account = await at('/account')
      assert.match(await account.text(), /<form method="post" action="\/tenant\/one\/login">/)
      assert.match(
        account.headers.get('Set-Cookie') ?? '',
        /^__Host-browser_[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
    })
  }

  test('A28: links to start again are below the path of the issuer', async () => {
    const query = 'response_type=code&client_id=none&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&state=s'
    const refused = await fetch(`${example.url}/tenant/one/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'cross-site' },
      body: new URLSearchParams({ authorization_request: query }),
    })
    assert.equal(refused.status, 403)
    const href = /<a href="([^"]+)">Start again<\/a>/.exec(await refused.text())?.[1]?.replaceAll('&amp;', '&')
    assert.equal(href, `/tenant/one/authorize?${query}`)
    const again = await fetch(example.url + href, { redirect: 'manual' })
    assert.equal(again.status, 302)
  })

  test('iss of the authorization response is the issuer', async () => {
    const query = 'response_type=code&client_id=none&redirect_uri=https://app.example.com/cb&state=s'
    const response = await fetch(`${example.url}/tenant/one/authorize?${query}`, { redirect: 'manual' })
    const location = new URL(response.headers.get('Location') ?? '')
    assert.equal(location.searchParams.get('error'), 'invalid_request')
    assert.equal(location.searchParams.get('iss'), issuer)
    assert.equal(location.searchParams.get('state'), 's')
  })
})

describe('unsound client records', () => {
  let example: RunningExample
  const secret = 'a secret that is long enough for every MAC there is, this one and the next'
  before(async () => {
    const shared = { grant_types: ['client_credentials'], client_secret: secret }
    example = await startExample({
      clients: [
        { ...shared, client_id: 'sound' },
        { ...shared, client_id: 'unknown-method', token_endpoint_auth_method: 'handshake' },
        { ...shared, client_id: 'both', jwks: { keys: [] }, jwks_uri: 'https://keys.example.com/' },
        { ...shared, client_id: 'short', token_endpoint_auth_method: 'client_secret_jwt', client_secret: 'short' },
        { ...shared, client_id: 'none-alg', token_endpoint_auth_signing_alg: 'none' },
        {
          ...shared,
          client_id: 'bad-key',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ kty: 'EC' }] },
        },
        {
          ...shared,
          client_id: 'two-secrets',
          client_secret: [
            { value: 'new', expires_at: 0 },
            { value: 'old', expires_at: 4102444800 },
            { value: 'older', expires_at: 1 },
          ],
        },
      ],
    })
  })
  after(() => example?.stop())

  const ask = (clientId: string, clientSecret = secret): Promise<Response> =>
    fetch(`${example.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }),
    })

  test('the server starts, and every other client is served', async () => {
    assert.equal((await ask('sound')).status, 200)
  })

  for (const clientId of ['unknown-method', 'both', 'short', 'none-alg', 'bad-key']) {
    test(`the client "${clientId}" is named in a warning and refused when it comes`, async () => {
      assert.match(
        example.stderr(),
        new RegExp(`^warning: CLIENTS_FILE: client "${clientId}" will be refused: .+$`, 'm'),
      )
      const response = await ask(clientId)
      assert.equal(response.status, 400)
      assert.equal(((await response.json()) as { error: string }).error, 'invalid_client')
    })
  }

  test('of several secrets every live one opens, an expired one does not', async () => {
    assert.equal((await ask('two-secrets', 'new')).status, 200)
    assert.equal((await ask('two-secrets', 'old')).status, 200)
    assert.equal((await ask('two-secrets', 'older')).status, 400)
  })
})
