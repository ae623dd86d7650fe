import type { Measured } from './turn.ts'

export interface Row {
  readonly server: string
  /** Medians over the rounds. */
  readonly median: Measured
  /** Lowest and highest CPU per request of any round. */
  readonly cpuRange: readonly [number, number]
  readonly rounds: readonly Measured[]
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export function rowOf(server: string, rounds: readonly Measured[]): Row {
  const of = (name: keyof Measured): number => median(rounds.map((each) => each[name]))
  const cpu = rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)
  return {
    server,
    median: {
      cpuMicroseconds: of('cpuMicroseconds'),
      requestsPerSecond: of('requestsPerSecond'),
      p50Milliseconds: of('p50Milliseconds'),
      p99Milliseconds: of('p99Milliseconds'),
      rssMebibytes: of('rssMebibytes'),
      heapMebibytes: of('heapMebibytes'),
      roundTrips: of('roundTrips'),
      others: of('others'),
    },
    cpuRange: [Math.min(...cpu), Math.max(...cpu)],
    rounds,
  }
}

const headings = (base: string): string[] => [
  'server',
  'CPU us',
  'range',
  `/ ${base}`,
  '/ oidc-p.',
  'req/s',
  '/ oidc-p.',
  'p50 ms',
  'p99 ms',
  'RSS MiB',
  'trips',
  'others',
]

/**
 * How many times the figure of `to` a server's figure is: the median of the ratios within each round. The speed of a
 * machine that others use as well drifts from minute to minute, and less within a round.
 */
function ratio(of: Row, to: Row | undefined, name: 'cpuMicroseconds' | 'requestsPerSecond'): number | undefined {
  if (to === undefined) return undefined
  return median(of.rounds.map((each, round) => each[name] / (to.rounds[round]?.[name] ?? Number.NaN)))
}

/** A table in Markdown that is also readable as text. */
export function table(rows: readonly Row[], base: string): string {
  const first = rows.find(({ server }) => server === base)
  const peer = rows.find(({ server }) => server === 'oidc-provider')
  const lines = rows.map((row) => {
    const { median: m, cpuRange } = row
    return [
      row.server,
      m.cpuMicroseconds.toFixed(0),
      cpuRange.map((end) => end.toFixed(0)).join('-'),
      ratio(row, first, 'cpuMicroseconds')?.toFixed(2) ?? '-',
      ratio(row, peer, 'cpuMicroseconds')?.toFixed(2) ?? '-',
      m.requestsPerSecond.toFixed(0),
      ratio(row, peer, 'requestsPerSecond')?.toFixed(2) ?? '-',
      m.p50Milliseconds.toFixed(2),
      m.p99Milliseconds.toFixed(2),
      m.rssMebibytes.toFixed(0),
      m.roundTrips.toFixed(1),
      `${(m.others * 100).toFixed(0)} %`,
    ]
  })
  const names = headings(base)
  const widths = names.map((heading, index) =>
    Math.max(heading.length, ...lines.map((line) => line[index]?.length ?? 0)),
  )
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [format(names), rule, ...lines.map(format)].join('\n')
}
