// Programs of docs/adopting.md that are no part of its migration.
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadProgram } from '../support/page_programs.ts'
import { listen } from '../support/token_route.ts'

process.env['BASE_SECRET'] ??= '0123456789abcdef0123456789abcdef0123456789abcdef'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/adopting.md'

test('the program of "Metadata" serves the document, and the keys that it names, to scripts of other origins too', async () => {
  const { app } = (await loadProgram(root, PAGE, 'createMetadata({', ['app'])) as { app: RequestListener }
  const route = await listen(createServer(app))
  const at = (path: string, method = 'GET') => fetch(new URL(path, route.url), { method })
  try {
    const path = '/.well-known/oauth-authorization-server'
    const document = (await (await at(path)).json()) as { issuer: string; jwks_uri: string }
    const { pathname, origin } = new URL(document.jwks_uri)
    assert.equal(origin, document.issuer)
    const { keys } = (await (await at(pathname)).json()) as { keys: readonly object[] }
    assert.ok(keys.length > 0)
    for (const each of [path, pathname]) {
      const preflight = await at(each, 'OPTIONS')
      assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*'], each)
    }
  } finally {
    await route.close()
  }
})
