import { createHmac, KeyObject, sign } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import {
  type AssertionContext,
  type AssertionVerifier,
  type AssertionVerifierOptions,
  createAssertionVerifier,
} from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { OAuthError, type Reason } from '../../lib/errors.ts'
import type { ReplayRegister } from '../../lib/replay_register.ts'

/** The moment at which the clocks of tests stand, in epoch seconds. */
export const NOW = 1_800_000_000
export const ISSUER = 'https://as.example.com'
export const TOKEN_ENDPOINT = 'https://as.example.com/token'
export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
export const CLIENT_ID = 'client-1'

/** A key pair: what signs, and what a client registers. */
export interface TestKey {
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: Record<string, unknown>
  readonly privateJwk: Record<string, unknown>
}

const pairs = new Map<string, Promise<TestKey>>()

/** A new key for an algorithm. `kid` is left out unless given. */
export async function newKey(alg: string, kid?: string, modulusLength?: number): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, {
    extractable: true,
    ...(modulusLength === undefined ? {} : { modulusLength }),
  })
  const named = kid === undefined ? {} : { kid }
  return {
    alg,
    privateKey: KeyObject.from(privateKey),
    jwk: { ...(await exportJWK(publicKey)), ...named },
    privateJwk: { ...(await exportJWK(privateKey)), ...named },
  }
}

/** The key of this name that all tests of a file share; making one may take a while. */
export function sharedKey(alg: string, name = ''): Promise<TestKey> {
  const known = pairs.get(alg + name)
  if (known !== undefined) return known
  const pair = newKey(alg)
  pairs.set(alg + name, pair)
  return pair
}

export const base64url = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url')

/** The signature or MAC over any text, by any key; the key need not fit what the header says. */
export function signatureOver(input: string, alg: string, key: KeyObject | string | Uint8Array): Buffer {
  if (!(key instanceof KeyObject))
    return createHmac(`sha${alg.slice(2)}`, key)
      .update(input)
      .digest()
  const data = Buffer.from(input)
  if (alg === 'EdDSA' || alg === 'Ed25519' || alg.startsWith('ML-DSA')) return sign(null, data, key)
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('ES')) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })
  return alg.startsWith('PS') ? sign(hash, data, { key, padding: 6, saltLength: -1 }) : sign(hash, data, key)
}

/** A compact JWS over exactly these texts, well-formed or not. */
export function jws(
  header: string,
  payload: string | Uint8Array,
  alg: string,
  key: KeyObject | string | Uint8Array,
): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${base64url(signatureOver(input, alg, key))}`
}

let count = 0

/** Claims of a sound assertion at `NOW`, with what a test changes; `undefined` takes a member out. */
export const claimsOf = (changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  iss: CLIENT_ID,
  sub: CLIENT_ID,
  aud: ISSUER,
  iat: NOW,
  exp: NOW + 60,
  jti: `jti-${++count}`,
  ...changes,
})

/** An assertion of a key, sound except for what is changed. */
export const assertionBy = (
  key: TestKey,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string => jws(JSON.stringify({ alg: key.alg, ...header }), JSON.stringify(claimsOf(claims)), key.alg, key.privateKey)

/** An assertion with a MAC, sound except for what is changed. */
export const assertionWith = (
  secret: string | Uint8Array,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string => {
  const alg = typeof header.alg === 'string' ? header.alg : 'HS256'
  return jws(JSON.stringify({ alg, ...header }), JSON.stringify(claimsOf(claims)), alg, secret)
}

/** The form parameters that carry an assertion. */
export const formWith = (assertion: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  grant_type: 'client_credentials',
  client_assertion_type: ASSERTION_TYPE,
  client_assertion: assertion,
  ...more,
})

/** What was asked of a register. */
export interface Remembered {
  readonly issuer: string
  readonly clientId: string
  readonly jti: string
  readonly expiresAt: number
}

/** A replay register that never forgets and shows what it was asked. Answers later, as a remote one does. */
export function testRegister(): ReplayRegister & { readonly remembered: readonly Remembered[] } {
  const remembered: Remembered[] = []
  const known = new Set<string>()
  return {
    remembered,
    async remember(issuer, clientId, jti, expiresAt) {
      await undefined
      remembered.push({ issuer, clientId, jti, expiresAt })
      const key = JSON.stringify([issuer, clientId, jti])
      if (known.has(key)) return false
      known.add(key)
      return true
    },
  }
}

/** What came of it: `accepted`, or the reason of the refusal. Anything that is no refusal is thrown on. */
export async function outcomeOf(authenticated: Promise<unknown>): Promise<'accepted' | Reason | undefined> {
  try {
    await authenticated
    return 'accepted'
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}

/** The refusal itself. */
export async function refusalOf(authenticated: Promise<unknown>): Promise<OAuthError> {
  try {
    await authenticated
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
  throw new Error('expected a refusal, the client was authenticated')
}

type VerifierOptions = Partial<AssertionVerifierOptions>

/** A client with one ES256 key, a verifier that knows it, and a short way to ask what an assertion comes to. */
export interface Scene {
  readonly key: TestKey
  readonly client: Client
  readonly register: ReturnType<typeof testRegister>
  readonly verify: AssertionVerifier
  /** The outcome for an assertion of the client's key with these changes. */
  outcome(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
    context?: AssertionContext,
  ): Promise<string | undefined>
  /** The outcome for any text in place of the assertion. */
  outcomeOfText(assertion: string): Promise<string | undefined>
}

/** A scene with an ES256 client. What is given of record and options takes the place of the usual. */
export async function scene(
  options: VerifierOptions = {},
  record: Readonly<Record<string, unknown>> = {},
  alg = 'ES256',
): Promise<Scene> {
  const key = await sharedKey(alg)
  const client = {
    client_id: CLIENT_ID,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [key.jwk] },
    ...record,
  } as Client
  const register = testRegister()
  const verify = createAssertionVerifier({
    issuer: ISSUER,
    tokenEndpoint: TOKEN_ENDPOINT,
    findClient: (id) => (id === client.client_id ? client : undefined),
    replayRegister: register,
    clock: () => NOW,
    ...options,
  })
  return {
    key,
    client,
    register,
    verify,
    outcome: (claims, header, context) => outcomeOf(verify(formWith(assertionBy(key, claims, header)), context)),
    outcomeOfText: (assertion) => outcomeOf(verify(formWith(assertion))),
  }
}

export const SECRET = 'a secret of sixty-four octets, which is enough for any MAC: 1234'

/** A scene with a client that makes MACs. */
export async function macScene(
  options: VerifierOptions = {},
  record: Readonly<Record<string, unknown>> = {},
): Promise<
  Omit<Scene, 'key' | 'outcome'> & {
    outcome: (secret?: string | Uint8Array, claims?: object, header?: object) => Promise<string | undefined>
  }
> {
  const base = await scene(options, {
    token_endpoint_auth_method: 'client_secret_jwt',
    jwks: undefined,
    client_secret: SECRET,
    ...record,
  })
  return {
    ...base,
    outcome: (secret = SECRET, claims = {}, header = {}) =>
      outcomeOf(base.verify(formWith(assertionWith(secret, { ...claims }, { ...header })))),
  }
}
