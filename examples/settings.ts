import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createResources, type Resource } from 'passport-client-assertion-jwt'
import { type ClientRegistry, readClients } from './clients.ts'
import { isHttpLoopback } from './loopback.ts'
import { issuersFor, readTrustedIssuers, type TrustedIssuerSetting } from './trusted_issuers.ts'
import { readJsonArray, readUsers, type Users } from './users.ts'

/** The environment variables of the example, checked. The table in `README.md` explains each. */
export interface Settings {
  readonly port: number
  /** `undefined`: `http://localhost:` and the port the server listens on. */
  readonly issuer: string | undefined
  readonly clients: ClientRegistry
  readonly users: Users
  /** Issuers whose tokens clients may authenticate with, or exchange. */
  readonly trustedIssuers: readonly TrustedIssuerSetting[]
  /** Resources beside the demo API that tokens may be for; `undefined` if RESOURCES_FILE is not set. */
  readonly resources: readonly Resource[] | undefined
  readonly storeUrl: string
  readonly assertionProfile: AssertionProfile
  readonly errorVerbosity: ErrorVerbosity
  readonly accessTokenLifetimeSeconds: number
  readonly refreshTokenIdleLifetimeSeconds: number
  readonly authorizationCodeLifetimeSeconds: number
  /** Whether clients that send the URL of a metadata document are accepted. */
  readonly clientDocuments: boolean
  readonly baseSecret: string
  /** Whether every client must push its authorization requests. */
  readonly requirePushedRequests: boolean
  /** Whether every token request needs a DPoP proof. */
  readonly requireDpop: boolean
  /** Whether every DPoP proof needs a nonce of this server. */
  readonly dpopNonce: boolean
  /** Printed at start. The server runs all the same. */
  readonly warnings: readonly string[]
}

export type AssertionProfile = (typeof ASSERTION_PROFILES)[number]
export type ErrorVerbosity = (typeof ERROR_VERBOSITIES)[number]

const ASSERTION_PROFILES = ['oidc', 'rfc7523', 'rfc10070', 'fapi1', 'fapi2', 'smart'] as const
const ERROR_VERBOSITIES = ['debug', 'normal', 'minimal'] as const
const STORE_SCHEMES = ['memory:', 'redis://', 'rediss://', 'postgres://', 'postgresql://', 'pglite:']

const YEAR_SECONDS = 365 * 24 * 3600
/** RFC 6749 §4.1.2. */
const LONGEST_CODE_LIFETIME_SECONDS = 600

/** A variable that cannot be used. The message is one line that names the variable and the problem. */
export class UnusableSetting extends Error {
  constructor(variable: string, problem: string) {
    super(`${variable}: ${problem.replace(/[\r\n]+/g, ' ')}`)
    this.name = 'UnusableSetting'
  }
}

const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)

