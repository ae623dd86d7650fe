import type { Client, RequestContext } from '../client.ts'
import { refusal } from '../errors.ts'
import { type AssertionMethod, algorithmNamed, allowedAlgorithms } from '../keys/algorithms.ts'
import { ignoreRejection } from '../maybe_promise.ts'
import { isStrings } from '../optional.ts'
import { badOption, booleanOption, checkOptions, oneOf, wholeNumber } from '../options.ts'
import { type AssertionProfile, type AudienceForm, PROFILES, type ProfileRules } from './profiles.ts'

/** A URL of the server: a string, or a function of the request if a process serves several issuers. Never derive it from `Host`. */
export type ServerName = string | ((context: RequestContext) => string)

/** What is done about the `typ` header: see the option of this name. */
export type TypRule = 'checked' | 'required' | 'ignored'

/**
 * The options that set the rules for assertions.
 *
 * @inline
 */
export interface RuleOptions {
  /** The profile that sets the defaults of the other rules. Default `oidc`. See the table in `docs/assertions.md`. */
  readonly profile?: AssertionProfile | undefined
  /** The issuer identifier of this server (RFC 8414 §2). */
  readonly issuer: ServerName
  /** The advertised URL of the token endpoint, for profiles that accept it as an audience. */
  readonly tokenEndpoint?: ServerName | undefined
  /** The advertised URL of the PAR endpoint (RFC 9126), which the profile `fapi1` accepts as an audience. */
  readonly pushedAuthorizationRequestEndpoint?: ServerName | undefined
  /** The accepted audiences, instead of those of the profile, for every `typ` and every endpoint. */
  readonly audience?: (readonly string[] | ((context: RequestContext) => readonly string[])) | undefined
  /** `sole`: a string, or an array with one entry. `string`: a string. `containing`: also an array that contains an accepted one. */
  readonly audienceForm?: AudienceForm | undefined
  /** Whether `iss` must equal `sub` (RFC 7523 §3, OpenID Connect Core §9). With `false`, anyone with a key of the
   * client may use any issuer name; the name is not verified. */
  readonly requireIssuerIsSubject?: boolean | undefined
  /** Whether an assertion without `jti` is accepted; it can be replayed until it expires. A `jti` that is present is checked. */
  readonly jti?: 'required' | 'optional' | undefined
  /**
   * The accepted JOSE algorithms; `none` is never accepted. Default: those of the profile. A function returns them for each
   * request, if one process serves several issuers; `algorithms` of the verifier then contains those of the profile.
   */
  readonly algorithms?: readonly string[] | ((context: RequestContext) => readonly string[]) | undefined
  /** The methods that clients may be registered with. Default: both. */
  readonly methods?: readonly AssertionMethod[] | undefined
  /** Whether `EdDSA` with an Ed25519 key and `Ed25519` are treated as the same algorithm (RFC 9864). Default `true`. */
  readonly edDsaAlias?: boolean | undefined
  /** `checked`: absent, `JWT` and `client-authentication+jwt` are accepted. `required`: only the last one. `ignored`:
   * any value. Default `checked`. */
  readonly typ?: TypRule | undefined
  /** Whether a signed assertion must have a `kid`. Default `false`. */
  readonly requireKeyId?: boolean | undefined
  /** Whether the parameter `client_id` must be sent with the assertion. Default `false` (RFC 7521 §4.2). */
  readonly requireClientId?: boolean | undefined
  /** The maximum age of an assertion in seconds, even if its `exp` is later. 1 to 86400, default 300. */
  readonly maxLifetimeSeconds?: number | undefined
  /** What happens to an assertion with a later `exp`: it is accepted up to that age (`capped`), or refused (`refused`).
   * Default `capped`; `refused` in the profile `smart`. */
  readonly longLifetime?: 'capped' | 'refused' | undefined
  /** Whether `iat` is required. Default `false`. */
  readonly requireIat?: boolean | undefined
  /** How many seconds the clocks of client and server may differ, 0 to 300; at most 60 with `fapi2`. Use at most 60.
   * Default 15. */
  readonly clockToleranceSeconds?: number | undefined
  /** The maximum size of an assertion in bytes, 256 to 1048576. Default 16384. */
  readonly maxAssertionBytes?: number | undefined
}

