import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

/**
 * What each folder of lib/ and each file at its top may import. Its own files go without saying. A folder is named by its
 * name, a file at the top by its file name, a package by its specifier. `type:` allows a name for `import type` only.
 * SMALL is what every folder may import.
 */
const SMALL = [
  'client.ts',
  'clock.ts',
  'constant_time.ts',
  'errors.ts',
  'events.ts',
  'hooks.ts',
  'identifier.ts',
  'instance.ts',
  'maybe_promise.ts',
  'optional.ts',
  'options.ts',
  'parameters.ts',
  'scope.ts',
] as const

const MAY: Readonly<Record<string, readonly string[]>> = {
  assertion: [
    'client_document.ts',
    'client_lookup.ts',
    'client_secret.ts',
    'federated_credentials.ts',
    'issuer.ts',
    'keys',
    'replay_register.ts',
  ],
  'binding.ts': ['optional.ts'],
  cimd: ['client_document.ts', 'code', 'issuer.ts', 'keys', 'node:net', 'remote'],
  cli: ['assertion', 'federated', 'jose', 'keys', 'node:fs', 'node:path', 'node:util', 'printable.ts'],
  'client.ts': ['optional.ts'],
  'client_document.ts': ['type:client.ts'],
  client_authentication: ['client_lookup.ts', 'client_secret.ts', 'keys', 'node:buffer'],
  'client_lookup.ts': ['client.ts', 'client_secret.ts', 'errors.ts', 'maybe_promise.ts'],
  'client_problems.ts': [
    'client.ts',
    'client_lookup.ts',
    'client_secret.ts',
    'clock.ts',
    'code',
    'federated_credentials.ts',
    'keys',
    'maybe_promise.ts',
    'node:net',
    'optional.ts',
    'options.ts',
    'remote',
    'resource',
    'scope.ts',
  ],
  'client_secret.ts': [
    'type:client.ts',
    'constant_time.ts',
    'errors.ts',
    'node:crypto',
    'optional.ts',
    'thread_pool.ts',
  ],
  'clock.ts': [],
  code: ['binding.ts', 'type:dpop', 'node:crypto'],
  consent: ['issuer.ts', 'node:crypto', 'session'],
  'constant_time.ts': ['node:crypto'],
  dpop: ['keys', 'node:crypto', 'replay_register.ts', 'server_secrets.ts'],
  endpoints: [
    'binding.ts',
    'client_authentication',
    'client_document.ts',
    'client_lookup.ts',
    'type:dpop',
    'exchanges',
    'hosts',
    'http',
    'issuer.ts',
    'oauth2orize',
    'type:pushed',
    'type:resource',
    'type:session',
    'token',
  ],
  'errors.ts': ['maybe_promise.ts'],
  'events.ts': [
    'type:client.ts',
    'errors.ts',
    'maybe_promise.ts',
    'node:diagnostics_channel',
    'node:util',
    'options.ts',
    'printable.ts',
  ],
  exchanges: ['binding.ts', 'code', 'resource', 'session', 'token'],
  federated: [
    'assertion',
    'exchanges',
    'federated_credentials.ts',
    'keys',
    'oauth2orize',
    'remote',
    'type:replay_register.ts',
  ],
  'federated_credentials.ts': ['type:client.ts', 'optional.ts'],
  'hooks.ts': ['type:clock.ts', 'errors.ts', 'maybe_promise.ts'],
  hosts: ['type:http', 'node:http'],
  http: ['client_authentication', 'type:exchanges', 'hosts', 'node:buffer', 'node:http'],
  'identifier.ts': ['node:crypto'],
  'instance.ts': [],
  'index.ts': [
    'assertion',
    'type:client.ts',
    'client_authentication',
    'client_problems.ts',
    'client_secret.ts',
    'clock.ts',
    'type:code',
    'consent',
    'endpoints',
    'errors.ts',
    'events.ts',
    'type:exchanges',
    'hosts',
    'http',
    'oauth2orize',
    'type:parameters.ts',
    'passport',
    'pushed',
    'remote',
    'type:replay_register.ts',
    'resource',
    'session',
    'token',
  ],
  'issuer.ts': ['options.ts'],
  keys: ['jose', 'node:crypto', 'node:os', 'remote', 'thread_pool.ts'],
  'maybe_promise.ts': [],
  oauth2orize: [
    'binding.ts',
    'client_document.ts',
    'client_lookup.ts',
    'code',
    'type:consent',
    'exchanges',
    'hosts',
    'http',
    'issuer.ts',
    'node:crypto',
    'type:node:http',
    'type:pushed',
    'replay_register.ts',
    'type:resource',
    'server_secrets.ts',
  ],
  'optional.ts': [],
  'options.ts': ['errors.ts'],
  'parameters.ts': ['errors.ts'],
  passport: ['assertion', 'client_authentication', 'hosts', 'type:node:http'],
  'printable.ts': [],
  pushed: ['code', 'node:crypto', 'replay_register.ts', 'session'],
  remote: ['node:buffer', 'node:dns', 'node:fs', 'node:http', 'node:https', 'node:net'],
  'replay_register.ts': ['errors.ts'],
  resource_server: [
    'type:dpop',
    'endpoints',
    'hosts',
    'http',
    'issuer.ts',
    'keys',
    'node:crypto',
    'type:node:http',
    'remote',
    'resource_uri.ts',
    'type:session',
    'type:token',
  ],
  'resource_uri.ts': ['options.ts'],
  resource: [],
  'scope.ts': ['type:client.ts', 'errors.ts', 'optional.ts', 'options.ts'],
  'server_secrets.ts': ['options.ts'],
  session: ['binding.ts', 'issuer.ts', 'node:crypto', 'slot.ts'],
  'slot.ts': [],
  smart: ['type:endpoints'],
  stores: [
    'binding.ts',
    'type:code',
    'node:crypto',
    'type:replay_register.ts',
    'server_secrets.ts',
    'type:session',
    'slot.ts',
  ],
  testing: [
    'type:code',
    'issuer.ts',
    'jose',
    'keys',
    'node:assert/strict',
    'node:crypto',
    'type:replay_register.ts',
    'type:session',
  ],
  'thread_pool.ts': [],
  token: ['issuer.ts', 'keys', 'node:crypto', 'server_secrets.ts', 'type:session'],
}

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const importsOf = (file: string): Import[] => {
  const source = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '') // examples in comments import as users do
  const found: Import[] = []
  for (const [, kind = '', from = ''] of source.matchAll(
    /^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?'([^']+)'/gm,
  ))
    found.push({ from, typeOnly: kind !== '' })
  for (const [, from = ''] of source.matchAll(/\bimport\('([^']+)'\)/g)) found.push({ from, typeOnly: false })
  return found
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : []
  })

