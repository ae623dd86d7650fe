// The floor: what a token endpoint on Express costs when it does nothing but the one check it can not do without.
// Express 5, express.urlencoded, one synchronous node:crypto check with a prepared key, a Map of assertion ids, one
// random token. It is no OAuth server: hardly any rule is checked. The variant `node` is the same on bare node:http.
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import express from 'express'
import { CHALLENGE, ISSUER, RESOURCE } from '../setting.ts'
import { serve } from './serve.ts'

serve(({ clients, seeds, tokens, tokenKey }, variant) => {
  const secrets = new Map<string, Buffer>()
  const keys = new Map<string, KeyObject>()
  for (const { client_id, client_secret, jwks } of clients) {
    if (typeof client_secret === 'string') secrets.set(client_id, Buffer.from(client_secret))
    const jwk = typeof jwks === 'object' ? jwks.keys[0] : undefined
    if (jwk !== undefined) keys.set(client_id, createPublicKey({ key: jwk as never, format: 'jwk' }))
  }
  const jtis = new Map<string, number>()
  const issued = new Map<string, string>()
  const once = new Set<string>(Array.from({ length: seeds }, () => randomBytes(32).toString('base64url')))
  const privateKey = createPrivateKey({ key: tokenKey, format: 'jwk' })

  const checkSignature = (clientId: string, alg: string, data: string, signature: string): boolean => {
    const octets = Buffer.from(signature, 'base64url')
    if (alg === 'HS256') {
      const expected = createHmac('sha256', secrets.get(clientId) ?? '')
        .update(data)
        .digest()
      return expected.length === octets.length && timingSafeEqual(expected, octets)
    }
    const key = keys.get(clientId)
    if (key === undefined) return false
    if (alg === 'ES256') return verify('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, octets)
    return verify(alg === 'EdDSA' ? undefined : 'sha256', Buffer.from(data), key, octets)
  }

  const checkAssertion = (assertion: string): string | undefined => {
    const [header = '', payload = '', signature = ''] = assertion.split('.')
    const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString())
    const { sub, jti, aud, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    if (aud !== ISSUER || exp < Date.now() / 1000 || jtis.has(jti)) return undefined
    if (!checkSignature(sub, alg, `${header}.${payload}`, signature)) return undefined
    jtis.set(jti, exp)
    return sub
  }

  const checkBasic = (authorization: string): string | undefined => {
    const [id = '', secret = ''] = Buffer.from(authorization.slice(6), 'base64').toString().split(':')
    const expected = secrets.get(id)
    const given = Buffer.from(secret)
    return expected?.length === given.length && timingSafeEqual(expected, given) ? id : undefined
  }

  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const accessToken = (clientId: string): string => {
    if (tokens === 'opaque') return randomBytes(32).toString('base64url')
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: ISSUER,
      sub: clientId,
      aud: RESOURCE,
      iat: now,
      exp: now + 900,
      jti: randomBytes(16).toString('base64url'),
    }
    const data = `${encode({ alg: 'ES256', typ: 'at+jwt' })}.${encode(claims)}`
    return `${data}.${sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }

  type Body = Readonly<Record<string, string | undefined>>
  /** The JSON of a token response, or `undefined` for a refusal. */
  const answerTo = (body: Body, authorization = ''): string | undefined => {
    const { grant_type, client_assertion, refresh_token = '', code = '', code_verifier = '' } = body
    const client = client_assertion === undefined ? checkBasic(authorization) : checkAssertion(client_assertion)
    if (client === undefined) return undefined
    if (grant_type === 'refresh_token' && !once.delete(refresh_token)) return undefined
    if (grant_type === 'authorization_code') {
      if (createHash('sha256').update(code_verifier).digest('base64url') !== CHALLENGE) return undefined
      if (!once.delete(code)) return undefined
    }
    const access_token = accessToken(client)
    if (tokens === 'opaque') issued.set(access_token, client)
    const answer: Record<string, unknown> = { access_token, token_type: 'Bearer', expires_in: 900 }
    if (grant_type !== 'client_credentials') {
      const next = randomBytes(32).toString('base64url')
      once.add(next)
      answer['refresh_token'] = next
    }
    return JSON.stringify(answer)
  }
  const send = (response: ServerResponse, json: string | undefined): void => {
    const text = json ?? '{"error":"invalid_request"}'
    response.statusCode = json === undefined ? 400 : 200
    response.setHeader('Content-Type', 'application/json')
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Content-Length', Buffer.byteLength(text))
    response.end(text)
  }

  if (variant === 'node') {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()))
        send(response, answerTo(body, request.headers.authorization))
      })
    })
    return { server, seeds: [...once] }
  }
  const app = express()
  app.disable('x-powered-by')
  app.use(express.urlencoded({ extended: false }))
  app.post('/token', (request, response) => send(response, answerTo(request.body, request.headers.authorization)))
  return { server: createServer(app), seeds: [...once] }
})
