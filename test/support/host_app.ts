import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import express from 'express'
import type { CodeStore } from '../../lib/code/code_store.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { type AuthorizationOptions, createAuthorizationSide } from '../../lib/oauth2orize/authorization.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { CLIENTS, ISSUER } from './authorization_app.ts'

/** The authorization side over fresh memory stores, and what it has stored. */
export function partsOf(options: Partial<AuthorizationOptions> = {}) {
  const stores = createMemoryStores()
  const consents = createConsents({ store: stores.sessionStore })
  const issued: unknown[] = []
  const codes: CodeStore = {
    ...stores.codeStore,
    add(code) {
      issued.push(code)
      return stores.codeStore.add(code)
    },
  }
  const side = createAuthorizationSide({
    issuer: ISSUER,
    findClient: (clientId) => CLIENTS.find((each) => each.client_id === clientId),
    codes,
    consents,
    replayRegister: stores.replayRegister,
    secret: 's'.repeat(32),
    ...options,
  })
  return { side, consents, issued }
}

/** An application that the test builds, listening; `send` never follows redirects. */
export async function hostApp(context: TestContext, build: (app: express.Express) => void) {
  const app = express()
  app.use(express.urlencoded({ extended: false }))
  build(app)
  const listening = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  context.after(() => {
    listening.closeAllConnections()
    listening.close()
  })
  const base = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  const send = (path: string, form?: Record<string, string>) =>
    fetch(base + path, {
      redirect: 'manual',
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    })
  return { base, send }
}

/** oauth2orize and Express declare different types for what fits at run time. */
export const handlers = (middleware: unknown): express.RequestHandler => middleware as express.RequestHandler
export const errorHandler = (middleware: unknown): express.ErrorRequestHandler =>
  middleware as express.ErrorRequestHandler
