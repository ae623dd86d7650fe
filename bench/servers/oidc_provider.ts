// oidc-provider with private_key_jwt, client_secret_jwt and client_secret_basic clients, as its documentation sets it up.
// The adapters are those of oidc_adapters.ts.
import { createServer } from 'node:http'
import Provider, { type Configuration } from 'oidc-provider'
import { CHALLENGE, ISSUER, REDIRECT_URI, RESOURCE, SUBJECT } from '../setting.ts'
import { openAdapter } from './oidc_adapters.ts'
import { serve } from './serve.ts'

serve(async ({ clients, grant, method, seeds, store, tokens, tokenKey }) => {
  const resource = {
    scope: 'read write',
    audience: RESOURCE,
    accessTokenFormat: tokens,
    accessTokenTTL: 900,
    jwt: { sign: { alg: 'ES256' } },
  } as const
  const configuration: Configuration = {
    adapter: await openAdapter(store),
    clients: clients.map(
      ({ client_id, client_secret, jwks, token_endpoint_auth_method, token_endpoint_auth_signing_alg }) => ({
        client_id,
        token_endpoint_auth_method: token_endpoint_auth_method as 'private_key_jwt',
        ...(token_endpoint_auth_signing_alg === undefined
          ? {}
          : { token_endpoint_auth_signing_alg: token_endpoint_auth_signing_alg as 'ES256' }),
        ...(client_secret === undefined ? {} : { client_secret: String(client_secret) }),
        ...(jwks === undefined ? {} : { jwks: jwks as never }),
        redirect_uris: [REDIRECT_URI],
        response_types: ['code'],
        grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
        scope: 'offline_access read write',
        id_token_signed_response_alg: 'ES256',
      }),
    ),
    clientAuthMethods: ['private_key_jwt', 'client_secret_jwt', 'client_secret_basic'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'RS256', 'EdDSA', 'HS256'] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    jwks: { keys: [tokenKey] as never },
    cookies: { keys: ['benchmark'] },
    findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    rotateRefreshToken: () => true,
    pkce: { required: () => true },
    ttl: { AccessToken: 900, AuthorizationCode: 600, ClientCredentials: 900, Grant: 86400, RefreshToken: 86400 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: tokens === 'jwt',
        defaultResource: async () => RESOURCE,
        getResourceServerInfo: async () => resource,
        useGrantedResource: async () => true,
      },
    },
  }
  const provider = new Provider(ISSUER, configuration)
  const client = await provider.Client.find(method)
  if (client === undefined) throw new Error('no such client')
  const made: string[] = []
  for (let index = 0; grant !== 'client_credentials' && index < seeds; index++) {
    const permission = new provider.Grant({ clientId: method, accountId: SUBJECT })
    permission.addOIDCScope('offline_access read')
    permission.addResourceScope(RESOURCE, 'read')
    const grantId = await permission.save()
    const common = {
      client,
      accountId: SUBJECT,
      grantId,
      gty: 'authorization_code',
      scope: 'offline_access read',
      ...(tokens === 'jwt' ? { resource: RESOURCE } : {}),
    }
    const record =
      grant === 'refresh_token'
        ? new provider.RefreshToken({ ...common, rotations: 0, iiat: Math.floor(Date.now() / 1000) } as never)
        : new provider.AuthorizationCode({
            ...common,
            redirectUri: REDIRECT_URI,
            codeChallenge: CHALLENGE,
            codeChallengeMethod: 'S256',
          } as never)
    made.push(await record.save())
  }
  return { server: createServer(provider.callback()), seeds: made }
})
