import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ROOT, type RunningExample, startExample } from '../support/example.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { freePort } from '../support/temporary.ts'

describe('the client of the example, with a key that the server fetches from it', () => {
  let server: RunningExample
  let client: RunningExample

  before(async () => {
    const port = String(await freePort())
    // the records people start with, but for the port, which may be taken here
    const clients = await readFile(join(ROOT, 'examples/clients.json'), 'utf8')
    server = await startExample({ clients: clients.replaceAll(':4000/', `:${port}/`) })
    client = await startExample({
      command: ['npm', 'run', '--silent', 'example:client'],
      environment: { PORT: port, ISSUER: server.url },
    })
  })
  after(async () => {
    await client?.stop()
    await server?.stop()
  })

  test('connects, with the user and password of the example, and refreshes', async () => {
    const left = await fetch(`${client.url}/connect`, { redirect: 'manual' })
    const user = { username: 'alice', password: 'wonderland' }
    const arrival = await createFormBrowser(server.url).authorize(left.headers.get('Location') ?? '', user)
    const connected = await (await fetch(arrival)).text()
    assert.match(connected, /<h1>Connected<\/h1>[\s\S]*notes\.read notes\.write profile[\s\S]*&quot;active&quot;: true/)
    const refreshed = await (await fetch(`${client.url}/refresh`)).text()
    assert.match(refreshed, /<h1>Refreshed<\/h1>[\s\S]*&quot;client_id&quot;: &quot;notebook&quot;/)
  })

  test('shows what the server told it', async () => {
    await fetch(`${client.url}/connect`, { redirect: 'manual' })
    const answer = await fetch(`${client.url}/callback?error=access_denied&state=another`)
    assert.equal(answer.status, 502)
  })
})
