import type { Middleware } from './message.ts'

/** RFC 6749 §5.1: on every answer that may carry a token, and on errors as well. */
export const NO_STORE: Readonly<Record<string, string>> = Object.freeze({
  'Cache-Control': 'no-store',
  Pragma: 'no-cache',
})

/**
 * A middleware that forbids caching of whatever answers the request (RFC 6749 §5.1).
 *
 * @example
 * ```ts
 * import { setNoStore } from 'passport-client-assertion-jwt'
 *
 * app.use('/device_authorization', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
 * app.post('/device_authorization', (req, res) => {
 *   res.json({ for: req.user, authenticatedBy: req.authInfo })
 * })
 * app.use('/device_authorization', respondWithError())
 * ```
 */
export function setNoStore(): Middleware {
  return (_request, response, next) => {
    for (const [name, value] of Object.entries(NO_STORE)) response.setHeader(name, value)
    next()
  }
}
