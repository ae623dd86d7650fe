import type { Client, RequestContext } from '../client.ts'
import { type AssertionMethod, algorithmNamed, allowedAlgorithms } from '../keys/algorithms.ts'
import { badOption, booleanOption, oneOf, wholeNumber } from '../options.ts'
import { type AssertionProfile, type AudienceForm, PROFILES, type ProfileRules } from './profiles.ts'

/** A name of the server: one, or one for each request where a process serves several issuers. Never from `Host`. */
export type ServerName = string | ((context: RequestContext) => string)

/** What may be settled for one client, in place of what holds for all (`perClient`). */
export interface ClientRules {
  /** See the option of this name. */
  readonly maxLifetimeSeconds?: number | undefined
  /** See the option of this name. */
  readonly longLifetime?: 'capped' | 'refused' | undefined
  /** See the option of this name. */
  readonly jti?: 'required' | 'optional' | undefined
  /** This client may send one assertion several times until it expires (MSAL does): its `jti` is not registered. */
  readonly allowReuse?: boolean | undefined
  /** A MAC key of this client may be shorter than RFC 7518 §3.2 demands. Each use is published as `client.warning`. */
  readonly allowShortSecrets?: boolean | undefined
  /** See the option of this name. */
  readonly requireIat?: boolean | undefined
  /** See the option of this name. */
  readonly requireKeyId?: boolean | undefined
  /** See the option of this name. */
  readonly requireIssuerIsSubject?: boolean | undefined
  /** See the option of this name. */
  readonly typ?: TypRule | undefined
  /** The audiences taken from this client, in place of all others. */
  readonly audience?: readonly string[] | undefined
  /** See the option of this name. */
  readonly audienceForm?: AudienceForm | undefined
}

/** What is done about the `typ` header: see the option of this name. */
export type TypRule = 'checked' | 'required' | 'ignored'

/** The options that say what makes an assertion acceptable. */
export interface RuleOptions {
  /** The bundle of rules to begin with. Default `oidc`. Table: `docs/assertions.md`. */
  readonly profile?: AssertionProfile | undefined
  /** The issuer identifier of this server (RFC 8414 §2). */
  readonly issuer: ServerName
  /** The advertised URL of the token endpoint, for the profiles that take it as an audience. */
  readonly tokenEndpoint?: ServerName | undefined
  /** The advertised URL of the PAR endpoint (RFC 9126), which the profile `fapi1` takes as an audience. */
  readonly pushedAuthorizationRequestEndpoint?: ServerName | undefined
  /** The audiences that are taken, in place of what the profile says, for every `typ` and every endpoint. */
  readonly audience?: (readonly string[] | ((context: RequestContext) => readonly string[])) | undefined
  /** `sole`: a string, or an array of one. `string`: only that. `containing`: an array that has an accepted one. */
  readonly audienceForm?: AudienceForm | undefined
  /** Whether `iss` must equal `sub` (RFC 7523 §3, OpenID Connect Core §9). Without it anyone with a key of the client
   * may speak for it under another issuer's name; there is no trust in that name. */
  readonly requireIssuerIsSubject?: boolean | undefined
  /** Whether an assertion without `jti` is taken; it can be replayed until it expires. One that is there is checked. */
  readonly jti?: 'required' | 'optional' | undefined
  /** JOSE algorithms taken, at most. Never `none`. Default: what the profile says. */
  readonly algorithms?: readonly string[] | undefined
  /** Methods that clients may be registered with. Default: both. */
  readonly methods?: readonly AssertionMethod[] | undefined
  /** Whether `EdDSA` with an Ed25519 key and `Ed25519` are the same (RFC 9864). Default `true`. */
  readonly edDsaAlias?: boolean | undefined
  /** `checked`: absent, `JWT` and `client-authentication+jwt` are taken, all else is refused. `required`: only the last
   * one. `ignored`: anything goes. Default `checked`. */
  readonly typ?: TypRule | undefined
  /** Whether a signed assertion must name its key. Default `false`. */
  readonly requireKeyId?: boolean | undefined
  /** Whether the parameter `client_id` must be sent beside the assertion. Default `false` (RFC 7521 §4.2). */
  readonly requireClientId?: boolean | undefined
  /** Age at which an assertion ends whatever its `exp` says, 1 to 86400. Default 300. */
  readonly maxLifetimeSeconds?: number | undefined
  /** What to do with an assertion whose `exp` is later than that: take it while it is fresh (`capped`), or not
   * (`refused`). Default `capped`; `refused` in the profile `smart`. */
  readonly longLifetime?: 'capped' | 'refused' | undefined
  /** Whether `iat` must be there. Default `false`. */
  readonly requireIat?: boolean | undefined
  /** How far the clocks of client and server may differ, 0 to 300; more than 60 is unwise, and refused by `fapi2`.
   * Default 15. */
  readonly clockToleranceSeconds?: number | undefined
  /** Longest assertion that is looked at, in octets, 256 to 1048576. Default 16384. */
  readonly maxAssertionBytes?: number | undefined
}

