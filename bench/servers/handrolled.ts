// The stack of today, put together by hand: passport, passport-http, a small strategy on jose, oauth2orize.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import { decodeJwt, importJWK, jwtVerify, SignJWT } from 'jose'
import oauth2orize from 'oauth2orize'
import passport from 'passport'
import { BasicStrategy } from 'passport-http'
import type { Client } from '../../lib/client.ts'
import { createExpressServer as createFastServer } from '../../lib/hosts/express.ts'
import { CHALLENGE, ISSUER, REDIRECT_URI, RESOURCE, SUBJECT } from '../setting.ts'
import { serve } from './serve.ts'

type Done = oauth2orize.ExchangeDoneFunction
type VerificationKey = Awaited<ReturnType<typeof importJWK>>

class AssertionStrategy extends passport.Strategy {
  override name = 'assertion'
  readonly find: (id: string) => { client: Client; key: VerificationKey } | undefined
  readonly jtis = new Map<string, number>()
  constructor(find: AssertionStrategy['find']) {
    super()
    this.find = find
  }
  override async authenticate(
    this: AssertionStrategy & passport.StrategyCreatedStatic,
    request: express.Request,
  ): Promise<void> {
    const { success, fail, error } = this
    try {
      const assertion = request.body?.client_assertion
      if (typeof assertion !== 'string') return fail({ message: 'no assertion' }, 400)
      const found = this.find(String(decodeJwt(assertion).sub))
      if (found === undefined) return fail({ message: 'unknown client' }, 400)
      const { payload } = await jwtVerify(assertion, found.key, {
        issuer: found.client.client_id,
        subject: found.client.client_id,
        audience: ISSUER,
        requiredClaims: ['jti', 'exp'],
      })
      const jti = String(payload.jti)
      if (this.jtis.has(jti)) return fail({ message: 'replayed' }, 400)
      this.jtis.set(jti, Number(payload.exp))
      success(found.client as never)
    } catch (cause) {
      error(cause)
    }
  }
}

serve(async ({ clients, grant, method, seeds, tokens, tokenKey }, variant) => {
  const records = new Map<string, { client: Client; key: VerificationKey }>()
  for (const client of clients) {
    const jwk =
      typeof client.jwks === 'object'
        ? client.jwks.keys[0]
        : { kty: 'oct', k: Buffer.from(String(client.client_secret)).toString('base64url') }
    const alg = client.token_endpoint_auth_signing_alg ?? 'HS256'
    // A CryptoKey, made once: for HMAC, jose imports an octet key at every check.
    const key =
      jwk?.['kty'] === 'oct'
        ? await crypto.subtle.importKey('jwk', jwk as never, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
        : await importJWK(jwk as never, alg)
    records.set(client.client_id, { client, key: key as VerificationKey })
  }
  const signingKey = await importJWK(tokenKey as never, 'ES256')
  const issued = new Map<string, string>()
  const refreshTokens = new Map<string, { clientId: string; subject: string }>()
  const codes = new Map<string, { clientId: string; subject: string; redirectUri: string; challenge: string }>()
  const made = Array.from({ length: seeds }, () => randomBytes(32).toString('base64url'))
  for (const seed of made) {
    if (grant === 'refresh_token') refreshTokens.set(seed, { clientId: method, subject: SUBJECT })
    else codes.set(seed, { clientId: method, subject: SUBJECT, redirectUri: REDIRECT_URI, challenge: CHALLENGE })
  }

  const accessToken = async (subject: string): Promise<string> => {
    if (tokens === 'jwt')
      return new SignJWT({ client_id: method, scope: 'read' })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'tokens' })
        .setIssuer(ISSUER)
        .setSubject(subject)
        .setAudience(RESOURCE)
        .setJti(randomBytes(16).toString('base64url'))
        .setIssuedAt()
        .setExpirationTime('15m')
        .sign(signingKey)
    const token = randomBytes(32).toString('base64url')
    issued.set(token, subject)
    return token
  }
  const refreshToken = (clientId: string, subject: string): string => {
    const token = randomBytes(32).toString('base64url')
    refreshTokens.set(token, { clientId, subject })
    return token
  }

  const server = oauth2orize.createServer()
  server.exchange(
    oauth2orize.exchange.clientCredentials((client: Client, _scope: string[], done: Done) => {
      accessToken(client.client_id).then((token) => done(null, token, undefined, { expires_in: 900 }), done)
    }),
  )
  server.exchange(
    oauth2orize.exchange.refreshToken((client: Client, token: string, _scope: string[], done: Done) => {
      const record = refreshTokens.get(token)
      if (record === undefined || record.clientId !== client.client_id) return done(null, false)
      refreshTokens.delete(token)
      accessToken(record.subject).then(
        (next) => done(null, next, refreshToken(client.client_id, record.subject), { expires_in: 900 }),
        done,
      )
    }),
  )
  server.exchange(
    oauth2orize.exchange.code(
      (client: Client, code: string, redirectUri: string, body: Record<string, unknown>, done: Done) => {
        const record = codes.get(code)
        if (record === undefined || record.clientId !== client.client_id || record.redirectUri !== redirectUri)
          return done(null, false)
        if (createHash('sha256').update(String(body['code_verifier'])).digest('base64url') !== record.challenge)
          return done(null, false)
        codes.delete(code)
        accessToken(record.subject).then(
          (next) => done(null, next, refreshToken(client.client_id, record.subject), { expires_in: 900 }),
          done,
        )
      },
    ),
  )
  passport.use(
    new BasicStrategy((id, secret, done) => {
      const expected = Buffer.from(String(records.get(id)?.client.client_secret))
      const given = Buffer.from(secret)
      done(
        null,
        expected.length === given.length && timingSafeEqual(expected, given)
          ? (records.get(id)?.client ?? false)
          : false,
      )
    }),
  )
  passport.use(new AssertionStrategy((id) => records.get(id)))

  const app = express()
  app.disable('x-powered-by')
  app.use(passport.initialize())
  app.post(
    '/token',
    express.urlencoded({ extended: false }),
    passport.authenticate(['basic', 'assertion'], { session: false }),
    server.token(),
    server.errorHandler(),
  )
  return { server: variant === 'helper' ? createFastServer(app) : createServer(app), seeds: made }
})
