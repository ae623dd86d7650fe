// npm run bench: measures token endpoints beside each other. `npm run bench -- --help` tells the options.
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Credentials, makeCredentials, makeTokenKey } from './clients.ts'
import { HELP, type Options, readOptions, type Scenario } from './options.ts'
import { type Row, rowOf, table } from './report.ts'
import type { Method, Setting, TokenFormat } from './setting.ts'
import { startStore } from './stores.ts'
import { type Contestant, Load, type Measured, turn } from './turn.ts'

/** One table: everything but the server. */
interface Case {
  readonly scenario: Scenario
  readonly tokens: TokenFormat
  readonly concurrency: number
  readonly records: 'one' | 'fresh'
  readonly population: number
  readonly store: string
}

const casesOf = (options: Options): Case[] =>
  options.stores.flatMap((store) =>
    options.populations.flatMap((population) =>
      options.records.flatMap((records) =>
        options.tokens.flatMap((tokens) =>
          options.concurrency.flatMap((concurrency) =>
            options.scenarios.map((scenario) => ({ scenario, tokens, concurrency, records, population, store })),
          ),
        ),
      ),
    ),
  )

const titleOf = ({ scenario, tokens, concurrency, records, population, store }: Case): string =>
  [
    scenario.name,
    `${tokens} access tokens`,
    `concurrency ${concurrency}`,
    `${records === 'one' ? 'one object' : 'fresh copies'} per client`,
    ...(population === 0 ? [] : [`population ${population}`]),
    `${store} store`,
  ].join(', ')

/** Whether a server can do what a case asks for. */
function takesPart({ module }: Contestant, { scenario, tokens, population, records, store }: Case): boolean {
  if (module === 'ours') return true
  if (population !== 0 || records !== 'one') return false
  if (store !== 'memory') return module === 'oidc_provider'
  return module !== 'node_oauth' || (scenario.method === 'basic' && tokens === 'opaque')
}

const profileFlags = (folder: string | undefined, scenario: Scenario, { name }: Contestant): string[] =>
  folder === undefined
    ? []
    : [
        '--cpu-prof',
        '--cpu-prof-dir',
        folder,
        '--cpu-prof-name',
        `${scenario.name}-${name.replace(/\W+/g, '_')}.cpuprofile`,
      ]

async function runCase(
  each: Case,
  options: Options,
  credentials: ReadonlyMap<Method, Credentials>,
  load: Load,
): Promise<Row[]> {
  const { scenario, tokens, concurrency, records, population } = each
  const own = credentials.get(scenario.method)
  if (own === undefined) throw new Error('no credentials')
  const { warmUp } = options
  const count = warmUp + options.requests
  const populated = (what: string): number => (options.populate.includes(what) ? population : 0)
  const store = await startStore(each.store)
  const tokenKey = await makeTokenKey()
  const servers = options.servers.filter((server) => takesPart(server, each))
  const measured = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]))
  // A database of the benchmark has room for one server at a time. The memory is each server's own.
  const groups = each.store === 'memory' ? [servers] : servers.map((server) => [server])
  try {
    for (let round = 0; round < options.rounds; round++) {
      for (const members of groups) {
        const first = round % members.length
        const group = [...members.slice(first), ...members.slice(0, first)] // another one starts first in each round
        // Assertions live 290 seconds, longer than a turn.
        const spread = Math.max(1, populated('clients'))
        await load.run({ kind: 'prepare', credentials: own, grant: scenario.grant, count, spread })
        const setting: Setting = {
          grant: scenario.grant,
          method: scenario.method,
          tokens,
          tokenKey,
          clients: [...credentials.values()].map(({ client }) => client),
          seeds: scenario.grant === 'client_credentials' ? 0 : count,
          records,
          population: { clients: populated('clients'), sessions: populated('sessions'), jtis: populated('jtis') },
          store: await store.empty(),
        }
        const entrants = group.map((contestant) => ({
          contestant,
          setting,
          execArgv: profileFlags(options.profile, scenario, contestant),
        }))
        const results = await turn({ load, entrants, concurrency, warmUp, requests: options.requests })
        for (const [index, result] of results.entries()) {
          const { name } = group[index] as Contestant
          measured.get(name)?.push(result)
          process.stderr.write(`  ${round + 1}/${options.rounds} ${name}: ${result.cpuMicroseconds.toFixed(0)} us\n`)
        }
      }
    }
  } finally {
    await store.end()
  }
  return servers.map(({ name }) => rowOf(name, measured.get(name) ?? []))
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options === undefined) {
    process.stdout.write(HELP)
    return
  }
  const machine = {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model ?? 'unknown',
    processors: availableParallelism(),
    memoryMebibytes: Math.round(totalmem() / 1048576),
  }
  const credentials = new Map<Method, Credentials>()
  for (const method of ['es256', 'rs256', 'eddsa', 'hs256', 'basic'] as const)
    credentials.set(method, await makeCredentials(method))
  const load = new Load()
  const results: object[] = []
  const startedAt = new Date().toISOString()
  const file =
    options.out ?? fileURLToPath(new URL(`../../results/${startedAt.replace(/[:.]/g, '-')}.json`, import.meta.url))
  mkdirSync(dirname(file), { recursive: true })
  process.stdout.write(
    `Node ${machine.node}, ${machine.processors} × ${machine.processor}. Medians of ${options.rounds} interleaved rounds, ${options.requests} requests each after ${options.warmUp} of warm-up.\n`,
  )
  try {
    for (const each of casesOf(options)) {
      const loadBefore = loadavg()[0]
      const rows = await runCase(each, options, credentials, load)
      process.stdout.write(`\n### ${titleOf(each)}\n\n${table(rows, options.base)}\n`)
      results.push({ ...each, scenario: each.scenario.name, loadAverage: [loadBefore, loadavg()[0]], rows })
      // after each case, so that an interrupted run leaves what it has
      writeFileSync(
        file,
        `${JSON.stringify({ startedAt, machine, rounds: options.rounds, requests: options.requests, warmUp: options.warmUp, results }, null, 1)}\n`,
      )
    }
  } finally {
    load.end()
  }
  process.stdout.write(`\nWritten to ${file}\n`)
}

await main()
