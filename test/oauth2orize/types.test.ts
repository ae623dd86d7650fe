import assert from 'node:assert/strict'
import { test } from 'node:test'
import oauth2orize from 'oauth2orize'
import type { Client } from '../../lib/client.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { createAuthorizationSide } from '../../lib/oauth2orize/authorization.ts'
import { validateAuthorization } from '../../lib/oauth2orize/authorize.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'

interface AppClient extends Client {
  readonly logo: string
}
interface AppUser {
  readonly mail: string
}

test('the parts fit an oauth2orize server that is typed with the client and user of the application', () => {
  const { codeStore: codes, sessionStore: store, replayRegister } = createMemoryStores()
  const findClient = (client_id: string): AppClient => ({ client_id, logo: '' })
  const side = createAuthorizationSide<AppUser, AppClient>({
    issuer: 'https://as.example',
    findClient,
    codes,
    consents: createConsents({ store }),
    replayRegister,
    secret: 's'.repeat(32),
    subjectOf: (user) => user.mail,
    extra: ({ user }) => ({ mail: user.mail }),
  })
  const server = oauth2orize.createServer<AppClient, AppUser>({ store: side.transactions })
  server.grant(side.grant)
  const both = server.authorization(side.validate, side.immediate)
  const one = server.authorization(validateAuthorization({ findClient }))
  assert.equal(typeof both, 'function')
  assert.equal(typeof one, 'function')
})
