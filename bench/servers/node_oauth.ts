// @node-oauth/oauth2-server on Express 5. It knows no client assertions, so it takes part for Basic only.
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import OAuth2Server from '@node-oauth/oauth2-server'
import express from 'express'
import { CHALLENGE, REDIRECT_URI, SUBJECT } from '../setting.ts'
import { serve } from './serve.ts'

serve(({ clients, grant, method, seeds }) => {
  const records = new Map(
    clients.map((client) => [
      client.client_id,
      {
        id: client.client_id,
        secret: String(client.client_secret),
        grants: ['client_credentials', 'authorization_code', 'refresh_token'],
        redirectUris: [REDIRECT_URI],
      },
    ]),
  )
  const accessTokens = new Map<string, OAuth2Server.Token>()
  const refreshTokens = new Map<string, OAuth2Server.RefreshToken>()
  const codes = new Map<string, OAuth2Server.AuthorizationCode>()
  const client = records.get(method) ?? { id: '', grants: [] }
  const made = Array.from({ length: seeds }, () => randomBytes(32).toString('base64url'))
  const expiry = new Date(Date.now() + 86_400_000)
  for (const seed of made) {
    if (grant === 'refresh_token')
      refreshTokens.set(seed, {
        refreshToken: seed,
        refreshTokenExpiresAt: expiry,
        client,
        user: { id: SUBJECT },
        scope: ['read'],
      })
    else
      codes.set(seed, {
        authorizationCode: seed,
        expiresAt: expiry,
        redirectUri: REDIRECT_URI,
        client,
        user: { id: SUBJECT },
        scope: ['read'],
        codeChallenge: CHALLENGE,
        codeChallengeMethod: 'S256',
      })
  }
  const server = new OAuth2Server({
    model: {
      getClient: async (id: string, secret: string | null) => {
        const record = records.get(id)
        return record !== undefined && (secret === null || secret === record.secret) ? record : undefined
      },
      getUserFromClient: async () => ({ id: SUBJECT }),
      saveToken: async (token: OAuth2Server.Token, owner: OAuth2Server.Client, user: OAuth2Server.User) => {
        const saved = { ...token, client: owner, user }
        accessTokens.set(token.accessToken, saved)
        if (token.refreshToken !== undefined) refreshTokens.set(token.refreshToken, saved as OAuth2Server.RefreshToken)
        return saved
      },
      getAccessToken: async (token: string) => accessTokens.get(token),
      getRefreshToken: async (token: string) => refreshTokens.get(token),
      revokeToken: async (token: OAuth2Server.RefreshToken) => refreshTokens.delete(token.refreshToken),
      getAuthorizationCode: async (code: string) => codes.get(code),
      revokeAuthorizationCode: async (code: OAuth2Server.AuthorizationCode) => codes.delete(code.authorizationCode),
      saveAuthorizationCode: async () => undefined as never,
      validateScope: async () => ['read'],
      // Its own default makes two pool hops for each token: createHash over the callback form of randomBytes.
      generateAccessToken: async () => createHash('sha256').update(randomBytes(32)).digest('hex'),
      generateRefreshToken: async () => createHash('sha256').update(randomBytes(32)).digest('hex'),
    } as never,
    accessTokenLifetime: 900,
    alwaysIssueNewRefreshToken: true,
  })
  const app = express()
  app.disable('x-powered-by')
  app.use(express.urlencoded({ extended: false }))
  app.post('/token', (request, response) => {
    const answer = new OAuth2Server.Response(response)
    server.token(new OAuth2Server.Request(request as never), answer).then(
      () =>
        response
          .set(answer.headers as Record<string, string>)
          .status(answer.status ?? 200)
          .json(answer.body),
      (error) => response.status(error.code ?? 500).json({ error: error.name, error_description: error.message }),
    )
  })
  return { server: createServer(app), seeds: made }
})
