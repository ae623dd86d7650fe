import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Plugin } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, '.tmp/example')
const DAY_MILLISECONDS = 86_400_000

const sources = (): string[] =>
  ['lib', 'examples']
    .flatMap((name) =>
      readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((path) => join(name, path)),
    )
    .filter((path) => path.endsWith('.ts') && !path.includes('recipes'))
    .concat('package-lock.json', 'test/support/example_bundle.ts')
    .sort()

/** A source finds the files beside it, although the bundle is elsewhere. */
const ownUrl: Plugin = {
  name: 'own URL',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
      loader: 'ts',
    })),
}

let made: Promise<string> | undefined

/**
 * examples/server.ts and all that it imports of this repository in one file of JavaScript, which starts four times as fast.
 * Its name is the digest of the sources: after a change there is another. Tests that run side by side may make it at once.
 */
export function bundledExample(): Promise<string> {
  made ??= make()
  return made
}

async function make(): Promise<string> {
  const named = sources()
  const digest = createHash('sha256')
  for (const path of named)
    digest
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0')
  const file = join(folder, `${digest.digest('hex')}.mjs`)
  if (existsSync(file)) return file
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    entryPoints: ['examples/server.ts'],
    absWorkingDir: root,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [ownUrl],
    logLevel: 'warning',
    metafile: true,
    write: false,
  })
  const unknown = Object.keys(metafile.inputs).filter((path) => !named.includes(path))
  if (unknown.length > 0) throw new Error(`the bundle is not named after ${unknown.join(', ')}`)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    const old = join(folder, name)
    if (Date.now() - (statSync(old, { throwIfNoEntry: false })?.mtimeMs ?? 0) > DAY_MILLISECONDS)
      rmSync(old, { force: true })
  }
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, outputFiles[0]?.text ?? '')
  renameSync(partial, file)
  return file
}