/** The options that `perClient` may set, with the meaning they have for all clients. */
type OwnRuleName =
  | 'maxLifetimeSeconds'
  | 'longLifetime'
  | 'jti'
  | 'requireIat'
  | 'requireKeyId'
  | 'requireIssuerIsSubject'
  | 'typ'
  | 'audienceForm'

/** The rules that `perClient` may set for one client. */
export interface ClientRules extends Pick<RuleOptions, OwnRuleName> {
  /** This client may send one assertion several times until it expires (MSAL does): its `jti` is not registered. */
  readonly allowReuse?: boolean | undefined
  /** A MAC key of this client may be shorter than RFC 7518 §3.2 requires. Each use is published as `client.warning`. */
  readonly allowShortSecrets?: boolean | undefined
  /** The audiences accepted from this client, instead of the general ones. */
  readonly audience?: readonly string[] | undefined
}

/**
 * Returns the rules that differ for this client, or `undefined` to use those of the verifier, or of the trusted issuer.
 * Synchronous. `way.issuer` is the trusted issuer of the assertion, if the client did not make it itself.
 */
export type PerClient<C extends Client> = (
  client: C,
  way: {
    /** The trusted issuer of the assertion. `undefined`: the client made it itself. */
    readonly issuer: string | undefined
  },
) => ClientRules | undefined

/** What one option may be, what it is without being set, and whom it may be set for. */
export interface RuleDeclaration {
  /** The allowed strings; `boolean`; or the least and the greatest whole number, which the profile may decide. */
  readonly values:
    | readonly string[]
    | 'boolean'
    | { readonly least: number; readonly most: number | ((profile: ProfileRules) => number) }
  /** `undefined`: what the profile says. */
  readonly byDefault: string | boolean | number | undefined
  readonly scope: 'verifier' | 'verifier, client' | 'client'
}

const declare = (
  values: RuleDeclaration['values'],
  byDefault: RuleDeclaration['byDefault'],
  scope: RuleDeclaration['scope'] = 'verifier',
): RuleDeclaration => ({ values, byDefault, scope })
const BY_PROFILE = undefined

/** The options that are one value each. `rulesOf`, `rulesForClient` and the table in docs/assertions.md follow from it. */
export const RULE_DECLARATIONS = {
  audienceForm: declare(['sole', 'string', 'containing'], BY_PROFILE, 'verifier, client'),
  requireIssuerIsSubject: declare('boolean', BY_PROFILE, 'verifier, client'),
  jti: declare(['required', 'optional'], BY_PROFILE, 'verifier, client'),
  edDsaAlias: declare('boolean', true),
  typ: declare(['checked', 'required', 'ignored'], 'checked', 'verifier, client'),
  requireKeyId: declare('boolean', BY_PROFILE, 'verifier, client'),
  requireClientId: declare('boolean', false),
  maxLifetimeSeconds: declare({ least: 1, most: 86_400 }, 300, 'verifier, client'),
  longLifetime: declare(['capped', 'refused'], BY_PROFILE, 'verifier, client'),
  requireIat: declare('boolean', false, 'verifier, client'),
  clockToleranceSeconds: declare({ least: 0, most: (profile) => profile.mostClockToleranceSeconds }, 15),
  maxAssertionBytes: declare({ least: 256, most: 1_048_576 }, 16_384),
  allowReuse: declare('boolean', false, 'client'),
  allowShortSecrets: declare('boolean', false, 'client'),
} as const satisfies Readonly<Record<string, RuleDeclaration>>

type Rules = Required<RuleOptions & ClientRules>

/** The rules of one verifier, or of one client of it, decided once. */
export type AssertionRules = Omit<ProfileRules, 'algorithms'> & {
  readonly [Name in keyof typeof RULE_DECLARATIONS]: NonNullable<Rules[Name]>
} & {
  readonly methods: readonly AssertionMethod[]
  /** For the metadata: the algorithms of every request, or of the profile if they are chosen for each request. */
  readonly algorithms: readonly string[]
  readonly algorithmsFor: (context: RequestContext) => readonly string[]
}

