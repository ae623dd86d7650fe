// Builds dist/: one implementation in CommonJS, an ECMAScript module beside each entry point that exports the same
// objects, and the declarations that the entry points reach. docs/decisions/0070-one-build.md says why.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transformSync } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = resolve(process.argv[2] ?? join(root, 'dist'))
const TARGET = 'node20'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Readonly<Record<string, string | { require: { default: string } }>>
}

/** The entry points, as paths in lib/ and in dist/ without an ending: `oauth2orize/index`. */
const entries = Object.values(manifest.exports).flatMap((target) =>
  typeof target === 'string' ? [] : [target.require.default.replace(/^\.\/dist\/|\.js$/g, '')],
)
const PROGRAM = 'cli/main'

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending))

rmSync(out, { recursive: true, force: true })
writeDeclarations()
await writeImplementation()
writeModules()
for (const name of filesOf(join(root, 'lib'), '.sql')) copyFileSync(join(root, 'lib', name), join(out, name))

/** The declarations that an entry point reaches; older compilers want `.js` in their paths, tsc leaves `.ts`. */
function writeDeclarations(): void {
  const all = join(out, 'declarations')
  const args = ['-p', join(root, 'tsconfig.build.json'), '--outDir', all]
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, ...args], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
  const left = entries.map((entry) => join(all, `${entry}.d.ts`))
  const seen = new Set(left)
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const text = readFileSync(path, 'utf8').replace(/import\("(http|stream|net|events)"\)/g, 'import("node:$1")')
    for (const [, target = ''] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"]*)\.ts['"]/g)) {
      const next = join(dirname(path), `${target}.d.ts`)
      if (!seen.has(next)) left.push(next)
      seen.add(next)
    }
    const declarations = text
      .replace(/((?:from|import\()\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2')
      .replace(/^import ['"].*\n/gm, '')
    // TypeScript 6 includes no types unless a configuration or a file names them.
    const needsNode = /\bBuffer\b|['"]node:/.test(declarations.replace(/\/\*[\s\S]*?\*\//g, ''))
    const reference = needsNode ? '/// <reference types="node" />\n' : ''
    write(join(out, relative(all, path)), reference + declarations)
  }
  rmSync(all, { recursive: true })
}

/** Parts that several entry points share become files in dist/shared/, so that each class exists once. */
async function writeImplementation(): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [...entries, PROGRAM].map((entry) => join(root, 'lib', `${entry}.ts`)),
    outbase: join(root, 'lib'),
    outdir: out,
    chunkNames: 'shared/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: TARGET,
    packages: 'external',
    absWorkingDir: root,
    logLevel: 'warning',
    write: false,
  })
  const names = new Set<string>()
  for (const { path, text } of outputFiles) {
    // The program stays an ECMAScript module: nobody requires it.
    if (path === join(out, `${PROGRAM}.js`)) {
      write(path.replace(/js$/, 'mjs'), text)
      continue
    }
    const jose = `./${relative(dirname(path), join(out, 'shared/jose.js'))}`.replace('./..', '..')
    for (const [, list = ''] of text.matchAll(/import\s*\{([^}]*)\}\s*from\s*"jose"/g))
      for (const name of list.split(',')) if (name.trim() !== '') names.add(name.trim().replace(/\s+as\s.*$/s, ''))
    const { code } = transformSync(text, { format: 'cjs', platform: 'node', target: TARGET })
    write(path, code.replace(/require\("jose"\)/g, `require(${JSON.stringify(jose)})`))
  }
  chmodSync(join(out, `${PROGRAM}.mjs`), 0o755)
  await writeJose([...names].sort())
  write(join(out, 'package.json'), '{ "type": "commonjs", "sideEffects": false }\n')
}

/**
 * `jose` is an ECMAScript module only. Node.js loads it with `require()`; Jest cannot, and takes the copy of the parts
 * that are used here.
 */
async function writeJose(names: readonly string[]): Promise<void> {
  const folder = dirname(fileURLToPath(import.meta.resolve('jose/package.json')))
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  const licence = readFileSync(join(folder, 'LICENSE.md'), 'utf8').trim()
  await build({
    stdin: { contents: `export { ${names.join(', ')} } from 'jose'`, resolveDir: root, loader: 'js' },
    outfile: join(out, 'shared/jose_copy.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: TARGET,
    conditions: ['import', 'node'],
    logLevel: 'warning',
    banner: { js: `/*! jose ${version}, the parts used here.\n\n${licence}\n*/` },
  })
  write(
    join(out, 'shared/jose.js'),
    `'use strict'
try {
  module.exports = require('jose')
} catch (error) {
  // Test runners with a loader that cannot require an ECMAScript module.
  if (error.code !== 'ERR_REQUIRE_ESM' && error.name !== 'SyntaxError') throw error
  module.exports = require('./jose_copy.js')
}
`,
  )
}

/** The ECMAScript module of each entry point: the same objects under the same names. */
function writeModules(): void {
  for (const entry of entries) {
    const implementation = `./${basename(entry)}.js`
    const names = Object.keys(createRequire(import.meta.url)(join(out, `${entry}.js`)) as object)
    write(
      join(out, `${entry}.mjs`),
      `import implementation from '${implementation}'\nexport const { ${names.sort().join(', ')} } = implementation\n`,
    )
    write(join(out, `${entry}.d.mts`), `export * from '${implementation}'\n`)
  }
}
