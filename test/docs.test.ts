// The documents are held to what they say: their programs compile against the built package and run, their links lead
// somewhere. How to write blocks for this test is told in CONTRIBUTING.md.
import assert from 'node:assert/strict'
import { fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'
import { blocksOf, brokenLinks, documents, type Program, programsOf, reference, wordsOf } from './support/markdown.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.tmp/docs')
const files = documents(root)
const blocks = files.flatMap((file) => blocksOf(root, file))
const programs = files.flatMap((file) => programsOf(blocks.filter((block) => block.file === file)))
const WORDS_AT_MOST = { 'README.md': 1500, 'docs/performance.md': 600 }

const nameOf = ({ file, line }: Program): string => `${file.replace(/[/.]/g, '_')}_${line}`

/** Ends a program that serves as soon as it does, or tells its port; gives it a free one, and settles for what it must be told. */
const PRELOAD = `import { Server } from 'node:net'
const { listen } = Server.prototype
Server.prototype.listen = function (...args) {
  const callback = args.findLast((each) => typeof each === 'function')
  this.once('listening', () => {
    if (process.send) process.send(this.address().port)
    else setTimeout(() => process.exit(), 100)
  })
  return listen.call(this, 0, '127.0.0.1', callback)
}
process.env.BASE_SECRET ??= '0123456789abcdef0123456789abcdef0123456789abcdef'
`

/** The packages besides this one that a program imports, itself or through files beside it. */
const packagesOf = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/^(?:import|export|\}) .*?from '([^']*)'|^import '([^']*)'/gm)].flatMap(
    ([, from = '', alone = from]) => {
      if (alone.startsWith('.')) return packagesOf(join(path, '..', alone))
      const [first = '', second = ''] = alone.split('/')
      if (first.startsWith('node:') || first === 'passport-client-assertion-jwt') return []
      return [first.startsWith('@') ? `${first}/${second}` : first]
    },
  )

/** Runs a program of the folder to its end, at most 30 s. */
const outcomeOf = (name: string): Promise<{ status: number | null; told: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', '--import', './preload.mjs', name], {
      cwd: folder,
      timeout: 30_000,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined }, // a program may have tests of its own
    })
    let told = ''
    child.stdout.on('data', (chunk) => (told += chunk))
    child.stderr.on('data', (chunk) => (told += chunk))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, told }))
  })

/** Starts a program of the folder that serves, and asks it something. */
async function ask<T>(
  name: string,
  about: (origin: string) => Promise<T>,
  { env = {}, imports = ['./preload.mjs'] }: { env?: NodeJS.ProcessEnv; imports?: readonly string[] } = {},
): Promise<T> {
  const execArgv = imports.flatMap((each) => ['--import', each])
  const child = fork(join(folder, name), { cwd: folder, execArgv, silent: true, env: { ...process.env, ...env } })
  try {
    const [port] = await once(child, 'message', { signal: AbortSignal.timeout(30_000) })
    return await about(`http://127.0.0.1:${port}`)
  } finally {
    child.kill()
  }
}

/** What a program of the folder that serves answers to a form. */
const answerOf = (name: string, path: string, form: Record<string, string>): Promise<Response> =>
  ask(name, (origin) => fetch(origin + path, { method: 'POST', body: new URLSearchParams(form) }))

