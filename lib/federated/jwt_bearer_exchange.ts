import {
  type Attempt,
  beginAttempt,
  type Check,
  type TrustedIssuers,
  type VerifierParts,
} from '../assertion/attempt.ts'
import { AUDIENCE_CHECK, serverNames } from '../assertion/audience.ts'
import { CLAIM_CHECKS, TIME_LEFT_CHECK } from '../assertion/claims.ts'
import { HEADER_CHECKS, shown } from '../assertion/header.ts'
import { ASSERTION_TYPE, PRESENTED_CHECKS } from '../assertion/presented.ts'
import { REPLAY_CHECK } from '../assertion/replay.ts'
import { rulesOf } from '../assertion/rules.ts'
import { OAuthError, refusal } from '../errors.ts'
import { type JwtBearerOptions, jwtBearer, type VerifyIdentityAssertion } from '../exchanges/jwt_bearer.ts'
import { createKeySets } from '../keys/key_sets.ts'
import { createPublicKeys } from '../keys/public_keys.ts'
import { type Oauth2orizeExchange, type ToOauth2orizeOptions, wrapExchange } from '../oauth2orize/to_oauth2orize.ts'
import { checkOptions, oneOf, optionNames, requireVerbs, wholeNumber } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'

/**
 * Options that define which assertions are accepted.
 *
 * @inline
 */
interface IdentityAssertionOptions {
  /** The issuers whose assertions about users are accepted: what `createTrustedIssuers` returned. */
  readonly trustedIssuers: TrustedIssuers
  /** Remembers which assertions were used. Required unless `replay` is `allow`. */
  readonly replayRegister?: ReplayRegister | undefined
  /** `once`: each assertion is accepted once. `allow`: an assertion is accepted until it expires. Default `once`. */
  readonly replay?: 'once' | 'allow' | undefined
  /** Maximum seconds from `iat` to `exp`, 1 to 86400. Default 300. */
  readonly maxLifetimeSeconds?: number | undefined
  /** Seconds by which the clocks of issuer and server may differ, 0 to 300. Default 15. */
  readonly clockToleranceSeconds?: number | undefined
}

const NAMES = optionNames<IdentityAssertionOptions & JwtBearerOptions & ToOauth2orizeOptions>({
  trustedIssuers: true,
  replayRegister: true,
  replay: true,
  maxLifetimeSeconds: true,
  clockToleranceSeconds: true,
  tokens: true,
  subjectOf: true,
  resources: true,
  context: true,
  accessTokenLifetimeSeconds: true,
  commaSeparatesScope: true,
  defaultScope: true,
  toClient: true,
  userProperty: true,
  clock: true,
})

/** Media type of identity assertions (draft-ietf-oauth-identity-assertion-authz-grant). */
function checkTyp({ envelope }: Attempt): void {
  const { typ } = envelope.header
  if (typeof typ === 'string' && /^(?:application\/)?oauth-id-jag\+jwt$/i.test(typ)) return
  throw refusal('assertion_typ_not_allowed', { detail: `expected typ oauth-id-jag+jwt, got ${shown(typ)}` })
}

function checkSubject({ envelope }: Attempt): void {
  const { sub } = envelope.claims
  if (typeof sub === 'string' && sub !== '') return
  throw refusal('assertion_subject_malformed', { detail: `expected sub to be a non-empty string, got ${shown(sub)}` })
}

const OPENING: readonly Check[] = PRESENTED_CHECKS.filter(({ online }) => !online)
const FOLLOWING: readonly Check[] = [...HEADER_CHECKS, AUDIENCE_CHECK, ...CLAIM_CHECKS]

/** What the checks of client assertions refuse, as a refusal of the grant: it is not the client that failed. */
const asInvalidGrant = (error: unknown, clientId: string): unknown => {
  if (!(error instanceof OAuthError) || error.code !== 'invalid_client') return error
  const { reason, detail, cause } = error
  return new OAuthError('invalid_grant', { reason, detail, clientId, cause })
}

