import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/**
 * What each folder of lib/ may import: its own files, the small files at the top of lib/, and what stands here.
 * `type:` allows a name for `import type` only.
 */
const MAY: Readonly<Record<string, readonly string[]>> = {
  remote: ['node:buffer', 'node:https', 'node:http', 'node:net', 'node:dns', 'node:tls'],
  keys: ['jose', 'node:crypto', 'type:node:net', 'remote'],
  assertion: ['keys', 'remote'],
  client_authentication: ['node:buffer', 'node:crypto', 'keys'],
  code: ['node:crypto'],
  consent: ['node:crypto', 'session'],
  session: [],
  token: ['node:crypto', 'keys', 'type:session'],
  exchanges: ['code', 'session', 'token'],
  stores: ['node:crypto', 'type:assertion', 'type:code', 'type:session'],
  hosts: ['node:http', 'type:http'],
  http: ['node:buffer', 'node:http', 'client_authentication', 'hosts', 'type:exchanges'],
  endpoints: [
    'type:node:http',
    'client_authentication',
    'exchanges',
    'hosts',
    'http',
    'oauth2orize',
    'type:session',
    'token',
  ],
  passport: ['type:node:http', 'type:assertion', 'assertion', 'client_authentication'],
  cli: ['assertion', 'keys', 'jose', 'node:fs', 'node:util'],
  oauth2orize: [
    'node:crypto',
    'type:node:http',
    'code',
    'http',
    'type:assertion',
    'type:consent',
    'exchanges',
    'type:oauth2orize',
  ],
  testing: [
    'node:assert',
    'node:assert/strict',
    'type:assertion',
    'type:code',
    'type:session',
    'keys',
    'jose',
    'node:crypto',
  ],
}

/** The small files at the top that everything may import, and what they may import themselves. */
const SMALL: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': ['maybe_promise.ts'],
  'options.ts': [],
  'clock.ts': [],
  'optional.ts': [],
  'issuer.ts': ['options.ts'],
  'scope.ts': ['errors.ts', 'options.ts'],
  'client.ts': ['optional.ts'],
  'client_lookup.ts': ['client.ts', 'errors.ts', 'maybe_promise.ts'],
  'maybe_promise.ts': [],
  'parameters.ts': ['errors.ts'],
  'identifier.ts': ['node:crypto'],
  'constant_time.ts': ['node:crypto'],
  'server_secrets.ts': ['options.ts'],
  'client_secret.ts': ['node:crypto', 'client.ts', 'constant_time.ts'],
  'printable.ts': [],
  'events.ts': [
    ...['node:diagnostics_channel', 'node:util'],
    ...['client.ts', 'errors.ts', 'maybe_promise.ts', 'options.ts', 'printable.ts'],
  ],
}

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const importsOf = (file: string): Import[] => {
  const source = readFileSync(file, 'utf8')
  const found: Import[] = []
  for (const [, kind = '', from = ''] of source.matchAll(
    /^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?'([^']+)'/gm,
  )) {
    found.push({ from, typeOnly: kind !== '' })
  }
  for (const [, from = ''] of source.matchAll(/\bimport\('([^']+)'\)/g)) found.push({ from, typeOnly: false })
  return found
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : []
  })

for (const [folder, allowed] of Object.entries(MAY)) {
  for (const file of filesBelow(join('lib', folder))) {
    test(`${file} imports only what its layer may`, () => {
      for (const { from, typeOnly } of importsOf(file)) {
        if (from.startsWith('./')) continue
        const target = from.startsWith('../') ? from.replace(/^(\.\.\/)+/, '').replace(/\/.*/, '') : from
        if (from.startsWith('../') && target in SMALL) continue
        const fine = allowed.includes(target) || (typeOnly && allowed.includes(`type:${target}`))
        assert.ok(fine, `${file} imports ${typeOnly ? 'types of ' : ''}'${from}'`)
      }
    })
  }
}

test('every folder of lib/ has its line in the table', () => {
  const folders = readdirSync('lib').filter((name) => statSync(join('lib', name)).isDirectory())
  for (const folder of folders) assert.ok(folder in MAY, `lib/${folder} has no line`)
})

for (const [file, allowed] of Object.entries(SMALL)) {
  test(`lib/${file} stays small: it imports only what it may`, () => {
    for (const { from } of importsOf(join('lib', file))) {
      assert.ok(allowed.includes(from.replace(/^\.\//, '')), `lib/${file} imports '${from}'`)
    }
  })
}

test('no file of lib/ imports a framework, a database client or a test runner', () => {
  const outside = /^(express|passport.*|oauth2orize.*|redis|ioredis|pg|postgres|node:test)$/
  for (const file of filesBelow('lib')) {
    for (const { from, typeOnly } of importsOf(file))
      assert.ok(typeOnly || !outside.test(from), `${file} imports '${from}'`)
  }
})

test('every value that a file of lib/ exports is named in another file', () => {
  const roots = ['lib', 'test', 'examples', 'bench', 'scripts']
  const files = roots.flatMap(filesBelow).filter((file) => !/node_modules|\/\./.test(file))
  const words = new Map(files.map((file) => [file, new Set(readFileSync(file, 'utf8').match(/\w+/g))]))
  const alone: string[] = []
  for (const file of filesBelow('lib')) {
    const values = /^export (?:default )?(?:async )?(?:const|function|class) (\w+)/gm
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(values))
      if (!files.some((other) => other !== file && words.get(other)?.has(name))) alone.push(`${file}: ${name}`)
  }
  assert.deepEqual(alone, [])
})
