// The conformance suite of the MCP project against the recipe mcp-users.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findNode22 } from '../../scripts/node_binaries.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { ALICE, CLAUDE_CODE, startDocumentHost, startMcpWorld } from '../support/mcp_world.ts'

const SUITE = new URL('../../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url)

const SCRATCH = fileURLToPath(new URL('../../.tmp', import.meta.url))

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

const checksBelow = (folder: string): Check[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('checks.json'))
    .flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Check[])

test('the MCP conformance suite finds no failure and nothing to warn of in the authorization server', async (t) => {
  const node = findNode22()
  if (node === undefined) return t.skip('no Node 22')
  const documents = await startDocumentHost()
  t.after(() => documents.close())
  const clientId = documents.publish('/conformance.json', { ...CLAUDE_CODE, client_name: 'Conformance suite' })
  const world = await startMcpWorld(documents.options)
  t.after(() => world.close())
  mkdirSync(SCRATCH, { recursive: true })
  const output = mkdtempSync(join(SCRATCH, 'conformance-'))
  t.after(() => rmSync(output, { recursive: true, force: true }))

  const port = String(await findFreePort())
  const parameters = ['authorization', '--url', world.issuer, '--client-id', clientId, '--resource', world.resource]
  const suite = spawn(
    node,
    [fileURLToPath(SUITE), ...parameters, '--spec-version', '2026-07-28', '--port', port, '--output-dir', output],
    { env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined } },
  )
  t.after(() => suite.kill())
  let told = ''
  let visited = false
  const browser = createFormBrowser(world.issuer)
  const read = (chunk: Buffer): void => {
    told += chunk.toString()
    const [url] = new RegExp(`${world.issuer}/authorize\\?\\S+(?=\\s)`).exec(told) ?? []
    if (url === undefined || visited) return
    visited = true
    browser
      .authorize(url, ALICE)
      .then((back) => fetch(back))
      .catch((error: Error) => {
        told += error.stack
        suite.kill()
      })
  }
  suite.stdout.on('data', read)
  suite.stderr.on('data', read)
  const [status] = await once(suite, 'close', { signal: AbortSignal.timeout(60_000) })
  assert.equal(status, 0, told)
  const checks = checksBelow(output)
  assert.deepEqual(
    checks.map(({ id, status }) => `${id}: ${status}`).sort(),
    [
      'authorization-code-grant: SUCCESS',
      'authorization-server-metadata-cimd: SUCCESS',
      'authorization-server-metadata: SUCCESS',
    ],
    told,
  )
  assert.deepEqual(documents.requests, ['/conformance.json'])
})