const DECLARATIONS = Object.entries<RuleDeclaration>(RULE_DECLARATIONS)
const VERIFIER_RULES = DECLARATIONS.filter(([, { scope }]) => scope !== 'client')
const CLIENT_RULES = DECLARATIONS.filter(([, { scope }]) => scope !== 'verifier')
const CLIENT_RULE_NAMES = ['audience', ...CLIENT_RULES.map(([name]) => name)]
const METHODS: readonly AssertionMethod[] = ['private_key_jwt', 'client_secret_jwt']

/** An option, or `fallback` if it is absent. Throws a `TypeError` that names the option unless it is allowed. */
function read(name: string, value: unknown, { values }: RuleDeclaration, fallback: unknown, profile: ProfileRules) {
  if (values === 'boolean') return booleanOption(name, value, fallback as boolean)
  if (!('least' in values)) return oneOf(name, value, fallback as string, values)
  const most = typeof values.most === 'number' ? values.most : values.most(profile)
  return wholeNumber(name, value, fallback as number, values.least, most)
}

/** The algorithms that the application chooses for a request. What it returns is checked each time. */
const chosenBy =
  (choose: (context: RequestContext) => readonly string[], methods: readonly AssertionMethod[]) =>
  (context: RequestContext): readonly string[] => {
    try {
      return allowedAlgorithms(ignoreRejection(choose(context)), methods)
    } catch (cause) {
      throw refusal('misconfigured', { detail: "option 'algorithms' returned no algorithms for this request", cause })
    }
  }

/** What the options result in. Throws a `TypeError` that names the option that is not possible. */
export function rulesOf(options: RuleOptions): AssertionRules {
  const profile = PROFILES[oneOf('profile', options.profile, 'oidc', Object.keys(PROFILES) as AssertionProfile[])]
  const { methods = METHODS, algorithms: wanted = profile.algorithms } = options
  if (!Array.isArray(methods) || methods.length === 0 || !methods.every((each) => METHODS.includes(each)))
    throw badOption('methods', `a non-empty array of ${METHODS.join(', ')}`, methods)
  const isChosen = typeof wanted === 'function'
  const algorithms = allowedAlgorithms(isChosen ? profile.algorithms : wanted, methods)
  const rules: Record<string, unknown> = { ...profile, algorithms }
  for (const [name, { byDefault }] of DECLARATIONS) rules[name] ??= byDefault
  for (const [name, declaration] of VERIFIER_RULES)
    rules[name] = read(name, options[name as keyof RuleOptions], declaration, rules[name], profile)
  rules.methods = METHODS.filter((method) =>
    isChosen ? methods.includes(method) : algorithms.some((alg) => algorithmNamed(alg)?.method === method),
  )
  rules.algorithmsFor = isChosen ? chosenBy(wanted, methods) : () => algorithms
  return Object.freeze(rules) as unknown as AssertionRules
}

/** Whether a value is an array of audiences. A string alone is not one: it would match by its parts. */
export const isTextList = (value: unknown): value is readonly string[] =>
  isStrings(value) && value.length > 0 && !value.includes('')

/** The rules for one client: those of the verifier unless `perClient` sets others. Throws `TypeError` like `rulesOf`. */
export function rulesForClient(rules: AssertionRules, own: ClientRules): AssertionRules {
  checkOptions('perClient', own, CLIENT_RULE_NAMES)
  if (own.audience !== undefined && !isTextList(own.audience))
    throw badOption('perClient(…).audience', 'a non-empty array of strings', own.audience)
  const settled: Record<string, unknown> = { ...rules }
  for (const [name, declaration] of CLIENT_RULES)
    settled[name] = read(
      `perClient(…).${name}`,
      own[name as keyof ClientRules],
      declaration,
      settled[name],
      rules as never,
    )
  return settled as unknown as AssertionRules
}
