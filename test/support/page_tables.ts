import { readFileSync } from 'node:fs'

/** The first cells of all table rows of a page, or of one section of it (`## heading`), in order. */
export function rowsOf(path: string, heading?: string): string[] {
  const text = readFileSync(path, 'utf8')
  const from = heading === undefined ? 0 : text.indexOf(`\n## ${heading}\n`)
  if (from === -1) throw new Error(`${path} has no section "${heading}"`)
  const end = heading === undefined ? -1 : text.indexOf('\n## ', from + 4)
  const lines = text.slice(from, end === -1 ? undefined : end).split('\n')
  return lines.flatMap((line, index) => {
    const isRow = line.startsWith('|') && !/^\|[\s|:-]+$/.test(line) && !/^\|[\s|:-]+$/.test(lines[index + 1] ?? '')
    const [, cell = ''] = line.split(/(?<!\\)\|/)
    return isRow ? [cell.trim()] : []
  })
}
