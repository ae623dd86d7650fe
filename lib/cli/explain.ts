import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { TrustedIssuers } from '../assertion/attempt.ts'
import type { AssertionProfile } from '../assertion/profiles.ts'
import type { Client, JwkSet } from '../client.ts'
import { systemClock } from '../clock.ts'
import type { Reason } from '../errors.ts'
import { createTrustedIssuers, type TrustedIssuer } from '../federated/trusted_issuers.ts'
import { escapeUnprintable } from '../printable.ts'
import { type CheckResult, type Explanation, explainAssertion, type Question } from './explanation.ts'
import { EXIT, type Io, UsageError } from './io.ts'

const OPTIONS = {
  issuer: { type: 'string' },
  'token-endpoint': { type: 'string' },
  endpoint: { type: 'string' },
  jwks: { type: 'string' },
  client: { type: 'string' },
  'trusted-issuers': { type: 'string' },
  profile: { type: 'string' },
  now: { type: 'string' },
  json: { type: 'boolean' },
} as const

/** A file that holds a JSON object. What is in it is never repeated in a complaint. */
function jsonFile(option: string, file: string): Readonly<Record<string, unknown>> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`--${option}: cannot read ${file} (${(cause as NodeJS.ErrnoException).code ?? 'error'})`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError(`--${option}: ${file} is not JSON`)
  }
  if (typeof value !== 'object' || value === null) throw new UsageError(`--${option}: ${file} is not a JSON object`)
  return value as Readonly<Record<string, unknown>>
}

/** The client of a file: a record, or the one of an array of records that the assertion's `sub` names. */
function clientOf(file: string, assertion: string): Client {
  const value = jsonFile('client', file)
  const records: readonly unknown[] = Array.isArray(value) ? value : [value]
  let sub: unknown
  try {
    sub = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString('utf8')).sub
  } catch {
    // the checks report what is wrong with the assertion
  }
  const isClient = (record: unknown): record is Client =>
    typeof record === 'object' && record !== null && typeof (record as Client).client_id === 'string'
  const clients = records.filter(isClient)
  const found =
    clients.find((client) => client.client_id === sub) ??
    clients.find(({ federated_credentials: credentials }) => {
      return Array.isArray(credentials) && credentials.some((each) => each?.subject === sub)
    }) ??
    clients[0]
  if (found === undefined) throw new UsageError(`--client: ${file} holds no record with a client_id`)
  return found
}

/** A key set; a single key counts as a set of one. */
function jwksOf(file: string): JwkSet {
  const value = jsonFile('jwks', file)
  if (Array.isArray(value['keys'])) return { keys: value['keys'] }
  if (typeof value['kty'] === 'string') return { keys: [value] }
  throw new UsageError(`--jwks: ${file} is neither a JWK set nor a JWK`)
}

const WIRE_NAMES: Readonly<Record<string, string>> = {
  jwks_uri: 'jwksUri',
  max_lifetime_seconds: 'maxLifetimeSeconds',
}

/** Issuers in the member names of this package or of client records. Keys of `--jwks` count as those of each issuer. */
function trustedIssuersOf(
  file: string,
  jwks: JwkSet | undefined,
): { readonly trustedIssuers: TrustedIssuers; readonly issuersWithoutKeys: readonly string[] } {
  const value = jsonFile('trusted-issuers', file)
  const issuers = (Array.isArray(value) ? value : [value]).map((row: unknown) => {
    if (typeof row !== 'object' || row === null) throw new UsageError(`--trusted-issuers: ${file} holds no issuers`)
    const { use: _, ...members } = row as Readonly<Record<string, unknown>>
    const renamed: Record<string, unknown> = Object.fromEntries(
      Object.entries(members).map(([name, each]) => [WIRE_NAMES[name] ?? name, each]),
    )
    return jwks === undefined ? renamed : { ...renamed, jwks, ...{ jwksUri: undefined, discovery: undefined } }
  })
  const trustedIssuers = createTrustedIssuers(issuers as unknown as readonly TrustedIssuer[])
  const isRemote = (_: string, index: number): boolean => issuers[index]?.['jwks'] === undefined
  return { trustedIssuers, issuersWithoutKeys: trustedIssuers.issuers.filter(isRemote) }
}

// What may be shown of an assertion: the members with a meaning here. Others are named only; nothing else is known of them.
const SHOWN_HEADER = ['alg', 'kid', 'typ', 'crit', 'cty'] as const
const SHOWN_CLAIMS = ['iss', 'sub', 'aud', 'jti', 'iat', 'nbf', 'exp'] as const

