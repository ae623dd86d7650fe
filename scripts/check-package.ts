// Proves the package as people get it: packs it, installs the tarball into empty projects of every kind that is supported, and
// uses it there. `npm run check:package`. Needs the registry for the peers, or npm's cache.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { brokenLinks } from '../test/support/markdown.ts'
import { binaryOf, LINES } from './node_binaries.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const fixtures = join(root, 'test/package')
const work = mkdtempSync(join(tmpdir(), 'check-package-'))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const NAME: string = manifest.name
const subpaths = Object.keys(manifest.exports).map((path) => NAME + path.slice(1))
const modules = subpaths.filter((path) => !/\.(json|sql)$/.test(path))

/** Runs a command to its end, at most 3 minutes; answers with what it printed, and fails where it fails. */
const run = (command: string, args: readonly string[], cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      timeout: 180_000,
      env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '' },
    })
    let told = ''
    child.stdout.on('data', (chunk) => (told += chunk))
    child.stderr.on('data', (chunk) => (told += chunk))
    child.on('error', reject)
    child.on('close', (status) =>
      status === 0 ? resolve(told) : reject(new Error(`${command} ${args.join(' ')} ended with ${status}\n${told}`)),
    )
  })

const node = (cwd: string, ...args: readonly string[]): Promise<string> => run(process.execPath, args, cwd)
const tool = (name: string): string => join(root, 'node_modules/.bin', name)

/** An empty project with the tarball and what is named beside it. */
async function project(name: string, packages: Readonly<Record<string, string>>, type = 'module'): Promise<string> {
  const folder = join(work, name)
  mkdirSync(folder)
  const dependencies = { [NAME]: `file:${tarball}`, ...packages }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, type, dependencies }))
  const install = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', install, folder)
  return folder
}

const copy = (folder: string, ...names: readonly string[]): void => {
  for (const name of names) cpSync(join(fixtures, name), join(folder, name), { recursive: true })
}

