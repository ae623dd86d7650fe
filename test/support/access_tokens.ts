import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export const ISSUER = 'https://as.example'
export const RESOURCE = 'https://api.example/mcp'
/** The time of the tests, epoch seconds. */
export const NOW = 1_800_000_000

/** An authorization server as a resource server sees it: a key set, and signed tokens. */
export interface Issuer {
  readonly jwks: { keys: JWK[] }
  /** A good token, with claims and header members added or, where they are `undefined`, left out. */
  sign(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
}

const without = <T extends object>(members: T): T =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T

export const GOOD_CLAIMS = {
  iss: ISSUER,
  sub: 'alice',
  aud: RESOURCE,
  client_id: 'app',
  jti: 'token-1',
  iat: NOW,
  exp: NOW + 300,
  scope: 'read write',
}

/** `kid` is the name of its one key. */
export async function createIssuer(alg = 'ES256', kid = 'k1'): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg }
  return {
    jwks: { keys: [jwk] },
    sign: (claims = {}, header = {}) => signWith(privateKey, { alg, kid, ...header }, claims),
  }
}

/** A token of any key. */
export const signWith = (
  key: CryptoKey | Uint8Array,
  header: Record<string, unknown>,
  claims: Record<string, unknown> = {},
): Promise<string> =>
  new SignJWT(without({ ...GOOD_CLAIMS, ...claims }))
    .setProtectedHeader(without({ typ: 'at+jwt', ...header }) as unknown as { alg: string })
    .sign(key)

/** A token of these parts, whatever they are, with a signature that is none. */
export const textOf = (header: unknown, claims: unknown): string =>
  [header, claims]
    .map((part) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url'))
    .concat(Buffer.alloc(64, 1).toString('base64url'))
    .join('.')
