import { checkAddressee, serverNames } from '../assertion/audience.ts'
import { checkId, checkIssuer, checkSubject, checkTimes } from '../assertion/claims.ts'
import { checkClient, checkRegistration } from '../assertion/client_record.ts'
import { type Envelope, openEnvelope } from '../assertion/envelope.ts'
import { checkAlgorithm, checkExtensions, checkKeyId, checkKeyIdPresent, checkTyp } from '../assertion/header.ts'
import { ASSERTION_TYPE, presentedAssertion } from '../assertion/presented.ts'
import { prove } from '../assertion/proof.ts'
import { type RuleOptions, rulesOf } from '../assertion/rules.ts'
import type { Client, JwkSet } from '../client.ts'
import { OAuthError, type Reason } from '../errors.ts'
import { type Algorithm, algorithmNamed } from '../keys/algorithms.ts'
import { createPublicKeys } from '../keys/public_keys.ts'

/** What became of one check. `skipped` means that something it needs was not given, or failed before. */
export interface Check {
  /** Stable name for machines. */
  readonly name: string
  readonly title: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Of a failed check: the verifier's reason. */
  readonly reason?: Reason
  /** What was expected and what came, or why the check was skipped. Never a secret, never the signature. */
  readonly detail?: string
}

/** What is known about the assertion and the server it is meant for. */
export interface Question {
  readonly assertion: string
  readonly options: RuleOptions
  /** The client's record. Without it `jwks` alone proves the signature, and the registration is not looked at. */
  readonly client?: Client | undefined
  /** Public keys in place of the ones of the record. */
  readonly jwks?: JwkSet | undefined
  /** The advertised URL of the endpoint that is called, where it is not the token endpoint. */
  readonly endpoint?: string | undefined
  /** Epoch seconds. */
  readonly now: number
}