// Packing builds first. Where that fails there is nothing to check.
const told = await run('npm', ['pack', '--json', '--silent', '--pack-destination', work], root)
const listed: unknown = JSON.parse(told.slice(told.search(/^[[{]/m)))
const [entry] = Array.isArray(listed) ? listed : Object.values(listed as object)
const tarball = join(work, entry.filename)
const packed: readonly string[] = entry.files.map(({ path }: { path: string }) => path)

after(() => rmSync(work, { recursive: true, force: true }))

describe('the tarball', () => {
  test('holds what users need and nothing else', () => {
    const wanted =
      /^(package\.json|LICENSE|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|dist\/.*|docs\/[\w.-]+\.md|examples\/.*)$/
    assert.deepEqual(
      packed.filter((path) => !wanted.test(path)),
      [],
    )
    for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md']) assert.ok(packed.includes(path), path)
    assert.deepEqual(
      packed.filter((path) => /\.(map|tsbuildinfo)$|(^|\/)(test|bench|node_modules)\//.test(path)),
      [],
    )
  })

  test('has of the examples what is in the repository: no key, no data of somebody who tried them', async () => {
    const tracked = (await run('git', ['ls-files', 'examples'], root)).trim().split('\n')
    assert.deepEqual(packed.filter((path) => path.startsWith('examples/')).sort(), tracked.sort())
  })

  test('has documents whose links lead to what is in the tarball', async () => {
    await run('tar', ['-xzf', tarball, '-C', work], work)
    const unpacked = join(work, 'package')
    const pages = packed.filter((path) => path.endsWith('.md'))
    const dead = pages.flatMap((page) => brokenLinks(unpacked, page).map((target) => `${page}: ${target}`))
    // The API reference is the doc comments of the declarations, which are there; the rules link to
    // tests, the benchmark is a program, and the decisions are for those who change the package: these are not.
    const elsewhere = /: (\.\.\/|docs\/)?(((api|rules|bench)\/README|decisions\/[\w-]+)\.md)$/
    assert.deepEqual(
      dead.filter((link) => !elsewhere.test(link)),
      [],
    )
  })

  test('stays small: at most 500 KB in 300 files, 1.8 MB unpacked', () => {
    assert.ok(entry.size <= 500_000, `${entry.size} bytes`)
    assert.ok(entry.unpackedSize <= 1_800_000, `${entry.unpackedSize} bytes unpacked`)
    assert.ok(packed.length <= 300, `${packed.length} files`)
  })

  test('has every file that the manifest names', () => {
    const named = JSON.stringify([
      manifest.exports,
      manifest.typesVersions,
      manifest.bin,
      manifest.main,
      manifest.types,
    ])
    for (const [, path = ''] of named.matchAll(/[:[,]"\.\/([^"*]+)"(?!:)/g)) assert.ok(packed.includes(path), path)
  })

  test('can be published: provenance is asked for only where the manifest names a repository', () => {
    assert.ok(manifest.publishConfig.provenance !== true || manifest.repository !== undefined)
  })

  test('declares nothing in terms of a framework, a database client or jose', () => {
    const outside = /(?:from|import\()\s*['"](?!\.|node:)([^'"]+)['"]/g
    for (const path of packed.filter((each) => each.endsWith('.d.ts') && !each.includes('/cli/'))) {
      const text = readFileSync(join(root, path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '') // comments have examples
      assert.deepEqual(
        [...text.matchAll(outside)].map((match) => match[1]),
        [],
        path,
      )
      assert.doesNotMatch(text, /declare global|declare module/, path)
      assert.doesNotMatch(text.replaceAll("'any'", ''), /\bany\b/, path) // the value 'any' is a string
    }
  })

  test('is in order by publint', async () => {
    const told = await node(root, join(root, 'node_modules/publint/src/cli.js'), tarball, '--strict')
    assert.match(told, /All good/i)
  })

  test('has types that are right in every resolution, node10 included', async () => {
    const left = subpaths
      .filter((path) => !modules.includes(path))
      .map((path) => path.replace(NAME, '.').replace('./', ''))
    await run(tool('attw'), [tarball, '--no-emoji', '--exclude-entrypoints', ...left], root)
  })
})

describe('a project without any of the optional peers', () => {
  let folder = ''
  before(async () => {
    folder = await project('bare', {})
    copy(folder, 'verifier.mjs', 'verifier.cjs')
  })

  test('gets jose and nothing more', () => {
    const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
    assert.deepEqual(installed.sort(), ['jose', NAME])
  })

  test('imports every module', async () => {
    const lines = modules.map((path) => `await import(${JSON.stringify(path)})`)
    await node(folder, '--input-type=module', '-e', lines.join('\n'))
  })

  for (const line of LINES)
    test(`requires every module on Node ${line} without a warning, with the jose that is installed`, async () => {
      const lines = modules.map((path) => `require(${JSON.stringify(path)})`)
      const check = `if (Object.keys(require.cache).some((path) => /jose_copy/.test(path))) throw new Error('the copy of jose')`
      writeFileSync(join(folder, 'require.cjs'), [...lines, check].join('\n'))
      assert.equal(await run(binaryOf(line), ['require.cjs'], folder), '')
    })

  test('finds the files that are not modules', async () => {
    const lines = [`${NAME}/package.json`, `${NAME}/stores/postgres.sql`].map(
      (path) => `require('node:fs').readFileSync(require.resolve(${JSON.stringify(path)}))`,
    )
    await node(folder, '--input-type=commonjs', '-e', lines.join('\n'))
  })

  test('cannot reach what is private', async () => {
    await assert.rejects(node(folder, '-e', `require('${NAME}/dist/shared/jose.js')`), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  test('exports the same objects to import and to require', async () => {
    const code = `import { createRequire } from 'node:module'
      const require = createRequire(process.cwd() + '/x')
      for (const path of ${JSON.stringify(modules)}) {
        const [imported, required] = [await import(path), require(path)]
        const names = (value) => Object.keys(value).sort().join()
        if (names(imported) !== names(required)) throw new Error(path + ': ' + names(imported) + ' is not ' + names(required))
        for (const name in required) if (imported[name] !== required[name]) throw new Error(path + ': two of ' + name)
      }`
    await node(folder, '--input-type=module', '-e', code)
  })

  for (const line of LINES)
    test(`verifies assertions on Node ${line}, imported and required`, async () => {
      const binary = binaryOf(line)
      assert.match(await run(binary, ['verifier.mjs'], folder), /verified/)
      assert.match(await run(binary, ['verifier.cjs'], folder), /verified/)
    })

  test('has the command line', async () => {
    const command = join(folder, 'node_modules/.bin', NAME)
    assert.match(await run(command, ['--help'], folder), /keygen/)
    assert.equal((await run(command, ['--version'], folder)).trim(), manifest.version)
    const told = await run('npx', ['--no-install', NAME, 'keygen', '--alg', 'ES256', '--out', 'key.json'], folder)
    assert.doesNotMatch(told, /"d"/)
    assert.ok(existsSync(join(folder, 'key.json')))
  })
})

/** The ends of the ranges of the optional peers, with the type packages that go with them. */
const HOSTS = {
  'Express 5, passport 0.7, oauth2orize 1.12': {
    express: '^5.0.0',
    passport: '^0.7.0',
    oauth2orize: '^1.12.0',
    '@types/express': '^5.0.0',
  },
  'Express 4.17, passport 0.6, oauth2orize 1.11': {
    express: '4.17.3',
    passport: '0.6.0',
    oauth2orize: '1.11.0',
    '@types/express': '^4.17.0',
  },
}

const TYPES = {
  '@types/node': '^20.0.0',
  '@types/passport': '^1.0.0',
  '@types/oauth2orize': '^1.11.0',
  typescript: '^6.0.0',
  // The oldest compiler that the declarations are for.
  'typescript-5.4': 'npm:typescript@~5.4.0',
}

/** How TypeScript looks for a package, and the module system that goes with it. */
const RESOLUTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  node10: { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
}

for (const [index, [title, packages]] of Object.entries(HOSTS).entries()) {
  describe(`a project with ${title}`, () => {
    let folder = ''
    before(async () => {
      folder = await project(`host-${index}`, { ...TYPES, ...packages })
      copy(folder, 'endpoint.mjs', 'endpoint.cjs', 'serve.mjs')
    })

    test('serves a token endpoint, imported', async () => assert.match(await node(folder, 'endpoint.mjs'), /served/))
    test('serves a token endpoint, required', async () => assert.match(await node(folder, 'endpoint.cjs'), /served/))

    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      // Only node16 and nodenext tell the two module systems apart by the name of the file.
      const endings = /^node(16|next)$/.test(resolution) ? ['.mts', '.cts'] : ['.ts']
      test(`compiles with moduleResolution ${resolution} (${endings.join(', ')})`, async () => {
        const source = readFileSync(join(fixtures, 'types/application.ts'), 'utf8')
        const names = endings.map((ending) => `application_${resolution}${ending}`)
        for (const name of names) writeFileSync(join(folder, name), source)
        const compilerOptions = {
          target: 'es2022',
          lib: ['es2022'],
          types: ['node'],
          strict: true,
          noEmit: true,
          exactOptionalPropertyTypes: true,
          esModuleInterop: true,
          ...options,
        }
        const tsconfig = `tsconfig.${resolution}.json`
        writeFileSync(join(folder, tsconfig), JSON.stringify({ compilerOptions, files: names }))
        await node(folder, 'node_modules/typescript/bin/tsc', '-p', tsconfig)
      })
    }

    test('compiles without the option types, which is empty by default since TypeScript 6', async () => {
      const lines = modules.map((path, at) => `import * as m${at} from ${JSON.stringify(path)}\nexport { m${at} }`)
      writeFileSync(join(folder, 'without_types.mts'), lines.join('\n'))
      const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--ignoreConfig']
      await node(folder, 'node_modules/typescript/bin/tsc', ...options, 'without_types.mts')
    })

    test('compiles with TypeScript 5.4', async () => {
      await node(folder, 'node_modules/typescript-5.4/bin/tsc', '-p', 'tsconfig.nodenext.json')
    })
  })
}

describe('a project that tests with Jest, which cannot require an ECMAScript module on Node 20', () => {
  test('requires and imports the package in a test', async () => {
    const folder = await project('jest', { jest: '^30.0.0' }, 'commonjs')
    copy(folder, 'jest')
    const told = await run(
      binaryOf(LINES[0] ?? ''),
      ['node_modules/jest/bin/jest.js', '--rootDir', 'jest', '--testMatch', '**/*.spec.js', '--ci'],
      folder,
    )
    assert.match(told, /Tests: +\d+ passed/)
  })
})
