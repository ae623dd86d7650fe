import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findNode22 } from '../../scripts/node_binaries.ts'

const PROGRAM = fileURLToPath(new URL('atproto_client.ts', import.meta.url))

test('CD33 PA1 DP6 DP7 DP10: @atproto/oauth-client-node, from the handle of a user to the API, a refresh and a revocation', async (t) => {
  const node = findNode22()
  if (node === undefined) return t.skip('no Node 22')
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined }
  const child = spawn(node, ['--import', 'tsx', '--test', '--test-reporter=tap', PROGRAM], { env })
  t.after(() => child.kill())
  let told = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
  const [status] = await once(child, 'close', { signal: AbortSignal.timeout(120_000) })
  assert.equal(status, 0, told)
  for (const method of ['private_key_jwt', 'none']) assert.match(told, new RegExp(`^ *ok \\d+ - ${method}: `, 'm'))
})
