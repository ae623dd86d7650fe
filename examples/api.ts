import { type Request, type RequestHandler, type Response, Router } from 'express'
import type { Sessions, Tokens } from 'passport-client-assertion-jwt'
import type { Dpop } from 'passport-client-assertion-jwt/dpop'
import {
  type AccessToken,
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from 'passport-client-assertion-jwt/resource-server'

/**
 * An API that accepts the access tokens of this server: `GET /api/whoami` with any token, `GET /api/scope/NAME` with one of
 * the scope NAME. It has the tokens and the sessions at hand, so revoked tokens and those of ended sessions are refused.
 */
export function apiRoutes(parts: {
  readonly issuer: string
  readonly tokens: Tokens
  readonly sessions: Sessions
  readonly dpop: Dpop
  readonly scopes: readonly string[]
  /** Whether tokens that were issued without `resource`, which have the issuer as `aud`, are accepted as well. */
  readonly acceptsIssuerAudience: boolean
}): Router {
  const { issuer, tokens, sessions, dpop, scopes, acceptsIssuerAudience } = parts
  const resource = apiResource(issuer)
  // A proxy may have removed the path of the issuer from the request.
  const requestUrl = ({ url = '' }: { readonly url?: string | undefined }): string => issuer.replace(/\/$/, '') + url
  const verifier = createAccessTokenVerifier({
    issuer,
    resource,
    audience: acceptsIssuerAudience ? [resource, issuer] : [resource],
    keys: { tokens, sessions },
    dpop,
  })
  const document = createProtectedResource({ resource, issuer, scopes, name: 'The demo API', dpop })

  const routes = Router()
  routes.use((req, res, next) => (req.path === document.path ? document.handler(req, res) : next()))
  routes.all('/api/whoami', requireAccessToken(verifier, { requestUrl }))
  routes.all('/api/scope/:name', guardByScope)
  routes.get(['/api/whoami', '/api/scope/:name'], whoami)
  routes.all(['/api/whoami', '/api/scope/:name'], methodNotAllowed)
  // Express passes on a path that it cannot decode, such as /api/scope/%ff, as an error.
  routes.use((error: unknown, req: Request, res: Response, next: (error: unknown) => void) => {
    if (error instanceof URIError && req.path.startsWith('/api/')) noSuchScope(req, res)
    else next(error)
  })
  return routes

  function guardByScope(req: Request, res: Response, next: () => void): void {
    const { name } = req.params
    if (typeof name !== 'string' || !SCOPE_VALUE.test(name)) noSuchScope(req, res)
    else requireAccessToken(verifier, { scope: name, requestUrl })(req, res, next)
  }

  /** Without a good token the response has a challenge, as everywhere in this API. */
  function noSuchScope(req: Request, res: Response): void {
    requireAccessToken(verifier, { requestUrl })(req, res, () => res.status(404).json({ error: 'not_found' }))
  }
}

/** The identifier of the API: what clients send as `resource`. */
export const apiResource = (issuer: string): string => `${issuer.replace(/\/$/, '')}/api`

/** RFC 6749 §3.3. */
const SCOPE_VALUE = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/

const whoami: RequestHandler = (req, res) => {
  const { subject, clientId, scopes, claims } = (req as Request & { auth: AccessToken }).auth
  res.json({ sub: subject, client_id: clientId, scope: scopes.join(' '), aud: claims['aud'] })
}

const methodNotAllowed: RequestHandler = (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD, OPTIONS').json({ error: 'invalid_request' })
}