/** The rules of one verifier, decided once. */
export interface AssertionRules extends Omit<ProfileRules, 'algorithms' | 'mostClockToleranceSeconds'> {
  readonly methods: readonly AssertionMethod[]
  readonly algorithms: readonly string[]
  readonly edDsaAlias: boolean
  readonly typ: TypRule
  readonly requireClientId: boolean
  readonly maxLifetimeSeconds: number
  readonly requireIat: boolean
  readonly clockToleranceSeconds: number
  readonly maxAssertionBytes: number
  readonly allowReuse: boolean
  readonly allowShortSecrets: boolean
}

const METHODS: readonly AssertionMethod[] = ['private_key_jwt', 'client_secret_jwt']
const FORMS: readonly AudienceForm[] = ['sole', 'string', 'containing']

/** What the options come to. Throws `TypeError` naming the option that can not be. */
export function rulesOf(options: RuleOptions): AssertionRules {
  const profile = PROFILES[oneOf('profile', options.profile, 'oidc', Object.keys(PROFILES) as AssertionProfile[])]
  const wanted: unknown = options.methods ?? METHODS
  if (!Array.isArray(wanted) || wanted.length === 0 || !wanted.every((each) => METHODS.includes(each)))
    throw badOption('methods', `a non-empty array out of ${METHODS.join(', ')}`, options.methods)
  const algorithms = allowedAlgorithms(options.algorithms ?? profile.algorithms, options.methods ?? METHODS)
  return Object.freeze({
    addressedTo: profile.addressedTo,
    typNarrowsAudience: profile.typNarrowsAudience,
    audienceForm: oneOf('audienceForm', options.audienceForm, profile.audienceForm, FORMS),
    requireIssuerIsSubject: booleanOption(
      'requireIssuerIsSubject',
      options.requireIssuerIsSubject,
      profile.requireIssuerIsSubject,
    ),
    jti: oneOf('jti', options.jti, profile.jti, ['required', 'optional']),
    algorithms,
    methods: METHODS.filter((method) => algorithms.some((alg) => algorithmNamed(alg)?.method === method)),
    edDsaAlias: booleanOption('edDsaAlias', options.edDsaAlias, true),
    typ: oneOf('typ', options.typ, 'checked', ['checked', 'required', 'ignored']),
    requireKeyId: booleanOption('requireKeyId', options.requireKeyId, profile.requireKeyId),
    requireClientId: booleanOption('requireClientId', options.requireClientId, false),
    maxLifetimeSeconds: wholeNumber('maxLifetimeSeconds', options.maxLifetimeSeconds, 300, 1, 86_400),
    longLifetime: oneOf('longLifetime', options.longLifetime, profile.longLifetime, ['capped', 'refused']),
    requireIat: booleanOption('requireIat', options.requireIat, false),
    clockToleranceSeconds: wholeNumber(
      'clockToleranceSeconds',
      options.clockToleranceSeconds,
      15,
      0,
      profile.mostClockToleranceSeconds,
    ),
    maxAssertionBytes: wholeNumber('maxAssertionBytes', options.maxAssertionBytes, 16_384, 256, 1_048_576),
    allowReuse: false,
    allowShortSecrets: false,
  })
}

/** Whether a value is a list of audiences. A text alone is not one: it would match by its parts. */
export const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' && each !== '')

/** The rules for one client: those of the verifier where `perClient` says nothing. Throws `TypeError` like `rulesOf`. */
export function rulesForClient(rules: AssertionRules, own: ClientRules): AssertionRules {
  const name = (member: string): string => `perClient(…).${member}`
  if (own.audience !== undefined && !isTextList(own.audience))
    throw badOption(name('audience'), 'a non-empty array of texts', own.audience)
  return {
    ...rules,
    maxLifetimeSeconds: wholeNumber(
      name('maxLifetimeSeconds'),
      own.maxLifetimeSeconds,
      rules.maxLifetimeSeconds,
      1,
      86_400,
    ),
    longLifetime: oneOf(name('longLifetime'), own.longLifetime, rules.longLifetime, ['capped', 'refused']),
    jti: oneOf(name('jti'), own.jti, rules.jti, ['required', 'optional']),
    allowReuse: booleanOption(name('allowReuse'), own.allowReuse, rules.allowReuse),
    allowShortSecrets: booleanOption(name('allowShortSecrets'), own.allowShortSecrets, rules.allowShortSecrets),
    requireIat: booleanOption(name('requireIat'), own.requireIat, rules.requireIat),
    requireKeyId: booleanOption(name('requireKeyId'), own.requireKeyId, rules.requireKeyId),
    requireIssuerIsSubject: booleanOption(
      name('requireIssuerIsSubject'),
      own.requireIssuerIsSubject,
      rules.requireIssuerIsSubject,
    ),
    typ: oneOf(name('typ'), own.typ, rules.typ, ['checked', 'required', 'ignored']),
    audienceForm: oneOf(name('audienceForm'), own.audienceForm, rules.audienceForm, FORMS),
  }
}

/** Types of the rules' argument, so that a look-up may name the client. */
export type PerClient<C extends Client> = (client: C) => ClientRules | undefined
