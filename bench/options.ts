import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Grant, Method, TokenFormat } from './setting.ts'
import type { Contestant } from './turn.ts'

const server = (name: string, module: string, variant = ''): Contestant => ({ name, module, variant })

/** The servers that take part unless others are named. */
const CONTESTANTS: readonly Contestant[] = [
  server('floor', 'floor'),
  server('oidc-provider', 'oidc_provider'),
  server('node-oauth', 'node_oauth'),
  server('hand-rolled', 'handrolled'),
  server('hand-rolled + helper', 'handrolled', 'helper'),
  server('route', 'ours', 'route'),
  server('endpoint', 'ours', 'endpoint'),
  server('route + helper', 'ours', 'route+helper'),
  server('endpoint + helper', 'ours', 'endpoint+helper'),
  server('front', 'ours', 'front'),
  server('floor on node:http', 'floor', 'node'),
  server('node:http', 'ours', 'node'),
  server('route + helper sync', 'ours', 'route+helper+sync'),
  server('endpoint + helper sync', 'ours', 'endpoint+helper+sync'),
  server('node:http sync', 'ours', 'node+sync'),
]

/** `node:http` changed in one respect: JWT access tokens, fresh records, DPoP, so many of everything. Only where named. */
const VARIANTS: readonly Contestant[] = [
  server('node:http jwt', 'ours', 'node+jwt'),
  server('node:http fresh', 'ours', 'node+fresh'),
  server('node:http dpop', 'ours', 'node+dpop'),
  server('node:http 10^3', 'ours', 'node+1e3'),
  server('node:http 10^6', 'ours', 'node+1e6'),
]

const ALL_SERVERS: readonly Contestant[] = [...CONTESTANTS, ...VARIANTS]

export interface Scenario {
  readonly name: string
  readonly grant: Grant
  readonly method: Method
}

const GRANTS = { cc: 'client_credentials', refresh: 'refresh_token', code: 'authorization_code' } as const
const METHODS: readonly Method[] = ['es256', 'rs256', 'eddsa', 'hs256', 'basic']

export const SCENARIOS: readonly Scenario[] = (['cc', 'refresh', 'code'] as const).flatMap((short) =>
  METHODS.map((method) => ({ name: `${short}-${method}`, grant: GRANTS[short], method })),
)

type Preset = Readonly<Record<'servers' | 'scenarios' | 'tokens' | 'concurrency' | 'records', string>> &
  Readonly<Record<'rounds' | 'requests' | 'warmUp', number>>

const DEFAULTS: Preset = {
  servers: CONTESTANTS.map(({ name }) => name).join(','),
  scenarios: 'cc-es256,cc-rs256,cc-eddsa,cc-hs256,cc-basic,refresh-es256,refresh-basic,code-es256,code-basic',
  tokens: 'jwt',
  concurrency: '16',
  records: 'one',
  rounds: 5,
  requests: 6000,
  warmUp: 12_000,
}
const PRESETS = {
  quick: {
    ...DEFAULTS,
    servers: 'floor,oidc-provider,hand-rolled,route,route + helper,endpoint + helper,node:http',
    scenarios: 'cc-es256,refresh-basic',
    rounds: 1,
    requests: 1000,
    warmUp: 1000,
  },
  full: {
    ...DEFAULTS,
    scenarios: SCENARIOS.map(({ name }) => name).join(','),
    tokens: 'opaque,jwt',
    concurrency: '1,16,64',
    records: 'one,fresh',
  },
  published: {
    ...DEFAULTS,
    servers: 'floor,oidc-provider,route + helper,route + helper sync,endpoint + helper,node:http,node:http sync',
    scenarios: 'cc-es256,cc-hs256,cc-basic,refresh-es256,refresh-basic,code-es256,code-basic',
    rounds: 3,
    requests: 3000,
  },
} as const satisfies Readonly<Record<string, Preset>>

