// Everything here depends on what Express does with requests and responses. Seen in 4.22 and 5.1 to 5.2.
import type { RequestListener, Server, ServerOptions } from 'node:http'
import { createServer as createHttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { badOption } from '../options.ts'

/**
 * What Express 4 and 5 applications are: a listener with two prototypes, `request` and `response`, for all requests and
 * responses it handles. `express.Application`, as many annotate it, does not declare these: they are looked for.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: what Express declares
export type ApplicationWithPrototypes = (request: never, response: never) => unknown | void

/** The two classes node:http and node:https take as server options. */
export type ApplicationClasses = {
  /** The class of requests, with the methods of the application on it. */
  readonly IncomingMessage: typeof IncomingMessage
  /** The class of responses, with the methods of the application on it. */
  readonly ServerResponse: typeof ServerResponse
}

/** Whether this is Node itself. Other runtimes make requests and responses without calling the classes of node:http. */
const isNode = process.versions['bun'] === undefined && process.versions['deno'] === undefined

type Constructor = (this: object, ...parameters: unknown[]) => void

/**
 * A class whose instances are made by `Base` and have `prototype` from the start. `Base` is called, not constructed:
 * `Reflect.construct` would do the same at more than the price that is saved here. Should a Node release turn `Base`
 * into a class, which cannot be called, `Base` itself is used: then Express changes the prototypes again.
 */
function withPrototype<Base extends typeof IncomingMessage | typeof ServerResponse>(
  base: Base,
  prototype: object,
): Base {
  if (/^class\b/.test(Function.prototype.toString.call(base))) return base
  const construct = base as unknown as Constructor
  function Derived(this: object, first: unknown, second: unknown): void {
    construct.call(this, first, second)
  }
  Derived.prototype = prototype
  return Derived as unknown as Base
}

/**
 * The server options that make node:http and node:https create requests and responses with the prototypes of an
 * Express application, for those who create the server themselves:
 *
 * ```ts
 * https.createServer({ ...getServerClasses(app), key, cert }, app)
 * ```
 *
 * Express sets `app.request` and `app.response` as the prototypes of each request and response it is given. Changing
 * the prototype of a living object takes it out of the engine's fast shapes, so that everything that touches it later
 * (node:http, body parsers, the router, Passport) costs two to three times as much. With these classes there is nothing
 * left to change. Nothing is patched: other servers of the process, and node:http itself, stay as they are.
 *
 * A mounted sub-application still sets its own prototypes on each request, so requests to it cost the same as without this
 * helper. Use `express.Router()` instead: a router sets none.
 *
 * On other runtimes than Node (Bun, Deno) the classes are those of `node:http`, unchanged.
 *
 * @throws TypeError where `app` is not an Express application.
 *
 * @example
 * ```ts
 * import { getServerClasses } from 'passport-client-assertion-jwt'
 *
 * createHttpsServer({ ...tls, ...getServerClasses(app) }, app).listen(3443)
 * ```
 */
export function getServerClasses(app: ApplicationWithPrototypes): ApplicationClasses {
  const { request, response } = Object(app) as { request?: unknown; response?: unknown }
  if (typeof app !== 'function' || !(request instanceof IncomingMessage) || !(response instanceof ServerResponse))
    throw badOption('app', 'an Express application', app)
  if (!isNode) return { IncomingMessage, ServerResponse }
  return {
    IncomingMessage: withPrototype(IncomingMessage, request),
    ServerResponse: withPrototype(ServerResponse, response),
  }
}

/**
 * An HTTP server for an Express 4 or 5 application: what `http.createServer(app)` gives, for about a third less per
 * request (see `getServerClasses`). On other runtimes than Node it is exactly that. It does not listen yet.
 *
 * ```ts
 * createExpressServer(app).listen(3000)
 * ```
 *
 * @param options Options of `http.createServer`; `IncomingMessage` and `ServerResponse` may not be among them.
 * @throws TypeError where `app` is not an Express application, or an option stands in the way.
 *
 * @example
 * ```ts
 * import { createExpressServer } from 'passport-client-assertion-jwt'
 *
 * createExpressServer(app).listen(3000) // instead of app.listen(3000)
 * ```
 */
export function createExpressServer(app: ApplicationWithPrototypes, options: ServerOptions = {}): Server {
  const classes = getServerClasses(app)
  for (const name of ['IncomingMessage', 'ServerResponse'] as const)
    if (options[name] !== undefined) throw badOption(name, 'absent: the application provides it', options[name])
  return createHttpServer(isNode ? { ...options, ...classes } : options, app as unknown as RequestListener)
}

/** The members that Express and its parsers add to a request, as far as they are read. */
interface ExpressRequest {
  readonly url?: string | undefined
  readonly baseUrl?: string | undefined
  readonly route?: unknown
  readonly readableDidRead?: boolean
}

/** Path and query of a request target, also of one that names the host (RFC 9112 §3.2.2). */
export const pathAndQuery = (url: string): string =>
  url === '' || url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '')

/** Whether the request is for a path below the one where Express mounted the handler. */
export function isBelowMount(request: ExpressRequest): boolean {
  if (request.baseUrl === undefined || request.baseUrl === '' || request.route !== undefined) return false
  const url = pathAndQuery(request.url ?? '/')
  return url !== '' && url !== '/' && !/^\/?\?/.test(url)
}

/** Whether something read the body already. `_body` is the mark of body-parser. */
export const isBodyRead = (request: ExpressRequest): boolean =>
  (request as { readonly _body?: unknown })._body === true || request.readableDidRead === true
