import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runExample } from '../support/example.ts'
import { BOB } from '../support/example_clients.ts'
import { startTestExample } from '../support/example_tokens.ts'
import { createFormBrowser, type Visit } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'

const folder = mkdtempSync(join(tmpdir(), 'resources-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const fileOf = (content: unknown): string => {
  files += 1
  const path = join(folder, `${files}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe('RESOURCES_FILE names two resources beside the demo API', () => {
  const CALENDAR = 'https://calendar.example/mcp'
  const NOTES = 'https://notes.example'
  let example: Awaited<ReturnType<typeof startTestExample>>
  before(async () => {
    const RESOURCES_FILE = fileOf([{ uri: CALENDAR }, { uri: NOTES, scopes: ['profile'] }])
    const shared = { scope: 'profile email notes.read' }
    example = await startTestExample({ shared, environment: { RESOURCES_FILE } })
  })
  after(() => example?.stop())

  const whoami = async (token: string) => {
    const response = await fetch(`${example.url}/api/whoami`, { headers: { authorization: `Bearer ${token}` } })
    return response.status
  }
  const refusalOf = async (form: Readonly<Record<string, string>>, more: readonly (readonly [string, string])[]) => {
    const body = new URLSearchParams({ ...form, ...example.asPost })
    for (const [name, value] of more) body.append(name, value)
    const response = await fetch(`${example.url}/token`, { method: 'POST', body })
    return [response.status, ((await response.json()) as { error?: string }).error]
  }

  test('RI5, RI11: client_credentials gets a token for the resource that it names, in the registered spelling', async () => {
    const token = await example.clientToken('profile', { resource: `${CALENDAR}/` })
    assert.equal(claimsOf(token)['aud'], CALENDAR)
  })

  test('RI3: an unknown resource is invalid_target', async () => {
    const form = { grant_type: 'client_credentials' }
    assert.deepEqual(await refusalOf(form, [['resource', 'https://other.example']]), [400, 'invalid_target'])
  })

  test('the API accepts tokens for itself, and for nothing else', async () => {
    assert.equal(await whoami(await example.clientToken('profile', { resource: `${example.issuer}/api` })), 200)
    assert.equal(await whoami(await example.clientToken('profile', { resource: CALENDAR })), 401)
  })

  test('RI1, RI7, RI8, RI12: a code for two resources gives a token for both, and a refresh one for a part', async () => {
    const both = [
      ['resource', CALENDAR],
      ['resource', NOTES],
    ] as const
    const tokens = await example.userTokens(both)
    assert.deepEqual([claimsOf(tokens.access_token)['aud']].flat().sort(), [CALENDAR, NOTES])
    const form = { grant_type: 'refresh_token', client_id: 'none', refresh_token: tokens.refresh_token }
    const refreshed = await example.call('/token', { ...form, resource: NOTES })
    assert.equal(claimsOf(refreshed['access_token'] as string)['aud'], NOTES)
  })

  test('RI13: the dialog names the resources, and comes again for another one', async () => {
    const browser = createFormBrowser(example.url)
    const query = (resource: readonly string[]) => {
      const parameters = new URLSearchParams({
        response_type: 'code',
        client_id: 'none',
        redirect_uri: 'https://app.example.com/cb',
        scope: 'profile',
        code_challenge: newPkce().challenge,
        code_challenge_method: 'S256',
      })
      for (const each of resource) parameters.append('resource', each)
      return `${example.url}/authorize?${parameters}`
    }
    const textOf = ({ text }: Visit): string => text.replace(/<[^>]+>/g, '')
    let page = await browser.submit(await browser.visit(query([NOTES, CALENDAR])), '/login', BOB)
    assert.match(textOf(page), new RegExp(`This is for ${NOTES} and ${CALENDAR}\\.`))
    await browser.submit(page, '/decision', {}, 'allow')
    assert.ok((await browser.visit(query([CALENDAR]))).redirectedTo?.searchParams.get('code'), 'allowed before')
    page = await browser.visit(query([`${example.issuer}/api`]))
    assert.match(textOf(page), new RegExp(`This is for ${example.issuer}/api\\.`))
  })

  test('RI3: an unknown resource is sent back to the client as invalid_target', async () => {
    const url = new URL(`${example.url}/authorize`)
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: 'none',
      redirect_uri: 'https://app.example.com/cb',
      state: 's1',
      code_challenge: newPkce().challenge,
      code_challenge_method: 'S256',
      resource: 'https://other.example',
    }).toString()
    const { redirectedTo } = await createFormBrowser(example.url).visit(url.href)
    assert.deepEqual(
      ['error', 'state', 'iss'].map((name) => redirectedTo?.searchParams.get(name)),
      ['invalid_target', 's1', example.issuer],
    )
  })

  test('RI16: the metadata document lists them', async () => {
    const response = await fetch(`${example.url}/.well-known/oauth-authorization-server`)
    const { protected_resources: listed } = (await response.json()) as { protected_resources?: string[] }
    assert.deepEqual([...(listed ?? [])].sort(), [`${example.issuer}/api`, CALENDAR, NOTES].sort())
  })
})

test('without RESOURCES_FILE a token without resource is for the issuer, and an unknown resource is ignored', async () => {
  const example = await startTestExample({ shared: { scope: 'profile' } })
  try {
    assert.equal(claimsOf(await example.clientToken('profile'))['aud'], example.issuer)
    const unknown = await example.clientToken('profile', { resource: 'https://other.example' })
    assert.equal(claimsOf(unknown)['aud'], example.issuer)
    const api = await example.clientToken('profile', { resource: `${example.issuer}/api` })
    assert.equal(claimsOf(api)['aud'], `${example.issuer}/api`)
    const tokens = await example.userTokens([
      ['resource', 'https://other.example'],
      ['resource', 'not a URI'],
    ])
    assert.equal(claimsOf(tokens.access_token)['aud'], example.issuer)
  } finally {
    await example.stop()
  }
})

for (const [title, content] of [
  ['is not JSON', '[{'],
  ['is no array', {}],
  ['has a resource without uri', [{ scopes: ['a'] }]],
  ['has a relative uri', [{ uri: '/api' }]],
  ['has a uri with a fragment', [{ uri: 'https://a.example/#b' }]],
  ['has a misspelt member', [{ uri: 'https://a.example', scope: 'a' }]],
  ['has one uri twice', [{ uri: 'https://a.example' }, { uri: 'https://a.example/' }]],
] as const)
  test(`a RESOURCES_FILE that ${title} ends the example with status 1 and one line that names it`, async () => {
    const { status, stderr } = await runExample({ environment: { PORT: '0', RESOURCES_FILE: fileOf(content) } })
    assert.equal(status, 1)
    const lines = stderr.trim().split('\n')
    assert.match(lines.at(-1) ?? '', /RESOURCES_FILE: /)
  })
