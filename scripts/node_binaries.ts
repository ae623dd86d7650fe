import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The lines of Node that are supported. The first is the oldest release that `engines` allows. */
export const LINES = ['20.19', '22', '24', '26']

/**
 * A Node of this line, out of the registry's own packages of Node, kept in `kept` between runs. It is installed aside and moved there
 * whole, so a program that asks at the same time never starts a file that is still being written.
 */
export function binaryOf(line: string, kept = join(root, '.tmp/nodes')): string {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(kept, line)
  const inside = join('node_modules', name, 'bin/node')
  const binary = join(folder, inside)
  if (existsSync(binary)) return binary
  mkdirSync(kept, { recursive: true })
  const aside = mkdtempSync(join(kept, 'aside-'))
  try {
    writeFileSync(join(aside, 'package.json'), '{ "private": true }\n')
    const install = [
      'install',
      '--no-save',
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--silent',
    ]
    const { status } = spawnSync('npm', [...install, `${name}@${line}`], { cwd: aside, stdio: 'inherit' })
    if (status !== 0 || !existsSync(join(aside, inside))) throw new Error(`cannot install ${name}@${line}`)
    moveUnlessThere(aside, folder, binary)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return binary
}

/** Two programs may install one line at once; the first to end is kept. */
function moveUnlessThere(aside: string, folder: string, binary: string): void {
  try {
    renameSync(aside, folder)
  } catch (error) {
    if (!existsSync(binary)) throw error
  }
}

/** This Node if it is 22 or later, or one of the registry: for programs that need it. `undefined` if there is none; with CI set it throws. */
export function findNode22(): string | undefined {
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath
  try {
    return binaryOf('22')
  } catch (error) {
    if (process.env['CI']) throw error
    return undefined
  }
}
