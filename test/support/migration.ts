import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { blocksOf } from './markdown.ts'

/** A block of a page that is part of a migration: `<!-- step 4: server.cjs -->` or, for a way back, `<!-- back 4: server.cjs -->`. */
interface Change {
  readonly kind: 'step' | 'back'
  readonly step: number
  readonly file: string
  readonly language: string
  readonly code: string
}

const NOTE = /^(step|back) (\d+): (\S+)$/

function changesOf(root: string, page: string): Change[] {
  return blocksOf(root, page).flatMap(({ notes, language, code }) =>
    notes.flatMap((note) => {
      const [, kind, step, file = ''] = NOTE.exec(note) ?? []
      return kind === undefined ? [] : [{ kind: kind as Change['kind'], step: Number(step), file, language, code }]
    }),
  )
}

/** Applies a diff block: hunks between `@@` lines, each of which must be found exactly once. */
export function applyDiff(source: string, diff: string): string {
  let text = source
  for (const hunk of diff.split(/^@@.*\n?/m)) {
    const lines = hunk.replace(/\n$/, '').split('\n')
    const side = (mark: string) =>
      lines.filter((line) => line === '' || line[0] === ' ' || line[0] === mark).map((line) => line.slice(1))
    const before = `\n${side('-').join('\n')}\n`
    const found = `\n${text}`.split(before)
    if (found.length !== 2) throw new Error(`found ${found.length - 1} times, expected once:\n${before}`)
    text = found
      .join(
        `\n${side('+')
          .map((line) => `${line}\n`)
          .join('')}`,
      )
      .slice(1)
  }
  return text
}

/** A migration of an application by the blocks of a page. */
export interface Migration {
  readonly steps: readonly number[]
  /** The application before the first step (0), and after each. */
  readonly sources: ReadonlyMap<number, string>
  /** What the way back makes of the application after a step. */
  readonly waysBack: ReadonlyMap<number, string>
  /** Loads the application as it is after a step, or after its way back. All share one database and one set of stores. */
  load(step: number, way?: 'back'): RequestListener
  /** Loads a file that a step added. */
  require(file: string): unknown
}

/** Writes the application into `folder`, as it is after each step of the page. */
export async function prepareMigration(root: string, page: string, folder: string): Promise<Migration> {
  const example = join(root, 'examples/existing-application')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(example, 'db.cjs'), join(folder, 'db.cjs'))
  installSources(root, folder)

  const changes = changesOf(root, page)
  const steps = [...new Set(changes.filter(({ kind }) => kind === 'step').map(({ step }) => step))]
  const sources = new Map<number, string>([[0, await readFile(join(example, 'server.cjs'), 'utf8')]])
  const waysBack = new Map<number, string>()
  const apply = (source: string, kind: Change['kind'], step: number) =>
    changes
      .filter((change) => change.kind === kind && change.step === step && change.file === 'server.cjs')
      .reduce((text, { code }) => applyDiff(text, code), source)
  let source = sources.get(0) ?? ''
  for (const step of steps) {
    for (const { file, code, kind } of changes) {
      if (kind === 'step' && file !== 'server.cjs') writeFileSync(join(folder, file), `${code}\n`)
    }
    source = apply(source, 'step', step)
    sources.set(step, source)
    if (changes.some((change) => change.kind === 'back' && change.step === step)) {
      waysBack.set(step, apply(source, 'back', step))
    }
  }
  for (const [step, text] of sources) writeFileSync(join(folder, `server${step}.cjs`), text)
  for (const [step, text] of waysBack) writeFileSync(join(folder, `server${step}_back.cjs`), text)

  const load = createRequire(join(folder, 'package.json'))
  return {
    steps,
    sources,
    waysBack,
    load: (step, way) => load(`./server${step}${way === 'back' ? '_back' : ''}.cjs`),
    require: (file) => load(`./${file}`),
  }
}

/** Lets the programs of a folder find this package, as it is in lib/. */
function installSources(root: string, folder: string): void {
  const installed = join(folder, 'node_modules/passport-client-assertion-jwt')
  mkdirSync(installed, { recursive: true })
  const entries = { '.': 'index.ts', './stores/memory': 'stores/memory.ts', './testing': 'testing/index.ts' }
  const exported: Record<string, string> = {}
  for (const [entry, file] of Object.entries(entries)) {
    const name = `./${file.replace(/\W/g, '_')}.cjs`
    exported[entry] = name
    writeFileSync(join(installed, name), `module.exports = require(${JSON.stringify(join(root, 'lib', file))})\n`)
  }
  writeFileSync(
    join(installed, 'package.json'),
    JSON.stringify({ name: 'passport-client-assertion-jwt', exports: exported }),
  )
}
