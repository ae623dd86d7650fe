import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** A fenced block of a document. */
export interface Block {
  readonly file: string
  /** 1-based line of the first line of code. */
  readonly line: number
  readonly language: string
  readonly code: string
  /** The words of the HTML comments right above the fence. */
  readonly notes: readonly string[]
}

/** A program out of a document: one block, or several of which the later ones continue the first. */
export interface Program {
  readonly file: string
  readonly line: number
  readonly language: string
  /** The code, with as many empty lines before it that line numbers are those of the document. */
  readonly source: string
  readonly run: boolean
}

const below = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'node_modules' || name.startsWith('.')) return []
    return statSync(path).isDirectory() ? below(path) : [path]
  })

/** All documents people write: the ones at the top, in docs/ and in examples/. Generated ones (docs/api) are not among them. */
export const documents = (root: string): string[] =>
  [
    ...readdirSync(root).filter((name) => name.endsWith('.md')),
    ...['docs', 'examples', 'bench']
      .filter((folder) => existsSync(join(root, folder)))
      .flatMap((folder) => below(join(root, folder)).map((path) => relative(root, path)))
      .filter((path) => path.endsWith('.md') && !path.startsWith('docs/api/')),
  ].sort()

/** The pages of the API reference. */
export const reference = (root: string): string[] =>
  below(join(root, 'docs/api'))
    .map((path) => relative(root, path))
    .sort()

/** The fenced blocks of a document. */
export function blocksOf(root: string, file: string): Block[] {
  const blocks: Block[] = []
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  let notes: string[] = []
  for (let index = 0; index < lines.length; index++) {
    const text = lines[index] ?? ''
    const note = /^<!--\s*(.*?)\s*-->$/.exec(text.trim())
    const fence = /^(\s*)(`{3,}|~{3,})\s*([\w-]*)/.exec(text)
    if (note) notes.push(note[1] ?? '')
    else if (fence) {
      const [, indent = '', mark = '', language = ''] = fence
      const begin = index + 1
      for (index++; index < lines.length && !(lines[index] ?? '').trim().startsWith(mark); ) index++
      const code = lines.slice(begin, index).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      blocks.push({ file, line: begin + 1, language, code: code.join('\n'), notes })
      notes = []
    } else if (text.trim() !== '') notes = []
  }
  return blocks
}

const LANGUAGES: Readonly<Record<string, string>> = {
  ts: 'ts',
  typescript: 'ts',
  js: 'js',
  mjs: 'js',
  javascript: 'js',
  cjs: 'cjs',
}

/** Whether the block is part of a migration, which test/adopting applies: `<!-- step 2: server.cjs -->`. */
const isMigration = ({ notes }: Block): boolean => notes.some((note) => /^(step|back) \d+: /.test(note))

/** The programs of a document, in order. Blocks with the note `fragment` are none, nor are parts of a migration. */
export function programsOf(blocks: readonly Block[]): Program[] {
  const programs: Program[] = []
  for (const block of blocks) {
    const language = LANGUAGES[block.language]
    if (language === undefined || block.notes.includes('fragment') || isMigration(block)) continue
    const before = programs.at(-1)
    const run = !block.notes.includes('compile only')
    if (block.notes.includes('continues') && before) {
      const gap = '\n'.repeat(Math.max(0, block.line - 1 - before.source.split('\n').length + 1))
      programs[programs.length - 1] = { ...before, source: before.source + gap + block.code, run: before.run && run }
    } else {
      programs.push({
        file: block.file,
        line: block.line,
        language,
        source: '\n'.repeat(block.line - 1) + block.code,
        run,
      })
    }
  }
  return programs
}

/** The anchor that a heading gets: lower case, spaces to hyphens, punctuation gone. */
export const anchorOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')

const withoutCode = (text: string): string =>
  text.replace(/^(`{3,}|~{3,})[\s\S]*?^\1\s*$/gm, '').replace(/`[^`\n]*`/g, '')

function anchorsOf(path: string): Set<string> {
  const text = readFileSync(path, 'utf8').replace(/^(`{3,}|~{3,})[\s\S]*?^\1\s*$/gm, '')
  const anchors = new Set<string>()
  const seen = new Map<string, number>()
  for (const [, heading = ''] of text.matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const anchor = anchorOf(heading)
    const count = seen.get(anchor) ?? 0
    seen.set(anchor, count + 1)
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`)
  }
  for (const [, id = ''] of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}

/** The relative links of a document that lead nowhere. */
export function brokenLinks(root: string, file: string): string[] {
  const text = withoutCode(readFileSync(join(root, file), 'utf8'))
  const broken: string[] = []
  for (const [, target = ''] of text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const found = path === '' ? join(root, file) : resolve(root, dirname(file), decodeURI(path))
    if (!existsSync(found)) broken.push(target)
    else if (anchor !== undefined && found.endsWith('.md') && !anchorsOf(found).has(anchor)) broken.push(target)
  }
  return broken
}

/** Words as `wc -w` counts them: code, tables and their bars included. */
export const wordsOf = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length
