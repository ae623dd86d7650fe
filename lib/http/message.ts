import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request as Node, Connect, Express 4 and Express 5 hand it over. */
export type Request = IncomingMessage & {
  /** What a body parser left there. */
  body?: unknown
  /** The client, once it is authenticated: oauth2orize looks for it here. */
  user?: unknown
  /** How the client was authenticated, as Passport has it. */
  authInfo?: unknown
  /** Where the application mounted what handles the request. */
  baseUrl?: string
  /** The route that handles the request, if it is one. */
  route?: unknown
  /** The URL before routers cut off where they are mounted. */
  originalUrl?: string
}

/** A response as Node, Connect and Express hand it over. */
export type Response = ServerResponse

/** Connect's `next`: `(error?: unknown) => void`, or with a parameter that is declared narrower. */
// Written as a method, whose parameter may be narrower: oauth2orize types the error as Error, Express as anything.
export type Next = {
  /** Continues with the next middleware, or with the error handlers if an error is passed. */
  next(error?: unknown): void
}['next']

/** A middleware of Connect, Express 4 or Express 5. */
export type Middleware = (request: Request, response: Response, next: Next) => void

/** An error-handling middleware: Express knows it by its four parameters. */
export type ErrorMiddleware = (error: unknown, request: Request, response: Response, next: Next) => void
