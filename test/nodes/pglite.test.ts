import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runExample, startExample } from '../support/example.ts'
import { ALICE, PUBLIC_APP, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'
import { temporaryFolder } from '../support/temporary.ts'

const [REDIRECT_URI = ''] = PUBLIC_APP.redirect_uris
const folder = temporaryFolder('pglite-example')
after(() => folder.remove())

test('the example on a folder: what was answered survives kill -9, and a second process is turned away', async () => {
  const options = {
    users: USERS,
    clients: [PUBLIC_APP],
    environment: {
      STORE_URL: `pglite:${join(folder.path, 'data')}`,
      BASE_SECRET: 'one secret for both lives of this server',
      ISSUER: 'http://localhost:9999',
    },
  }
  const first = await startExample(options)
  const post = async (url: string, form: Readonly<Record<string, string>>) => {
    const response = await fetch(`${url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'app', ...form }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  const { verifier, challenge } = newPkce()
  const query = `response_type=code&client_id=app&redirect_uri=${REDIRECT_URI}&code_challenge=${challenge}&code_challenge_method=S256`
  const arrival = await createFormBrowser(first.url).authorize(`${first.url}/authorize?${query}`, ALICE)
  const redemption = {
    grant_type: 'authorization_code',
    code: arrival.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  }
  const opened = await post(first.url, redemption)
  assert.equal(opened.status, 200)
  const token = { grant_type: 'refresh_token', refresh_token: opened.body['refresh_token'] ?? '' }
  const refreshed = await post(first.url, token)
  assert.equal(refreshed.status, 200)

  const turnedAway = await runExample(options)
  assert.equal(turnedAway.status, 1)
  assert.match(turnedAway.stderr, /^STORE_URL: .*in use by another process$/m)

  first.process.kill('SIGKILL')
  await once(first.process, 'exit')
  const second = await startExample(options)
  try {
    const again = await post(second.url, { ...token, refresh_token: refreshed.body['refresh_token'] ?? '' })
    assert.equal(again.status, 200, 'an acknowledged refresh token')
    assert.equal((await post(second.url, redemption)).body['error'], 'invalid_grant', 'a spent code')
    const ended = await post(second.url, { ...token, refresh_token: again.body['refresh_token'] ?? '' })
    assert.equal(ended.body['error'], 'invalid_grant', 'the replay of the code ended its session')
  } finally {
    assert.deepEqual(await second.stop(), { status: 0, signal: null })
  }
})