describe('documents', () => {
  for (const file of files) {
    test(`${file}: every relative link leads somewhere`, () => assert.deepEqual(brokenLinks(root, file), []))

    // CONTRIBUTING is for a clone of the repository, and says so.
    if (!/^(bench|docs\/(rules|decisions))\/|^CONTRIBUTING\.md$/.test(file))
      test(`${file}: a link to what the package does not have says that it is in the repository only`, () => {
        const text = readFileSync(join(root, file), 'utf8')
        const links = text.matchAll(/\]\((?!https?:)([^)]*)\)( \(in\s+the\s+repository\s+only\))?/g)
        for (const [link, target = '', mark] of links) {
          const path = relative(root, resolve(root, dirname(file), target.split('#')[0] ?? ''))
          assert.equal(mark !== undefined, /^(bench|test|scripts|docs\/(api|rules|decisions))(\/|$)/.test(path), link)
        }
      })

    test(`${file}: every block of code begins and ends on a line of its own`, () => {
      const fences = readFileSync(join(root, file), 'utf8')
        .split('\n')
        .filter((line) => line.includes('```'))
      assert.deepEqual(
        fences.filter((line) => !/^\s*```[\w-]*$/.test(line)),
        [],
      )
      assert.equal(fences.length % 2, 0)
    })

    test(`${file}: nothing is left to be filled in`, () => {
      const text = readFileSync(join(root, file), 'utf8')
      assert.doesNotMatch(text, /\b(TODO|TBD|FIXME|XXX|lorem ipsum|coming soon)\b|@@\w+@@/i)
    })

    test(`${file}: what it says to run is there to be run, and its JSON parses`, () => {
      const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
      for (const { code, language } of blocks.filter((block) => block.file === file)) {
        for (const [, name = ''] of code.matchAll(/^\s*(?:\$ )?npm run ([\w:-]+)/gm)) assert.ok(name in scripts, name)
        if (language === 'json') JSON.parse(code)
      }
    })
  }

  test('docs/operating.md has a row for the code of each process warning', () => {
    const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => readFileSync(join(root, 'lib', path), 'utf8'))
      .filter((source) => source.includes('process.emitWarning('))
      .join('\n')
    const emitted = [...sources.matchAll(/\bcode(?:: | = )'([A-Z_]{9,})'/g)].map(([, code]) => code)
    assert.equal(emitted.length, sources.split('process.emitWarning(').length - 1)
    const page = readFileSync(join(root, 'docs/operating.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `(CLIENT_ASSERTION_JWT_\w+)` \|/gm)].map(([, code]) => code)
    assert.deepEqual(rows.sort(), emitted.sort())
  })

  test('examples/README.md installs each package that the example imports', () => {
    const sources = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'))
    const imported = sources.flatMap((name) => packagesOf(join(root, 'examples', name)))
    const page = readFileSync(join(root, 'examples/README.md'), 'utf8')
    const installed = /^npm install (.*) tsx$/m.exec(page)?.[1]?.split(' ')
    assert.deepEqual(installed, [...new Set(imported)].sort())
  })

  test('docs/recipes.md names each package that a recipe imports', () => {
    const rows = readFileSync(join(root, 'docs/recipes.md'), 'utf8').matchAll(
      /^\| \[.*?\]\(\.\.\/(examples\/recipes\/[^)]*)\) \| (.*?) \|/gm,
    )
    const programs = [...rows].map(([, program = '', packages = '']) => {
      const named = [...packages.matchAll(/`([^`]*)`/g)].map(([, name]) => name)
      assert.deepEqual(
        packagesOf(join(root, program)).filter((name) => !named.includes(name)),
        [],
        program,
      )
      return program
    })
    assert.ok(programs.length > 6)
  })

  for (const file of reference(root)) {
    test(`${file}: every link of the generated reference leads somewhere`, () =>
      assert.deepEqual(brokenLinks(root, file), []))
  }

  for (const [file, most] of Object.entries(WORDS_AT_MOST)) {
    test(`${file} has at most ${most} words`, () => {
      const words = wordsOf(readFileSync(join(root, file), 'utf8'))
      assert.ok(words <= most, `${words} words`)
    })
  }
})