export interface Options {
  readonly servers: readonly Contestant[]
  readonly scenarios: readonly Scenario[]
  readonly tokens: readonly TokenFormat[]
  readonly concurrency: readonly number[]
  readonly records: readonly ('one' | 'fresh')[]
  /** How many clients, sessions and assertion ids there are already; 0 for none but those asked for. */
  readonly populations: readonly number[]
  /** What the population is of. */
  readonly populate: readonly string[]
  readonly stores: readonly string[]
  /** The server whose CPU the first column of ratios is taken to. */
  readonly base: string
  readonly rounds: number
  readonly requests: number
  readonly warmUp: number
  readonly profile: string | undefined
  readonly out: string | undefined
}

export const HELP = `npm run bench -- [options]

  --quick            two scenarios, one round of each server, few requests: a smoke test, about a minute
  --published        the table of docs/performance.md: seven servers, seven scenarios, three rounds
  --full             every scenario, opaque and JWT access tokens, concurrency 1, 16 and 64: hours
  --servers a,b      of: ${ALL_SERVERS.map(({ name }) => name).join(', ')}
  --base a           the server that CPU is compared with; default floor
  --before folder    another checkout of this repository: its servers take part in the same run, as 'NAME before'. Build them
                     there first: npm ci && npx tsc -p bench/tsconfig.json
  --scenarios a,b    of: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --tokens a,b       jwt (default: ES256, as createTokens signs by default), opaque
  --concurrency a,b  keep-alive connections; default 16
  --records a,b      one (default), fresh: whether look-ups of clients hand out one object or deep copies
  --population a,b   numbers; default 0. With --populate clients,sessions,jtis (default all three); this package's servers only
  --stores a,b       memory (default), redis, postgres: this package's servers and oidc-provider only
  --rounds n         default 5      --requests n  measured in each round, default 6000      --warm-up n  default 12000
  --profile folder   the servers write CPU profiles there (numbers are then worth nothing)
  --out file         where the JSON goes; default bench/results/<moment>.json
`

const listOf = (text: string): string[] => text.split(',').map((each) => each.trim())

function chosen<T>(text: string, all: readonly T[], nameOf: (each: T) => string): T[] {
  return listOf(text).map((name) => {
    const found = all.find((each) => nameOf(each) === name)
    if (found === undefined) throw new TypeError(`'${name}' is none of ${all.map(nameOf).join(', ')}`)
    return found
  })
}

const same = <T>(value: T): T => value

/** `undefined` where help was asked for. */
export function readOptions(args: readonly string[]): Options | undefined {
  const string = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      quick: { type: 'boolean' },
      full: { type: 'boolean' },
      published: { type: 'boolean' },
      servers: string,
      base: string,
      before: string,
      scenarios: string,
      tokens: string,
      concurrency: string,
      records: string,
      population: string,
      populate: string,
      stores: string,
      rounds: string,
      requests: string,
      'warm-up': string,
      profile: string,
      out: string,
    },
  })
  if (values.help === true) return undefined
  const preset: Preset = values.quick
    ? PRESETS.quick
    : values.full
      ? PRESETS.full
      : values.published
        ? PRESETS.published
        : DEFAULTS
  const numbers = (text: string): number[] => listOf(text).map(Number)
  const servers = chosen(values.servers ?? preset.servers, ALL_SERVERS, ({ name }) => name)
  const checkout = values.before === undefined ? undefined : resolve(values.before)
  const withBefore = (each: Contestant): Contestant[] =>
    checkout === undefined || each.module !== 'ours'
      ? [each]
      : [each, { ...each, name: `${each.name} before`, checkout }]
  return {
    servers: servers.flatMap(withBefore),
    base: values.base ?? 'floor',
    scenarios: chosen(values.scenarios ?? preset.scenarios, SCENARIOS, ({ name }) => name),
    tokens: chosen(values.tokens ?? preset.tokens, ['opaque', 'jwt'] as const, same),
    concurrency: numbers(values.concurrency ?? preset.concurrency),
    records: chosen(values.records ?? preset.records, ['one', 'fresh'] as const, same),
    populations: numbers(values.population ?? '0'),
    populate: listOf(values.populate ?? 'clients,sessions,jtis'),
    stores: chosen(values.stores ?? 'memory', ['memory', 'redis', 'postgres'], same),
    rounds: Number(values.rounds ?? preset.rounds),
    requests: Number(values.requests ?? preset.requests),
    warmUp: Number(values['warm-up'] ?? preset.warmUp),
    profile: values.profile,
    out: values.out,
  }
}