/** Reads and checks all variables and files. Rejects with `UnusableSetting` for the first that cannot be used. */
export async function readSettings(environment: Readonly<Record<string, string | undefined>>): Promise<Settings> {
  /** An empty variable counts as absent. */
  const value = (variable: string): string | undefined => environment[variable] || undefined
  const besideThisFile = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

  const wholeNumber = (variable: string, fallback: number, least: number, most: number): number => {
    const text = value(variable)
    if (text === undefined) return fallback
    if (/^\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text)
    throw new UnusableSetting(variable, `must be a whole number from ${least} to ${most}, got ${quoted(text)}`)
  }
  const oneOf = <T extends string>(variable: string, fallback: T, allowed: readonly T[]): T => {
    const text = value(variable)
    if (text === undefined) return fallback
    const found = allowed.find((each) => each === text)
    if (found !== undefined) return found
    throw new UnusableSetting(variable, `must be one of ${allowed.join(', ')}, got ${quoted(text)}`)
  }
  const fileOf = async <T>(variable: string, demo: string, read: (path: string) => Promise<T>): Promise<T> => {
    const path = value(variable) ?? besideThisFile(demo)
    if (demoRefusal !== undefined && (await isSameContent(path, besideThisFile(demo)))) {
      const problem = value(variable) === undefined ? 'must be set' : 'must not hold the demo data'
      throw new UnusableSetting(
        variable,
        `${problem}, because ${demoRefusal}: the secrets of examples/${demo} are public`,
      )
    }
    try {
      return await read(path)
    } catch (error) {
      throw new UnusableSetting(variable, `${quoted(path)} ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  const isProduction = environment['NODE_ENV'] === 'production'
  const port = wholeNumber('PORT', 3000, 0, 65_535)
  const issuer = checkedIssuer(value('ISSUER'))
  const isHttps = issuer !== undefined && new URL(issuer).protocol === 'https:'
  /** Why the demo data is refused; `undefined` while somebody only tries the example. */
  const demoRefusal = isProduction ? 'NODE_ENV is production' : isHttps ? 'ISSUER is https' : undefined
  const warnings: string[] = []
  if (value('ERROR_VERBOSITY') === 'debug' && isProduction)
    throw new UnusableSetting('ERROR_VERBOSITY', 'debug reveals too much to clients if NODE_ENV is production')
  if (issuer !== undefined && !isHttps && !isHttpLoopback(issuer) && !isProduction)
    // there the package warns
    warnings.push(`ISSUER: ${issuer} is neither https nor on this machine: passwords and codes travel in clear text`)
  const codeLifetime = wholeNumber('AUTHORIZATION_CODE_TTL', 60, 1, YEAR_SECONDS)
  if (codeLifetime > LONGEST_CODE_LIFETIME_SECONDS)
    warnings.push(`AUTHORIZATION_CODE_TTL: codes live for ${LONGEST_CODE_LIFETIME_SECONDS} seconds at most`)
  const allowHttpLoopback = isHttpLoopback(issuer ?? 'http://localhost')
  const trustedIssuersFile = value('TRUSTED_ISSUERS_FILE')
  const trustedIssuers =
    trustedIssuersFile === undefined
      ? []
      : await readTrustedIssuers(trustedIssuersFile, { allowHttpLoopback }).catch((error: Error) => {
          throw new UnusableSetting('TRUSTED_ISSUERS_FILE', `${quoted(trustedIssuersFile)} ${error.message}`)
        })
  const resourcesFile = value('RESOURCES_FILE')
  const resources =
    resourcesFile === undefined
      ? undefined
      : await readResources(resourcesFile).catch((error: Error) => {
          throw new UnusableSetting('RESOURCES_FILE', `${quoted(resourcesFile)} ${error.message}`)
        })
  const settings = {
    port,
    issuer,
    trustedIssuers,
    resources,
    users: await fileOf('USERS_FILE', 'users.json', readUsers),
    storeUrl: checkedStoreUrl(value('STORE_URL') ?? 'memory:'),
    assertionProfile: oneOf('ASSERTION_PROFILE', 'oidc', ASSERTION_PROFILES),
    errorVerbosity: oneOf('ERROR_VERBOSITY', 'normal', ERROR_VERBOSITIES),
    accessTokenLifetimeSeconds: wholeNumber('ACCESS_TOKEN_TTL', 900, 1, YEAR_SECONDS),
    refreshTokenIdleLifetimeSeconds: wholeNumber('REFRESH_TOKEN_TTL', 5_184_000, 1, 100 * YEAR_SECONDS),
    authorizationCodeLifetimeSeconds: Math.min(codeLifetime, LONGEST_CODE_LIFETIME_SECONDS),
    clientDocuments: oneOf('CLIENT_DOCUMENTS', 'off', ['on', 'off']) === 'on',
    requirePushedRequests: oneOf('REQUIRE_PAR', 'off', ['on', 'off']) === 'on',
    requireDpop: oneOf('REQUIRE_DPOP', 'off', ['on', 'off']) === 'on',
    dpopNonce: oneOf('DPOP_NONCE', 'off', ['on', 'off']) === 'on',
    baseSecret: value('BASE_SECRET') ?? randomBytes(32).toString('base64url'),
    clients: await fileOf('CLIENTS_FILE', 'clients.json', (path) =>
      readClients(path, { allowHttpLoopback, trustedIssuers: issuersFor(trustedIssuers, 'client_assertion') }),
    ),
  }
  if (value('BASE_SECRET') === undefined)
    warnings.push('BASE_SECRET: not set, made one for this run: tokens and logins end with it')
  else if (settings.baseSecret.length < 32)
    warnings.push('BASE_SECRET: shorter than 32 characters, which is easy to guess')
  for (const { clientId, problem } of settings.clients.unsound)
    warnings.push(`CLIENTS_FILE: client ${quoted(clientId)} will be refused: ${problem}`)
  for (const { clientId, problem } of settings.clients.notes)
    warnings.push(`CLIENTS_FILE: client ${quoted(clientId)}: ${problem}`)
  return { ...settings, warnings }
}

/** The resources of a file (RFC 8707): an array of `{ uri, scopes }`. Throws an `Error` that says what is wrong with it. */
async function readResources(path: string): Promise<readonly Resource[]> {
  const list = await readJsonArray(path)
  for (const each of list) {
    const unknown = Object.keys(each).find((name) => !['uri', 'scopes', 'audience'].includes(name))
    if (unknown !== undefined) throw new Error(`has a resource with the unknown member ${unknown}`)
  }
  const resources = list as unknown as readonly Resource[]
  if (resources.length > 0) createResources(resources) // throws for a resource that cannot be used, and for two of one URI
  return resources
}

/** Whether two files hold the same bytes, under whatever names. */
async function isSameContent(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((each) => readFile(each).catch(() => undefined)))
  return one !== undefined && two !== undefined && one.equals(two)
}

/** RFC 8414 §2: an issuer identifier is an URL without query and fragment. */
function checkedIssuer(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new UnusableSetting('ISSUER', `must be an http or https URL, got ${quoted(text)}`)
  if (text.includes('?') || text.includes('#'))
    throw new UnusableSetting('ISSUER', `must have neither query nor fragment, got ${quoted(text)}`)
  if (url.username !== '' || url.password !== '')
    throw new UnusableSetting('ISSUER', 'must not hold a user or password')
  // Clients compare the issuer as a string, so it is published exactly as it is written here.
  if (/[\s\\]/.test(text))
    throw new UnusableSetting('ISSUER', `must hold no space and no backslash, got ${quoted(text)}`)
  if (!/^https?:\/\/[\x21-\x7e]+$/i.test(text))
    throw new UnusableSetting('ISSUER', `must begin with https:// or http:// and be ASCII, got ${quoted(text)}`)
  // The path of the issuer is the start of every link and form: browsers read //login as a host named login.
  if (url.pathname.includes('//'))
    throw new UnusableSetting('ISSUER', `must have no empty path segment, got ${quoted(text)}`)
  return text
}

function checkedStoreUrl(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:(?:\/\/)?/i.exec(text)?.[0] ?? text
  if (STORE_SCHEMES.some((each) => text === each || (text.startsWith(each) && !each.startsWith('memory')))) {
    if (text === 'pglite:') throw new UnusableSetting('STORE_URL', 'pglite: must be followed by a folder')
    if (!text.startsWith('redis') || (URL.canParse(text) && new URL(text).hostname !== '')) return text
    throw new UnusableSetting('STORE_URL', `${scheme} must be followed by a host`) // the rest may hold a password
  }
  throw new UnusableSetting('STORE_URL', `must begin with one of ${STORE_SCHEMES.join(' ')}, got ${quoted(scheme)}`)
}
