import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import { blocksOf, programsOf } from './markdown.ts'

/**
 * Loads a program of a page, the one whose source has `mark` in it, as a module over lib/: what it declares at its top level
 * and is named in `exported` is exported. `app.listen(3000)` is left out.
 */
export async function loadProgram(
  root: string,
  page: string,
  mark: string,
  exported: readonly string[] = [],
): Promise<Readonly<Record<string, unknown>>> {
  const found = programsOf(blocksOf(root, page)).filter(({ source }) => source.includes(mark))
  const [program] = found
  if (program === undefined || found.length !== 1) throw new Error(`${found.length} programs of ${page} have ${mark}`)
  const own = exported.length === 0 ? '' : `\nexport { ${exported.join(', ')} }\n`
  const { code } = await transform(program.source + own, { loader: 'ts', format: 'esm', sourcefile: join(root, page) })
  const folder = join(root, '.tmp/page_programs')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${page.replace(/\W/g, '_')}_${program.line}_${process.pid}.mjs`)
  const library = (path: string): string => JSON.stringify(pathToFileURL(join(root, 'lib', path)).href)
  writeFileSync(
    file,
    code
      .replaceAll(/(["'])passport-client-assertion-jwt\1/g, library('index.ts'))
      .replaceAll(/(["'])passport-client-assertion-jwt\/stores\/memory\1/g, library('stores/memory.ts'))
      .replaceAll(/(["'])passport-client-assertion-jwt\/testing\1/g, library('testing/index.ts'))
      .replaceAll(/^\w+\.listen\([\w, ]+\);?$/gm, ''), // the test listens itself, on a free port
  )
  return import(pathToFileURL(file).href)
}