describe('programs of the documents', { concurrency: availableParallelism() }, () => {
  let complaints: string[] = []

  before(async () => {
    rmSync(folder, { recursive: true, force: true })
    const installed = join(folder, 'node_modules/passport-client-assertion-jwt')
    mkdirSync(installed, { recursive: true })
    copyFileSync(join(root, 'package.json'), join(installed, 'package.json'))
    const build = [join(root, 'scripts/build.ts'), join(installed, 'dist')]
    const built = spawnSync(process.execPath, ['--import', 'tsx', ...build], { cwd: root, encoding: 'utf8' })
    assert.equal(built.status, 0, built.stdout + built.stderr)

    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    writeFileSync(join(folder, 'preload.mjs'), PRELOAD)
    const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
    const options = {
      ...compilerOptions,
      noUnusedLocals: false,
      noUnusedParameters: false,
      allowJs: true,
      checkJs: false,
    }
    const tsconfig = { compilerOptions: { ...options, moduleDetection: 'force' }, include: ['*.ts', '*.mjs', '*.cjs'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
    cpSync(join(root, 'examples/recipes'), join(folder, 'recipes'), { recursive: true })
    for (const program of programs) {
      const { language, source } = program
      const sourcefile = join(root, program.file)
      if (language === 'ts') writeFileSync(join(folder, `${nameOf(program)}.ts`), source)
      const loader = language === 'ts' ? 'ts' : 'js'
      const { code } = await transform(source, {
        loader,
        format: language === 'cjs' ? 'cjs' : 'esm',
        sourcefile,
        sourcemap: 'inline',
      })
      writeFileSync(join(folder, `${nameOf(program)}.${language === 'cjs' ? 'cjs' : 'mjs'}`), code)
    }
    const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false']
    complaints = spawnSync(process.execPath, tsc, { cwd: folder, encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
  })

  test('there are programs in the documents', () => assert.ok(programs.length > 0))

  test('no program subscribes to an event twice, which counts it twice', () => {
    for (const { file, line, source } of programs) {
      const names = [...source.matchAll(/\bonEvent\('([\w.]+)'/g)].map(([, name]) => name)
      assert.equal(new Set(names).size, names.length, `${file}:${line}: ${names.sort()}`)
    }
  })

  test('the program for metrics in docs/operating.md counts every event', () => {
    const declared = [...readFileSync(join(root, 'lib/events.ts'), 'utf8').matchAll(/^ {2}'([a-z_]+\.[a-z_]+)':/gm)]
    const metrics = programs.find(({ file, source }) => file === 'docs/operating.md' && source.includes('counters'))
    const counted = [...(metrics?.source ?? '').matchAll(/\bonEvent\('([\w.]+)'/g)]
    assert.deepEqual(counted.map(([, name]) => name).sort(), declared.map(([, name]) => name).sort())
  })

  test('no program runs with a secret that its readers know, if the variable with the real one is missing', () => {
    const known = programs.flatMap(({ file, source }) =>
      [...source.matchAll(/process\.env\S* \?\? '([^']*)'/g)]
        .filter(([, value = '']) => value.length >= 32)
        .map(([text]) => `${file}: ${text}`),
    )
    assert.deepEqual(known, [])
  })

  test('the strategy of the README, as it stands there, answers a refused client as RFC 6749 §5.2 has it', async () => {
    const sample = programs.find(({ file, source }) => file === 'README.md' && source.includes("'/par'"))
    assert.ok(sample)
    const response = await answerOf(`${nameOf(sample)}.mjs`, '/par', {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'e30.e30.e30',
    })
    assert.equal(response.headers.get('content-type')?.split(';')[0], 'application/json')
    assert.equal(((await response.json()) as { error: string }).error, 'invalid_client')
    const nothing = await answerOf(`${nameOf(sample)}.mjs`, '/par', { a: 'b' })
    assert.equal(((await nothing.json()) as { error: string }).error, 'invalid_client')
  })

  test('the program with rate limits in docs/operating.md refuses each request with JSON that scripts may read and nobody stores', async () => {
    const sample = programs.find(({ source }) => source.includes('RateLimiterMemory'))
    assert.ok(sample)
    await ask(`${nameOf(sample)}.mjs`, async (origin) => {
      const post = (body: string | URLSearchParams, type = 'application/x-www-form-urlencoded') =>
        fetch(`${origin}/token`, {
          method: 'POST',
          body,
          headers: { 'Content-Type': type, Origin: 'https://app.example' },
        })
      const check = async (response: Response, status: number, error: string) => {
        assert.equal(response.status, status)
        assert.equal(((await response.json()) as { error: string }).error, error)
        assert.equal(response.headers.get('cache-control'), 'no-store')
        assert.equal(response.headers.get('access-control-allow-origin'), '*')
        assert.match(response.headers.get('access-control-expose-headers') ?? '', /Retry-After/)
      }
      await check(await post('{}', 'application/json'), 415, 'invalid_request')
      await check(await post('a=b&a=c'), 400, 'invalid_request')
      await check(await post('a'.repeat(70_000)), 413, 'invalid_request')
      await check(await post('client_id=a'), 400, 'invalid_client')
      const many = await Promise.all(Array.from({ length: 30 }, () => post('client_id=b')))
      const limited = many.find(({ status }) => status === 429)
      assert.ok(limited)
      assert.match(limited.headers.get('retry-after') ?? '', /^\d+$/)
      await check(limited, 429, 'temporarily_unavailable')
      const preflight = await fetch(`${origin}/token`, { method: 'OPTIONS' })
      assert.equal(preflight.status, 204)
    })
  })

  test('the program of docs/authorization.md shows no stack trace for a form that cannot be read', async () => {
    const sample = programs.find(({ source }) => source.includes("app.post('/login', ownForms"))
    assert.ok(sample)
    await ask(`${nameOf(sample)}.mjs`, async (origin) => {
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'same-origin' }
      for (const path of ['/authorize', '/authorize/decision', '/login']) {
        const response = await fetch(origin + path, { method: 'POST', body: 'a'.repeat(70_000), headers })
        assert.equal(response.status, 413, path)
        assert.doesNotMatch(await response.text(), /node_modules/, path)
        assert.equal(response.headers.get('cache-control'), 'no-store', path)
      }
    })
  })

  test('the program of docs/mcp.md sends an MCP client without a token to its authorization server', async () => {
    const sample = programs.find(({ file }) => file === 'docs/mcp.md')
    assert.ok(sample)
    const { status, headers } = await answerOf(`${nameOf(sample)}.mjs`, '/mcp', {})
    assert.equal(status, 401)
    assert.equal(
      headers.get('www-authenticate'),
      'Bearer scope="notes.read", resource_metadata="http://localhost:3000/.well-known/oauth-protected-resource/mcp"',
    )
  })

  test('the sample for several issuers authenticates the clients of each issuer, and only there', async () => {
    const sample = programs.find(({ source }) => source.includes('verifyTenants = createAssertionVerifier'))
    assert.ok(sample)
    const program = `
      import assert from 'node:assert/strict'
      import { createTestClient } from 'passport-client-assertion-jwt/testing'
      import { tenants, verifyTenants } from './${nameOf(sample)}.mjs'
      const at = (tenant, form) => verifyTenants(form, { request: { url: '/' + tenant + '/token', headers: {} } })
      const made = {}
      for (const [tenant, { issuer, clients }] of tenants) {
        made[tenant] = await createTestClient({ issuer, alg: tenant === 'a' ? 'ES256' : 'PS256', clientId: 'of ' + tenant })
        clients.set(made[tenant].client_id, made[tenant].client)
      }
      for (const [tenant, client] of Object.entries(made)) {
        const typ = { header: { typ: 'JWT' } }
        for (const audience of [tenants.get(tenant).issuer, tenants.get(tenant).issuer + '/token']) {
          const { client: found } = await at(tenant, await client.parameters({ audience, ...typ }))
          assert.equal(found.client_id, 'of ' + tenant)
        }
        const other = tenant === 'a' ? 'b' : 'a'
        await assert.rejects(at(other, await client.parameters()), { code: 'invalid_client' })
        tenants.get(other).clients.set(client.client_id, client.client)
        const reason = other === 'a' ? 'assertion_algorithm_not_allowed' : 'assertion_audience_mismatch'
        await assert.rejects(at(other, await client.parameters()), { reason })
        tenants.get(other).clients.delete(client.client_id)
        const once = await client.parameters()
        await at(tenant, once)
        await assert.rejects(at(tenant, once), { reason: 'assertion_replayed' })
      }
    `
    writeFileSync(join(folder, 'several_issuers.mjs'), program)
    const { status, told } = await outcomeOf('several_issuers.mjs')
    assert.equal(status, 0, told)
  })

  // As docs/recipes.md has it: the folder from the package, beside the packages.
  const secret = 'x'.repeat(64)
  const robot = { client_id: 'robot', client_secret: secret, grant_types: ['client_credentials'], scope: 'read' }
  const token = (origin: string): Promise<Response> => {
    const headers = { Authorization: `Basic ${Buffer.from(`robot:${secret}`).toString('base64')}` }
    const body = new URLSearchParams({ grant_type: 'client_credentials' })
    return fetch(`${origin}/token`, { method: 'POST', headers, body })
  }
  const starts: Readonly<Record<string, (origin: string) => Promise<Response>>> = {
    'fastify/start.ts': token,
    'nestjs/main.ts': token,
    'mcp-users/start.ts': (origin) => fetch(`${origin}/.well-known/oauth-authorization-server`),
    'mcp/start.ts': (origin) => fetch(`${origin}/.well-known/oauth-authorization-server`),
    'fapi/start.ts': (origin) => fetch(`${origin}/.well-known/oauth-authorization-server`),
    'smart/start.ts': (origin) => fetch(`${origin}/fhir/.well-known/smart-configuration`),
  }
  for (const [path, request] of Object.entries(starts))
    test(`the recipe ${path} starts as docs/recipes.md says, copied beside the packages`, async () => {
      const page = readFileSync(join(root, 'docs/recipes.md'), 'utf8')
      assert.ok(page.includes(`(../examples/recipes/${path})`))
      const tsconfig = `recipes/${path.split('/')[0]}/tsconfig.json`
      const isNest = page.includes(`npx tsx --tsconfig ${tsconfig} recipes/${path}\n`)
      assert.equal(isNest, path.startsWith('nestjs/'))
      const env = { CLIENTS: JSON.stringify([robot]), ...(isNest && { TSX_TSCONFIG_PATH: tsconfig }) }
      const response = await ask(`recipes/${path}`, request, { env, imports: ['tsx', './preload.mjs'] })
      assert.equal(response.status, 200)
    })

  test('the tsconfig.json of the recipe for NestJS compiles it, copied beside the packages', () => {
    const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'recipes/nestjs']
    const { status, stdout } = spawnSync(process.execPath, tsc, { cwd: folder, encoding: 'utf8' })
    assert.equal(status, 0, stdout)
  })

  for (const program of programs) {
    const name = nameOf(program)
    if (program.language === 'ts')
      test(`${program.file}:${program.line} compiles`, () => {
        const mine = complaints.filter((each) => each.startsWith(`${name}.ts`))
        assert.deepEqual(
          mine.map((each) => each.replace(`${name}.ts`, program.file)),
          [],
        )
      })

    if (program.run)
      test(`${program.file}:${program.line} runs`, async () => {
        const { status, told } = await outcomeOf(`${name}.${program.language === 'cjs' ? 'cjs' : 'mjs'}`)
        assert.equal(status, 0, told)
      })
  }
})
