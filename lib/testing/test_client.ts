import { KeyObject } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import type { Client, FindClient, JwkSet } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { timeOf } from '../hooks.ts'
import { newIdentifier } from '../identifier.ts'
import { requireIssuer } from '../issuer.ts'
import { type Algorithm, algorithmNamed } from '../keys/algorithms.ts'
import { macOf, signatureOf } from '../keys/signature.ts'
import { badOption, checkOptions, optionNames, requireFunction } from '../options.ts'

/** The value of `client_assertion_type` for a JWT (RFC 7523 §2.2). */
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** The options of `createTestClient`. */
export interface TestClientOptions {
  /** The issuer identifier of the server under test. It is the `aud` of the assertions, unless you override it. */
  readonly issuer: string
  /** The `client_id`, `iss` and `sub`. Default: the `client_id` of `client`, or `'test-client'`. */
  readonly clientId?: string | undefined
  /**
   * The signature algorithm. Default `'ES256'`. With `HS256`, `HS384` or `HS512`, the client has a random secret of 64
   * bytes and the method `client_secret_jwt`. With any other algorithm, it has a key pair and the method
   * `private_key_jwt`.
   */
  readonly alg?: string | undefined
  /** Members that are added to the client record, or replace its members: `grant_types`, `scope`, `redirect_uris`, … */
  readonly client?: Partial<Client> | undefined
  /** Returns the current time in epoch seconds, for `iat`. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** Values that replace the valid ones in an assertion. */
export interface AssertionOverrides {
  /** The `aud` of the assertion. Default: the issuer. */
  readonly audience?: unknown
  /** Seconds from `iat` to `exp`. Default 60. */
  readonly lifetimeSeconds?: number | undefined
  /** The `iat` of the assertion, in epoch seconds. Default: the time of the option `clock`. */
  readonly now?: number | undefined
  /** Claims that replace the valid ones, with any JSON values. A claim that is `undefined` is left out. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** Header members that replace `alg`, `kid` and `typ`, or are added. A member that is `undefined` is left out. */
  readonly header?: Readonly<Record<string, unknown>> | undefined
  /** Whether to sign with a new key or secret that is not in the client record. Default `false`. */
  readonly foreignKey?: boolean | undefined
}

/** The form parameters that authenticate a client (RFC 7521 §4.2). */
export interface AssertionParameters {
  /** The type of the assertion (RFC 7523 §2.2). */
  readonly client_assertion_type: string
  /** The signed assertion. */
  readonly client_assertion: string
}

/** A client with its key, for tests of a server that accepts client assertions. */
export interface TestClient {
  /** The client identifier. */
  readonly client_id: string
  /** The client record to register. It contains the public key, or the secret for a MAC algorithm. */
  readonly client: Client
  /** The public keys; empty for a MAC algorithm. */
  readonly jwks: JwkSet
  /** The private key as a JWK; `undefined` for a MAC algorithm. */
  readonly privateJwk: Readonly<Record<string, unknown>> | undefined
  /** Returns the record of this client, and `undefined` for any other `client_id`. */
  readonly findClient: FindClient
  /**
   * Returns a signed assertion that is valid except for the overrides. Each call uses a new `jti`. Rejects with a
   * `TypeError` if an override is unknown.
   */
  assertion(overrides?: AssertionOverrides): Promise<string>
  /** Returns form parameters with such an assertion, without `client_id`. */
  parameters(overrides?: AssertionOverrides): Promise<AssertionParameters>
}

interface Signer {
  readonly client: Partial<Client>
  readonly kid: string | undefined
  readonly jwks: JwkSet
  readonly privateJwk: Readonly<Record<string, unknown>> | undefined
  /** Over the bytes that are signed (RFC 7515 §5.1). Signed here and not by jose, which refuses unsound headers. */
  sign(input: string): Buffer
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function macSigner(algorithm: Algorithm): Signer {
  const secret = newIdentifier(64)
  return {
    client: { client_secret: secret, token_endpoint_auth_method: 'client_secret_jwt' },
    kid: undefined,
    jwks: { keys: [] },
    privateJwk: undefined,
    sign: (input) => macOf(input, algorithm, secret),
  }
}

async function keySigner(alg: string, algorithm: Algorithm): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const named = { kid: newIdentifier(8), alg, use: 'sig' }
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), ...named }] }
  const key = KeyObject.from(privateKey)
  return {
    client: { jwks, token_endpoint_auth_method: 'private_key_jwt' },
    kid: named.kid,
    jwks,
    privateJwk: { ...(await exportJWK(privateKey)), ...named },
    sign: (input) => signatureOf(input, algorithm, key),
  }
}