/** Every check in the order of the verifier, and what the assertion says of itself. */
export interface Explanation {
  /** `undecided`: nothing failed, but without the client's record or keys not everything could be checked. */
  readonly verdict: 'accepted' | 'refused' | 'undecided'
  /** Of the first check that failed: what the verifier would have refused with. */
  readonly reason: Reason | undefined
  readonly checks: readonly Check[]
  readonly header: Readonly<Record<string, unknown>> | undefined
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

/** What a check tells when it passed. */
type Told = string | undefined

/** Thrown inside a check that cannot be carried out. */
class Skip {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

const need = <T>(value: T | undefined, why: string): T => {
  if (value === undefined) throw new Skip(why)
  return value
}

const moment = (at: unknown): string =>
  typeof at === 'number' && Math.abs(at) < 8e12 ? new Date(at * 1000).toISOString() : 'no moment'

/** Nothing is fetched here: the keys of a `jwks_uri` have to be handed in. */
const noRemoteKeys = {
  maxKeys: 100,
  get: (): never => {
    throw new Skip('the client has a jwks_uri, which is not fetched here: hand its keys in with --jwks')
  },
  renew: async (): Promise<undefined> => undefined,
}

/** The record to check with: the client's, with other keys where they are given; or one made up around those keys. */
function recordFor({ client, jwks }: Question, subject: string, algorithm: Algorithm): Client | undefined {
  if (client === undefined) return jwks && { client_id: subject, token_endpoint_auth_method: algorithm.method, jwks }
  if (jwks === undefined) return client
  const { jwks_uri: _, ...rest } = client
  return { ...rest, jwks }
}

/**
 * Carries out every check on an assertion in the order of the verifier, and goes on after one that fails. It uses the
 * verifier's own checks. It fetches nothing, remembers nothing and reads no clock.
 *
 * @throws TypeError naming the option that cannot be, like `createAssertionVerifier`
 */
export async function explainAssertion(question: Question): Promise<Explanation> {
  const { assertion, options, client, now } = question
  const rules = rulesOf(options)
  const names = serverNames(options, rules)({})
  const checks: Check[] = []

  const check = async (name: string, title: string, body: () => Told | Promise<Told>): Promise<void> => {
    try {
      const detail = await body()
      checks.push({ name, title, outcome: 'passed', ...(detail === undefined ? {} : { detail }) })
    } catch (error) {
      if (error instanceof Skip) checks.push({ name, title, outcome: 'skipped', detail: error.why })
      else if (error instanceof OAuthError && error.reason !== undefined) {
        const detail = error.detail ?? error.message
        checks.push({ name, title, outcome: 'failed', reason: error.reason, detail })
      } else throw error
    }
  }

  const told: { envelope?: Envelope; alg?: string; algorithm?: Algorithm; kid?: string | undefined; subject?: string } =
    {}
  const envelope = (): Envelope => need(told.envelope, 'the assertion cannot be read')
  const algorithm = (): Algorithm => need(told.algorithm, 'the algorithm is not taken')
  const subject = (): string => need(told.subject, 'there is no usable sub')

  await check('size', `At most ${rules.maxAssertionBytes} octets`, () => {
    const form = { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion }
    presentedAssertion(form, undefined, { ...rules, requireClientId: false })
    return `${assertion.length} octets`
  })
  await check('form', 'A signed JWT in its one strict spelling', () => {
    if (checks[0]?.outcome === 'failed') throw new Skip('too large to be looked at')
    told.envelope = openEnvelope(assertion)
    return undefined
  })
  await check('alg', 'The algorithm is one the server takes', () => {
    told.alg = checkAlgorithm(envelope().header, rules)
    told.algorithm = need(algorithmNamed(told.alg), 'the algorithm is not taken')
    return told.alg
  })
  await check('header', 'Nothing in the header changes how the token is read (crit, b64, nesting)', () => {
    checkExtensions(envelope().header)
    return undefined
  })
  await check('kid', 'The key id is a text, if there is one', () => {
    told.kid = checkKeyId(envelope().header)
    return told.kid ?? 'none'
  })
  await check('sub', 'sub can be a client id', () => {
    told.subject = checkSubject(envelope().claims)
    return told.subject
  })
  await check('typ', 'The type (typ) is one of a client assertion', () => {
    checkTyp(envelope().header, rules)
    return String(envelope().header['typ'] ?? 'none')
  })
  if (rules.requireKeyId)
    await check('kid_present', 'The key is named (kid), as the profile demands', () => {
      checkKeyIdPresent(envelope().header['kid'], rules)
      return undefined
    })
  await check('iss', rules.requireIssuerIsSubject ? 'iss is the client too' : 'iss is there', () => {
    checkIssuer(envelope().claims, subject(), rules)
    return String(envelope().claims['iss'])
  })
  await check('client', 'The client is known', () => {
    checkClient(need(client, 'no client record was given (--client)'), subject())
    return client?.client_name
  })
  await check('registration', 'The client is registered for this method and algorithm', () => {
    const record = need(client, 'no client record was given (--client)')
    checkRegistration(record, told.alg ?? '', algorithm(), rules.methods, rules)
    return algorithm().method
  })
  await check('aud', 'aud is this server', () => {
    checkAddressee(envelope(), names, question.endpoint, rules, undefined)
    return JSON.stringify(envelope().claims['aud'])
  })
  await check('time', 'Not expired, not too old, not of the future (exp, iat, nbf)', () => {
    const end = checkTimes(envelope().claims, now, rules)
    return `good for another ${Math.round(end - now)} s, until ${moment(end)}`
  })
  await check('jti', rules.jti === 'required' ? 'jti is there and usable' : 'jti is usable, if there is one', () =>
    checkId(envelope().claims, rules) === undefined ? 'none: it can be replayed' : undefined,
  )
  await check('signature', 'A key of the client verifies the signature', async () => {
    const record = need(
      recordFor(question, subject(), algorithm()),
      'neither the client record nor its keys were given (--client, --jwks)',
    )
    const parts = {
      publicKeys: createPublicKeys(64),
      keySets: noRemoteKeys,
      verification: 'sync',
      misconfiguredClient: 'refuse',
    } as const
    const { alg = '', kid } = told
    const proof = await prove(parts, {
      envelope: envelope(),
      alg,
      algorithm: algorithm(),
      kid,
      client: record,
      now,
      rules,
    })
    return proof.kid === undefined ? undefined : `the key ${proof.kid}`
  })

  const failed = checks.find(({ outcome }) => outcome === 'failed')
  const skipped = checks.some(({ outcome }) => outcome === 'skipped')
  return {
    verdict: failed ? 'refused' : skipped ? 'undecided' : 'accepted',
    reason: failed?.reason,
    checks,
    header: told.envelope?.header,
    claims: told.envelope?.claims,
  }
}
