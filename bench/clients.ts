// The clients of the benchmark: one for each method, with keys made anew at each run.
import { createHmac, createPrivateKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import type { Client } from '../lib/client.ts'
import { ISSUER, type Method, populationClientId, REDIRECT_URI } from './setting.ts'

export interface Credentials {
  readonly method: Method
  readonly client: Client
  /** Signs `data`; not for Basic. */
  readonly privateJwk?: Readonly<Record<string, unknown>>
}

const ALG = { es256: 'ES256', rs256: 'RS256', eddsa: 'EdDSA', hs256: 'HS256' } as const

export async function makeCredentials(method: Method): Promise<Credentials> {
  const common = {
    client_id: method,
    redirect_uris: [REDIRECT_URI],
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    scope: 'read write',
  }
  if (method === 'basic') {
    const client = {
      ...common,
      client_secret: randomBytes(32).toString('base64url'),
      token_endpoint_auth_method: 'client_secret_basic',
    }
    return { method, client }
  }
  const token_endpoint_auth_signing_alg = ALG[method]
  if (method === 'hs256') {
    const client_secret = randomBytes(32).toString('base64url')
    const client = {
      ...common,
      client_secret,
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg,
    }
    return { method, client }
  }
  const { privateKey, publicKey } = await generateKeyPair(token_endpoint_auth_signing_alg, { extractable: true })
  const kid = `${method}-key`
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: token_endpoint_auth_signing_alg }
  const client = {
    ...common,
    jwks: { keys: [jwk] },
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg,
  }
  return { method, client, privateJwk: { ...(await exportJWK(privateKey)), kid } }
}

/** The private ES256 JWK with which the servers sign JWT access tokens. */
export async function makeTokenKey(): Promise<Readonly<Record<string, string>>> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...((await exportJWK(privateKey)) as Record<string, string>), kid: 'tokens', alg: 'ES256', use: 'sig' }
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

function signerOf({ method, client, privateJwk }: Credentials): (data: string) => Buffer {
  if (method === 'hs256') return (data) => createHmac('sha256', String(client.client_secret)).update(data).digest()
  const key: KeyObject = createPrivateKey({ key: privateJwk as never, format: 'jwk' })
  if (method === 'es256') return (data) => sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' })
  return (data) => sign(method === 'eddsa' ? undefined : 'sha256', Buffer.from(data), key)
}

const fields = (parameters: Readonly<Record<string, string>>): string => new URLSearchParams(parameters).toString()

/**
 * A maker of token requests, as bytes of HTTP/1.1, each with an assertion of its own. `spread` is the number of clients
 * they come from in turn.
 */
export function requestMaker(
  credentials: Credentials,
  spread: number,
): (parameters: Readonly<Record<string, string>>) => Buffer {
  const { method, client } = credentials
  const signed = method === 'basic' ? undefined : signerOf(credentials)
  const header =
    method === 'basic'
      ? ''
      : base64url(JSON.stringify({ alg: ALG[method], kid: credentials.privateJwk?.['kid'], typ: 'JWT' }))
  let made = 0
  return (parameters) => {
    // 7919 is prime: neighbours in time are far apart in the population
    const clientId = populationClientId(method, (made++ * 7919) % spread)
    let body: string
    let authorization = ''
    if (signed === undefined) {
      authorization = `Authorization: Basic ${Buffer.from(`${clientId}:${client.client_secret}`).toString('base64')}\r\n`
      body = fields(parameters)
    } else {
      const now = Math.floor(Date.now() / 1000)
      const claims = {
        iss: clientId,
        sub: clientId,
        aud: ISSUER,
        jti: randomBytes(16).toString('base64url'),
        iat: now,
        exp: now + 290,
      }
      const data = `${header}.${base64url(JSON.stringify(claims))}`
      body = fields({
        ...parameters,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `${data}.${signed(data).toString('base64url')}`,
      })
    }
    return Buffer.from(
      `POST /token HTTP/1.1\r\nHost: as.example\r\nContent-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n${authorization}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      'latin1',
    )
  }
}