async function signerFor(alg: string): Promise<Signer> {
  const algorithm = algorithmNamed(alg)
  if (algorithm === undefined) throw badOption('alg', 'the name of a JOSE algorithm', alg)
  return algorithm.kind === 'mac' ? macSigner(algorithm) : keySigner(alg, algorithm)
}

/** The one id of the client. It may be given as an option, in the record, or as both if they agree. */
function clientIdOf({ clientId, client }: TestClientOptions): string {
  const id = clientId ?? client?.client_id ?? 'test-client'
  if (typeof id !== 'string' || id === '') throw badOption('clientId', 'a non-empty string', id)
  if (client?.client_id !== undefined && client.client_id !== id)
    throw badOption('client.client_id', `the clientId ${JSON.stringify(id)}, or absent`, client.client_id)
  return id
}

const NAMES = optionNames<TestClientOptions>({ issuer: true, clientId: true, alg: true, client: true, clock: true })

const OVERRIDES = optionNames<AssertionOverrides>({
  audience: true,
  lifetimeSeconds: true,
  now: true,
  claims: true,
  header: true,
  foreignKey: true,
})

/**
 * Creates a client with a new key or secret, its client record, and a function that signs valid assertions. You can
 * override any part of an assertion to make it invalid.
 *
 * Use it only in tests: the key is in memory, and the private key is readable. It does not connect to any server.
 *
 * @throws TypeError if `issuer` is missing or `alg` is unknown
 *
 * @example
 * ```ts
 * import { createTestClient } from 'passport-client-assertion-jwt/testing'
 *
 * const client = await createTestClient({ issuer, clock, alg: 'PS256', client: { scope: 'read' } })
 * ```
 */
export async function createTestClient(options: TestClientOptions): Promise<TestClient> {
  checkOptions('createTestClient', options, NAMES)
  const { alg = 'ES256', clock = systemClock } = options
  requireFunction('clock', clock)
  if (options.client !== undefined && (typeof options.client !== 'object' || options.client === null))
    throw badOption('client', 'an object with members of a client record', options.client)
  const issuer = requireIssuer(options.issuer)
  const clientId = clientIdOf(options)
  const signer = await signerFor(alg)
  const client: Client = { ...signer.client, ...options.client, client_id: clientId }

  const assertion = async (overrides: AssertionOverrides = {}): Promise<string> => {
    checkOptions('assertion', overrides, OVERRIDES)
    const iat = overrides.now ?? timeOf(clock)
    const signedBy = overrides.foreignKey === true ? await signerFor(alg) : signer
    const header = { alg, kid: signer.kid, typ: 'client-authentication+jwt', ...overrides.header }
    const claims = {
      iss: clientId,
      sub: clientId,
      aud: 'audience' in overrides ? overrides.audience : issuer,
      jti: newIdentifier(16),
      iat,
      exp: iat + (overrides.lifetimeSeconds ?? 60),
      ...overrides.claims,
    }
    const input = `${base64url(header)}.${base64url(claims)}`
    return `${input}.${signedBy.sign(input).toString('base64url')}`
  }

  return {
    client_id: clientId,
    client,
    jwks: signer.jwks,
    privateJwk: signer.privateJwk,
    findClient: (id) => (id === clientId ? client : undefined),
    assertion,
    parameters: async (overrides) => ({
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await assertion(overrides),
    }),
  }
}