const pick = (from: Readonly<Record<string, unknown>> | undefined, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.filter((name) => from && name in from).map((name) => [name, from?.[name]]))

const othersOf = (from: Readonly<Record<string, unknown>> | undefined, names: readonly string[]): string[] =>
  Object.keys(from ?? {}).filter((name) => !names.includes(name))

const NOT_CHECKED =
  'Not checked: the request around the assertion, checks of the application, and the replay register of the server.'

/** What to do about a reason, as docs/reasons.md says it, without its Markdown. */
function remedyFor(reason: Reason, io: Io): string | undefined {
  const section = io.readDocument('reasons.md')?.split(`\n### ${reason}\n`)[1]?.split('\n#')[0]
  return /^_What to do:_ (.+)$/m
    .exec(section ?? '')?.[1]
    ?.replace(/\[([^[\]]*)\]\([^()]*\)/g, '$1')
    .replaceAll('`', '')
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:authorization:\s*)?bearer\s/i,
    'the string starts with "Bearer". An assertion is sent without a scheme. Pass the JWT alone.',
  ],
  [/^["'`]|["'`]$/, 'the string is quoted. Pass the JWT without quotation marks.'],
  [/(?:^|[?&\s])client_assertion=/, 'the string is a form. Pass only the value of client_assertion.'],
  [/^\{/, 'the string is JSON. Pass the JWT itself.'],
  [/^[\w.-]+\s[\w.\s-]*$/, 'the string contains blanks or line breaks. Join its lines.'],
]

/** What the string that was pasted probably is, if it is no JWT. It is judged as it is all the same. */
const hintsFor = (assertion: string): string[] =>
  HINTS.filter(([pattern]) => pattern.test(assertion)).map(([, hint]) => hint)

/** A number of seconds in the largest unit that keeps it exact enough. */
function spanOf(seconds: number): string {
  const whole = Math.round(Math.abs(seconds))
  const [size, unit] = (
    [
      [1, 's'],
      [60, 'min'],
      [3600, 'h'],
      [86_400, 'days'],
    ] as const
  ).findLast(([each]) => whole >= 2 * each) ?? [1, 's']
  return `${Math.round(whole / size)} ${unit}`
}

/** The times of an assertion as seen from now: "issued 61 min ago, expired 60 min ago". */
function timesOf(claims: Explanation['claims'], now: number): string {
  const { iat, nbf, exp } = claims ?? {}
  const is = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
  return [
    is(iat) ? (iat > now ? `issued ${spanOf(iat - now)} in the future` : `issued ${spanOf(now - iat)} ago`) : [],
    is(nbf) && nbf > now ? `not valid for another ${spanOf(nbf - now)}` : [],
    is(exp) ? (exp > now ? `expires in ${spanOf(exp - now)}` : `expired ${spanOf(now - exp)} ago`) : [],
  ]
    .flat()
    .join(', ')
}

/** An explanation, with what is said about it beyond the checks. */
interface Told extends Explanation {
  readonly remedy: string | undefined
  readonly hints: readonly string[]
  readonly times: string
}

const asJson = (told: Told): string => {
  const { verdict, hints, checks, issuer = null, header, claims, times } = told
  const { reason = null, remedy = null }: { reason?: Reason | undefined | null; remedy?: string | undefined | null } =
    told
  const shown = { header: pick(header, SHOWN_HEADER), claims: pick(claims, SHOWN_CLAIMS) }
  const others = { header: othersOf(header, SHOWN_HEADER), claims: othersOf(claims, SHOWN_CLAIMS) }
  const lines = JSON.stringify(
    { verdict, reason, remedy, hints, issuer, checks, ...shown, times, others },
    null,
    2,
  ).split('\n')
  return `${lines.map(escapeUnprintable).join('\n')}\n`
}

const MARKS = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' } as const
const COLOURS = { passed: 32, failed: 31, skipped: 33, accepted: 32, refused: 31, undecided: 33, quiet: 2 } as const

type Paint = (name: keyof typeof COLOURS, text: string) => string

const verdictLine = ({ verdict, reason, remedy }: Told): string =>
  verdict === 'accepted'
    ? 'Accepted: every check passed.'
    : verdict === 'undecided'
      ? 'Undecided: nothing failed, but not everything could be checked.'
      : `Refused: ${reason}.${remedy === undefined ? '' : ` ${remedy}`}`

/** One line for each group of checks that were skipped for the same reason. */
function skippedLines(checks: readonly CheckResult[], paint: Paint): string[] {
  const groups = new Map<string, string[]>()
  for (const { outcome, name, detail = '' } of checks)
    if (outcome === 'skipped') groups.set(detail, [...(groups.get(detail) ?? []), name])
  return [...groups].map(
    ([why, names]) => `${paint('skipped', MARKS.skipped)}  ${names.join(', ')}: ${escapeUnprintable(why)}`,
  )
}

function asText(told: Told, paint: Paint): string {
  const { verdict, checks, header, claims, hints, times } = told
  const line = ({ name, outcome, title, reason, detail = '' }: CheckResult): string[] => {
    const safe = escapeUnprintable(detail)
    const mark = `${paint(outcome, MARKS[outcome])}  ${title}`
    if (outcome === 'passed') return [safe === '' ? mark : `${mark}${paint('quiet', `: ${safe}`)}`]
    return [mark, `      ${reason}: ${name === 'time' && times !== '' ? `${times}; ` : ''}${safe}`]
  }
  const part = (title: string, from: Explanation['header'], names: readonly string[]): string[] => {
    if (from === undefined) return []
    const others = othersOf(from, names)
    const more = others.length > 0 ? ` and ${others.map(escapeUnprintable).join(', ')}` : ''
    return [paint('quiet', `${title}  ${escapeUnprintable(JSON.stringify(pick(from, names)))}${more}`)]
  }
  return `${[
    paint(verdict, verdictLine(told)),
    ...hints.map((hint) => `Hint: ${hint}`),
    ...part('header', header, SHOWN_HEADER),
    ...part('claims', claims, SHOWN_CLAIMS),
    ...(times === '' ? [] : [paint('quiet', `times   ${times}`)]),
    ...checks.filter(({ outcome }) => outcome !== 'skipped').flatMap(line),
    ...skippedLines(checks, paint),
    paint('quiet', NOT_CHECKED),
  ].join('\n')}\n`
}

/**
 * `explain`: every check on a client assertion, in the verifier's order, and why one failed. Exit status 0: all passed;
 * 1: one failed; 2: the command could not be carried out; 3: none failed, but some could not be carried out for want of
 * the client's record or keys.
 */
export async function explain(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const [given, ...more] = positionals
  if (given === undefined || more.length > 0) throw new UsageError('explain takes one JWT, or - for standard input')
  const { issuer, 'token-endpoint': tokenEndpoint, endpoint, profile } = values
  if (issuer === undefined) throw new UsageError('--issuer is needed: the issuer identifier of the server')
  const now = values.now === undefined ? systemClock() : Number(values.now || Number.NaN)
  if (!Number.isFinite(now)) throw new UsageError('--now must be a number, in epoch seconds')
  const assertion = (given === '-' ? await io.readInput() : given).trim()
  if (assertion === '') throw new UsageError('there is no JWT')
  const options = {
    issuer,
    ...(tokenEndpoint === undefined ? {} : { tokenEndpoint }),
    ...(profile === undefined ? {} : { profile: profile as AssertionProfile }),
  }
  const question: Question = {
    assertion,
    options,
    now,
    endpoint,
    client: values.client === undefined ? undefined : clientOf(values.client, assertion),
    jwks: values.jwks === undefined ? undefined : jwksOf(values.jwks),
  }
  const explained = async (): Promise<Explanation> => {
    const file = values['trusted-issuers']
    return explainAssertion(file === undefined ? question : { ...question, ...trustedIssuersOf(file, question.jwks) })
  }
  const explanation = await explained().catch((error: unknown) => {
    throw error instanceof TypeError ? new UsageError(error.message) : error
  })
  const colours = io.isTerminal && !io.environment['NO_COLOR'] && io.environment['TERM'] !== 'dumb'
  const paint: Paint = (name, text) => (colours ? `\u001b[${COLOURS[name]}m${text}\u001b[0m` : text)
  const told: Told = {
    ...explanation,
    remedy: explanation.reason && remedyFor(explanation.reason, io),
    hints: hintsFor(assertion),
    times: timesOf(explanation.claims, now),
  }
  io.out(values.json === true ? asJson(told) : asText(told, paint))
  return { accepted: EXIT.fine, refused: EXIT.refused, undecided: EXIT.undecided }[explanation.verdict]
}
