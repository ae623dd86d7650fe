import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const program = fileURLToPath(new URL('./runtime_program.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

/** What each runtime needs in front of the program. */
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  bun: ['run'],
  deno: ['run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
}

const options = {
  cwd: root,
  env: { ...process.env, PATH: `${root}node_modules/.bin:${process.env['PATH'] ?? ''}` },
  timeout: 60_000,
}

for (const [runtime, parameters] of Object.entries(RUNTIMES)) {
  // 100 MB each: not among the dependencies. `npm install --no-save bun deno` brings them, and these tests with them.
  const isThere = await run(runtime, ['--version'], options).then(
    () => true,
    () => false,
  )
  if (!isThere) continue
  test(`createExpressServer serves a token endpoint on ${runtime}`, async () => {
    const { stdout } = await run(runtime, [...parameters, program], options)
    assert.equal(stdout.trim(), '[200,"Bearer"]')
  })
}

for (const runtime of ['bun', 'deno']) {
  test(`where the runtime calls itself ${runtime}, the classes of node:http are left alone`, async () => {
    const script = `
      const versions = { ...process.versions, ${runtime}: '1.0.0' }
      Object.defineProperty(process, 'versions', { value: versions })
      const { createExpressServer, getServerClasses } = await import('./lib/hosts/express.ts')
      const http = await import('node:http')
      const { default: express } = await import('express')
      const classes = getServerClasses(express())
      console.log(classes.IncomingMessage === http.IncomingMessage, classes.ServerResponse === http.ServerResponse)
      try { createExpressServer(() => {}) } catch (error) { console.log(error.message) }
    `
    const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      cwd: root,
    })
    assert.equal(stdout, "true true\noption 'app' must be an Express application, got a function\n")
  })
}
