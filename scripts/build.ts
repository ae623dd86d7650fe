// Builds dist/: ECMAScript modules with tsc, and CommonJS modules from those, file by file.
//
// `jose` is an ECMAScript module only. Jest on Node 20, and every Node before 20.19, cannot `require()` one, so the
// CommonJS half carries the parts of jose that it uses in one file of its own, dist/cjs/jose.js, with jose's licence.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transformSync } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = process.argv[2] ?? join(root, 'dist')
const esm = join(out, 'esm')
const cjs = join(out, 'cjs')
const TARGET = 'node20'
const MODULE_URL = "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;"

const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()

/** tsc leaves `.ts` in the import paths of declarations; older compilers want `.js`. */
const declarationOf = (text: string): string =>
  text
    .replace(/((?:from|import\()\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2')
    .replace(/import\("(http|stream|net|events)"\)/g, 'import("node:$1")') // types that tsc inferred

/** The names that the emitted modules import from `jose`. */
function namesFromJose(sources: Iterable<string>): string[] {
  const names = new Set<string>()
  for (const source of sources)
    for (const [, list = ''] of source.matchAll(/import\s*\{([^}]*)\}\s*from\s*['"]jose['"]/g))
      for (const name of list.split(',')) if (name.trim() !== '') names.add(name.trim().replace(/\s+as\s.*$/s, ''))
  return [...names].sort()
}

async function bundleJose(names: readonly string[]): Promise<void> {
  const folder = dirname(fileURLToPath(import.meta.resolve('jose/package.json')))
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  const licence = readFileSync(join(folder, 'LICENSE.md'), 'utf8').trim()
  await build({
    stdin: { contents: `export { ${names.join(', ')} } from 'jose'`, resolveDir: root, loader: 'js' },
    outfile: join(cjs, 'jose.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: TARGET,
    conditions: ['import', 'node'],
    logLevel: 'warning',
    banner: { js: `/*! jose ${version}, the parts used here.\n\n${licence}\n*/` },
  })
}

rmSync(out, { recursive: true, force: true })
const compiled = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json'), '--outDir', esm],
  { stdio: 'inherit' },
)
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

const sources = new Map(filesOf(esm, '.js').map((name) => [name, readFileSync(join(esm, name), 'utf8')]))

// The command line is a program, not a module: nobody imports it, and it needs one spelling only.
const isProgram = (name: string): boolean => /^cli[/\\]/.test(name)

for (const name of filesOf(esm, '.d.ts')) {
  if (isProgram(name)) {
    rmSync(join(esm, name))
    continue
  }
  const text = declarationOf(readFileSync(join(esm, name), 'utf8'))
  writeFileSync(join(esm, name), text)
  mkdirSync(dirname(join(cjs, name)), { recursive: true })
  writeFileSync(join(cjs, name), text)
}

for (const [name, source] of sources) {
  if (isProgram(name)) continue
  const { code } = transformSync(source, {
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    loader: 'js',
    define: { 'import.meta.url': '__moduleUrl' },
    banner: source.includes('import.meta.url') ? MODULE_URL : '',
  })
  const bundled = `./${relative(dirname(name), 'jose.js')}`.replace('./..', '..')
  writeFileSync(join(cjs, name), code.replace(/require\("jose"\)/g, `require(${JSON.stringify(bundled)})`))
}
const names = namesFromJose(sources.values())
if (names.length > 0) await bundleJose(names)

writeFileSync(join(esm, 'package.json'), '{ "type": "module", "sideEffects": false }\n')
writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs", "sideEffects": false }\n')

for (const name of filesOf(join(root, 'lib'), '.sql')) {
  copyFileSync(join(root, 'lib', name), join(esm, name))
  copyFileSync(join(root, 'lib', name), join(cjs, name))
}
if (sources.has('cli/main.js')) chmodSync(join(esm, 'cli/main.js'), 0o755)