/** The room of a file below lib/: its folder, or the file itself at the top. */
const roomOf = (file: string): string => file.replace(/^lib\//, '').replace(/\/.*/, '')

const files = filesBelow('lib')
const rooms = [...new Set(files.map(roomOf))].sort()

/** What a file imports that is not of its own room, named as in the table. */
const outside = (file: string): Import[] =>
  importsOf(file).flatMap(({ from, typeOnly }) => {
    if (!from.startsWith('.')) return [{ from, typeOnly }]
    const room = roomOf(normalize(join(dirname(file), from)))
    return room === roomOf(file) ? [] : [{ from: room, typeOnly }]
  })

const isSmall = (name: string): boolean => (SMALL as readonly string[]).includes(name)

test('every folder and every file at the top of lib/ has its row, and no row is left over', () => {
  assert.deepEqual(rooms, Object.keys(MAY).sort())
})

for (const room of rooms) {
  const allowed = MAY[room] ?? []
  const mayImport = ({ from, typeOnly }: Import): boolean =>
    allowed.includes(from) || (typeOnly && allowed.includes(`type:${from}`)) || (isSmall(from) && !room.endsWith('.ts'))

  test(`lib/${room} imports only what its row allows`, () => {
    for (const file of files.filter((each) => roomOf(each) === room))
      for (const each of outside(file))
        assert.ok(mayImport(each), `${file} imports ${each.typeOnly ? 'types of ' : ''}'${each.from}'`)
  })

  test(`lib/${room} uses every permission of its row`, () => {
    const used = files.filter((each) => roomOf(each) === room).flatMap(outside)
    for (const permission of allowed) {
      const isUsed = permission.startsWith('type:')
        ? used.some(({ from }) => from === permission.slice(5)) && !allowed.includes(permission.slice(5))
        : used.some(({ from, typeOnly }) => from === permission && !typeOnly)
      assert.ok(isUsed, `lib/${room} may import '${permission}' and does not`)
    }
  })
}

/** The first circle among the files that `next` leads to, or `undefined`. */
function circleIn(all: readonly string[], next: (file: string) => readonly string[]): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const each of next(file)) {
      const circle = visit(each)
      if (circle !== undefined) return circle
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of all) {
    const circle = visit(file)
    if (circle !== undefined) return circle
  }
  return undefined
}

test('no files of lib/ import each other in a circle, types included', () => {
  const next = (file: string): string[] =>
    importsOf(file).flatMap(({ from }) => (from.startsWith('.') ? [normalize(join(dirname(file), from))] : []))
  assert.equal(circleIn(files, next)?.join(' -> '), undefined)
})

test('no rooms of lib/ import each other in a circle', () => {
  const next = (room: string): string[] =>
    files
      .filter((file) => roomOf(file) === room)
      .flatMap(outside)
      .filter(({ from, typeOnly }) => !typeOnly && rooms.includes(from))
      .map(({ from }) => from)
  assert.equal(circleIn(rooms, next)?.join(' -> '), undefined)
})

test('no file of lib/ imports a framework, a database client or a test runner', () => {
  const foreign = /^(express|passport.*|oauth2orize.*|redis|ioredis|pg|postgres|node:test)$/
  for (const file of files)
    for (const { from, typeOnly } of importsOf(file))
      assert.ok(typeOnly || !foreign.test(from), `${file} imports '${from}'`)
})

test('every value that a file of lib/ exports is named in another file', () => {
  const roots = ['lib', 'test', 'examples', 'bench', 'scripts']
  const all = roots.flatMap(filesBelow).filter((file) => !/node_modules|\/\./.test(file))
  const words = new Map(all.map((file) => [file, new Set(readFileSync(file, 'utf8').match(/\w+/g))]))
  const alone: string[] = []
  for (const file of files) {
    const values = /^export (?:default )?(?:async )?(?:const|function|class) (\w+)/gm
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(values))
      if (!all.some((other) => other !== file && words.get(other)?.has(name))) alone.push(`${file}: ${name}`)
  }
  assert.deepEqual(alone, [])
})

test('no two files of lib/ have one name, except for the entries', () => {
  const names = files.map((file) => file.replace(/^.*\//, '')).filter((name) => name !== 'index.ts')
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  )
})

test('docs/architecture.md says of every folder of lib/, and of no other, what it decides', () => {
  const page = readFileSync('docs/architecture.md', 'utf8')
  const named = [...page.matchAll(/^\| (`.*`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)\/`/g)].map(([, name]) => name),
  )
  assert.deepEqual(named.sort(), rooms.filter((room) => !room.endsWith('.ts')).sort())
})
