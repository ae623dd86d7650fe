import assert from 'node:assert/strict'
import { startExample } from './example.ts'
import { ALICE, exampleClients, USERS } from './example_clients.ts'
import { createFormBrowser } from './form_browser.ts'
import { newPkce } from './pkce.ts'

const REDIRECT_URI = 'https://app.example.com/cb'

interface UserTokens {
  readonly access_token: string
  readonly refresh_token: string
}

/** Starts the example and gets tokens from it. `path` is the path of its issuer, on another origin than it listens on. */
export async function startTestExample({
  path = '',
  shared = {},
  environment = {},
}: {
  readonly path?: string
  readonly shared?: object
  readonly environment?: Readonly<Record<string, string>>
}) {
  const clients = await exampleClients({ redirect_uris: [REDIRECT_URI], ...shared })
  const example = await startExample({
    clients: Object.values(clients).map(({ record }) => record),
    users: USERS,
    environment: { ...(path === '' ? {} : { ISSUER: `http://127.0.0.1:9${path}` }), ...environment },
  })
  const { url } = example
  const origin = path === '' ? url : 'http://127.0.0.1:9'
  const asPost = { client_id: 'post', client_secret: clients['post']?.secret ?? '' }

  async function call(route: string, parameters: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
    const response = await fetch(url + path + route, { method: 'POST', body: new URLSearchParams(parameters) })
    assert.equal(response.status, 200, route)
    return (await response.json()) as Record<string, unknown>
  }

  return {
    url,
    origin,
    issuer: origin + path,
    asPost,
    call,
    stop: () => example.stop(),
    /** An access token of the client `post` for itself. */
    async clientToken(scope: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
      const form = { grant_type: 'client_credentials', scope, ...asPost, ...more }
      return (await call('/token', form))['access_token'] as string
    },
    /** Tokens of the user `alice` for the public client. */
    async userTokens(more: readonly (readonly [string, string])[] = []): Promise<UserTokens> {
      const { verifier, challenge } = newPkce()
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'none',
        redirect_uri: REDIRECT_URI,
        scope: 'profile',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      })
      for (const [name, value] of more) query.append(name, value)
      const arrival = await createFormBrowser(url).authorize(`${url}${path}/authorize?${query}`, ALICE)
      const code = arrival.searchParams.get('code') ?? ''
      const form = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier }
      return (await call('/token', { ...form, client_id: 'none' })) as unknown as UserTokens
    },
  }
}