function createVerification(options: IdentityAssertionOptions, issuer: string): VerifyIdentityAssertion {
  const { trustedIssuers, replayRegister } = options
  requireVerbs('trustedIssuers', trustedIssuers, ['findWay'])
  const replay = oneOf('replay', options.replay, 'once', ['once', 'allow'])
  if (replay === 'once') requireVerbs('replayRegister', replayRegister, ['remember'])
  const { clockToleranceSeconds } = options
  const base = rulesOf({
    issuer,
    profile: 'rfc10070',
    ...(clockToleranceSeconds === undefined ? {} : { clockToleranceSeconds }),
  })
  const maxLifetimeSeconds = wholeNumber('maxLifetimeSeconds', options.maxLifetimeSeconds, 300, 1, 86_400)
  const parts: VerifierParts = {
    rules: base,
    namesFor: serverNames({ issuer }, base),
    findClient: () => undefined,
    perClient: undefined,
    replayRegister: replayRegister ?? false,
    misconfiguredClient: 'refuse',
    publicKeys: createPublicKeys(256),
    keySets: createKeySets(),
    documentKeySets: () => parts.keySets,
    verification: 'pool',
    trustedIssuers,
  }

  return async (assertion, { client, now, context }) => {
    const attempt = beginAttempt(parts, {}, context, now)
    attempt.presented = assertion
    attempt.type = ASSERTION_TYPE
    attempt.client = client
    attempt.clientId = client.client_id
    const run = async (check: Check): Promise<void> => {
      try {
        await check.run(attempt)
      } catch (error) {
        throw asInvalidGrant(error, client.client_id)
      }
    }
    for (const check of OPENING) await run(check)
    const way = trustedIssuers.findWay(attempt)
    if (way === undefined)
      throw new OAuthError('invalid_grant', {
        reason: 'assertion_issuer_mismatch',
        clientId: client.client_id,
        detail: `expected iss to be a trusted issuer, got ${shown(attempt.envelope.claims['iss'])}`,
      })
    attempt.issuer = way.issuer
    attempt.audience = [issuer]
    attempt.rules = {
      ...way.rulesFrom(base),
      ...{ jti: 'required', requireIat: true, maxLifetimeSeconds, allowReuse: replay === 'allow' },
    }
    for (const check of FOLLOWING) await run(check)
    await run({ name: 'typ', title: 'typ', needs: [], run: checkTyp })
    await run({ name: 'sub', title: 'sub', needs: [], run: checkSubject })
    await run({ name: 'signature', title: 'signature', needs: [], run: way.prove })
    return {
      issuer: way.issuer,
      sub: attempt.envelope.claims['sub'] as string,
      claims: attempt.envelope.claims,
      async spend() {
        await run(TIME_LEFT_CHECK)
        await run(REPLAY_CHECK)
      },
    }
  }
}

/**
 * Creates the exchange for `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` with identity assertions (ID-JAG,
 * which the Enterprise-Managed Authorization of MCP uses). Pass it to `server.exchange(…)` or to `createTokenEndpoint`.
 *
 * The identity provider of a company states in the assertion which user may use which client. The client gets an access
 * token without a login, and no refresh token.
 *
 * To publish that you support it, set the option `extra: { authorization_grant_profiles_supported:
 * ['urn:ietf:params:oauth:grant-profile:id-jag'] }` of `createMetadata`.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createJwtBearerExchange } from 'passport-client-assertion-jwt/federated'
 *
 * const jwtBearer = createJwtBearerExchange({
 *   tokens,
 *   trustedIssuers: createTrustedIssuers([{ issuer: 'https://idp.company.example', discovery: true }]),
 *   replayRegister: createMemoryReplayRegister(),
 *   subjectOf: ({ issuer, sub }) => users.get(`${issuer} ${sub}`),
 *   resources: createResources([{ uri: 'https://mcp.example.com/', scopes: ['notes.read'] }]),
 * })
 * ```
 */
export function createJwtBearerExchange(
  options: IdentityAssertionOptions & JwtBearerOptions & ToOauth2orizeOptions,
): Oauth2orizeExchange {
  checkOptions('createJwtBearerExchange', options, NAMES)
  requireVerbs('tokens', options.tokens, ['issueForClient'])
  return wrapExchange(jwtBearer(options, createVerification(options, options.tokens.issuer)), options)
}
