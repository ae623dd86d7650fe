import { createHash } from 'node:crypto'
import { refusal } from '../errors.ts'
import { algorithmNamed } from '../keys/algorithms.ts'
import { createPublicKeys } from '../keys/public_keys.ts'
import { badOption, booleanOption, checkOptions, optionNames, requireVerbs, wholeNumber } from '../options.ts'
import { isFirstUse, type ReplayRegister } from '../replay_register.ts'
import { readServerSecrets } from '../server_secrets.ts'
import { checkProof, type DpopProof, type DpopRequest, type ProofRules } from './dpop_proof.ts'
import { normalizeUrl } from './htu.ts'
import { createNonces } from './nonces.ts'

/** The options of `createDpop`. */
export interface DpopOptions {
  /**
   * The URL of the token endpoint, as in your metadata. The `htu` of a proof is compared with it, never with the `Host`
   * header.
   */
  readonly tokenEndpoint: string
  /** Remembers which proofs were used. You can pass the replay register that client assertions use. */
  readonly replayRegister: ReplayRegister
  /**
   * Whether requests without a proof are refused. Default `false`: these requests get bearer tokens, unless the client
   * record has `dpop_bound_access_tokens`.
   */
  readonly required?: boolean | undefined
  /**
   * The JOSE algorithms that proofs may use, in the order of the metadata. Default `['ES256', 'EdDSA', 'PS256',
   * 'RS256']`.
   */
  readonly algorithms?: readonly string[] | undefined
  /** Seconds after its `iat` for which a proof is accepted, 10 to 600. Default 60. */
  readonly proofLifetimeSeconds?: number | undefined
  /**
   * If set, every proof must contain a nonce from this server (RFC 9449 §8). A random secret of at least 32 bytes, the
   * same on every node. With several secrets, the first one creates nonces, and nonces of all secrets are accepted
   * (rotation). Default: no nonces.
   */
  readonly nonceSecret?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
}

const NAMES = optionNames<DpopOptions>({
  tokenEndpoint: true,
  replayRegister: true,
  required: true,
  algorithms: true,
  proofLifetimeSeconds: true,
  nonceSecret: true,
})

/** Checks DPoP proofs (RFC 9449). Pass it to endpoints as the option `dpop`. */
export interface Dpop {
  /** The accepted algorithms. The metadata publishes them as `dpop_signing_alg_values_supported`. */
  readonly algorithms: readonly string[]
  /** Whether requests without a proof are refused. */
  readonly isRequired: boolean
  /** The URL of the token endpoint. Proofs of token requests must have it as `htu`. */
  readonly tokenEndpoint: string
  /**
   * Returns the nonce for the `DPoP-Nonce` header, or `undefined` if proofs need no nonce. `now` is in epoch seconds.
   */
  getNonce(now: number): string | undefined
  /**
   * Checks everything about a proof except whether it was used before. It uses no store. `proof` is the value of the
   * `DPoP` header. Rejects with `invalid_dpop_proof`, or with `use_dpop_nonce` and the `DPoP-Nonce` header.
   */
  checkProof(proof: unknown, request: DpopRequest): Promise<DpopProof>
  /**
   * Marks a proof as used; call it as the last step. Rejects with `invalid_dpop_proof` if the proof was used before,
   * and with 503 if the replay register fails.
   */
  spendProof(proof: DpopProof): Promise<void>
}

/** The default of `algorithms`. `EdDSA` stands for `Ed25519`, its other name (RFC 9864), as well. */
const ALGORITHMS: readonly string[] = ['ES256', 'EdDSA', 'PS256', 'RS256']

const DEFAULT_LIFETIME_SECONDS = 60
/** Keys that were imported and are kept. They come from unauthenticated requests, so that the others are not displaced. */
const MOST_KEYS = 1000
/** The first part of the entries in the replay register: `#` tells them from those of assertions, which begin with an issuer. */
const NAMESPACE = '#dpop'

function readAlgorithms(given: readonly string[] = ALGORITHMS): readonly string[] {
  const isUsable = (alg: unknown): boolean => {
    const algorithm = typeof alg === 'string' ? algorithmNamed(alg) : undefined
    return algorithm?.kind === 'signature' && algorithm.kty !== 'AKP' && algorithm.inAssertions !== 'never'
  }
  if (!Array.isArray(given) || given.length === 0 || !given.every(isUsable))
    throw badOption('algorithms', 'a non-empty array of asymmetric JOSE algorithms', given)
  return Object.freeze([...new Set(given)])
}

/**
 * Creates the checker of DPoP proofs (RFC 9449). Pass it to `createTokenEndpoint` as the option `dpop`:
 *
 * ```ts
 * const dpop = createDpop({ tokenEndpoint: 'https://as.example/token', replayRegister })
 * const token = createTokenEndpoint({ findClient, exchanges, dpop })
 * ```
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createDpop } from 'passport-client-assertion-jwt/dpop'
 *
 * const dpop = createDpop({ tokenEndpoint, replayRegister, required: true, algorithms: ['ES256', 'EdDSA', 'PS256'] })
 * ```
 */
export function createDpop(options: DpopOptions): Dpop {
  checkOptions('createDpop', options, NAMES)
  const { tokenEndpoint, replayRegister, nonceSecret } = options
  if (typeof tokenEndpoint !== 'string' || normalizeUrl(tokenEndpoint) === undefined)
    throw badOption('tokenEndpoint', 'the URL of the token endpoint', tokenEndpoint)
  requireVerbs('replayRegister', replayRegister, ['remember'])
  const isRequired = booleanOption('required', options.required, false)
  const algorithms = readAlgorithms(options.algorithms)
  const lifetimeSeconds = wholeNumber(
    'proofLifetimeSeconds',
    options.proofLifetimeSeconds,
    DEFAULT_LIFETIME_SECONDS,
    10,
    600,
  )
  const nonces = nonceSecret === undefined ? undefined : createNonces(readServerSecrets('nonceSecret', nonceSecret))
  const rules: ProofRules = {
    algorithms,
    lifetimeSeconds,
    publicKeys: createPublicKeys(MOST_KEYS),
    checkNonce:
      nonces &&
      ((nonce, now) => {
        if (typeof nonce === 'string' && nonces.isAccepted(nonce, now)) return
        throw refusal('dpop_nonce_required', {
          detail: nonce === undefined ? 'the proof has no nonce' : 'the nonce is unknown or too old',
          headers: { 'DPoP-Nonce': nonces.current(now) },
        })
      }),
  }

  return {
    algorithms,
    isRequired,
    tokenEndpoint,
    getNonce: (now) => nonces?.current(now),
    checkProof: (proof, request) => checkProof(proof, request, rules),
    async spendProof({ thumbprint, jti, issuedAt, url }) {
      const id = createHash('sha256').update(`${url} ${jti}`).digest('base64url') // a URL has no space
      const expiresAt = Math.ceil(issuedAt) + lifetimeSeconds + 1
      if (await isFirstUse(replayRegister, NAMESPACE, thumbprint, id, expiresAt)) return
      throw refusal('dpop_proof_replayed', { detail: 'a proof with this jti was used before' })
    },
  }
}
