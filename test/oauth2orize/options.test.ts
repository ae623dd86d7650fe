import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthorizationSide } from '../../lib/oauth2orize/authorization.ts'
import { respondWithAuthorizationError } from '../../lib/oauth2orize/authorization_response.ts'
import { validateAuthorization } from '../../lib/oauth2orize/authorize.ts'
import { createCodeGrant } from '../../lib/oauth2orize/code_grant.ts'
import { checkRememberedConsent } from '../../lib/oauth2orize/remembered_consent.ts'
import { createSealedTransactions } from '../../lib/oauth2orize/transactions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'

const { codeStore: codes, replayRegister } = createMemoryStores()
const issuer = 'https://as.example'
const findClient = () => undefined
const consents = { allows: async () => false, remember: async () => {} }
const secret = 's'.repeat(32)

/** Each constructor, options that are right, and a name that is almost one of them. */
const CONSTRUCTORS: readonly [create: (options: never) => unknown, right: object, misspelt: string, meant: string][] = [
  [
    createAuthorizationSide,
    { issuer, findClient, codes, consents, replayRegister, secret },
    'codeLifetime',
    'codeLifetimeSeconds',
  ],
  [validateAuthorization, { findClient }, 'responseType', 'responseTypes'],
  [checkRememberedConsent, { consents }, 'askagain', 'askAgain'],
  [createCodeGrant, { issuer, codes }, 'lifetimeSeconds', 'codeLifetimeSeconds'],
  [createSealedTransactions, { issuer, secret, findClient, replayRegister }, 'secrets', 'secret'],
  [respondWithAuthorizationError, { issuer }, 'verbosty', 'verbosity'],
]

for (const [create, right, misspelt, meant] of CONSTRUCTORS) {
  test(`${create.name} throws for an unknown option and names the one that was probably meant`, () => {
    assert.doesNotThrow(() => create(right as never))
    assert.doesNotThrow(() => create({ ...right, [misspelt]: undefined } as never))
    assert.throws(
      () => create({ ...right, [misspelt]: 1 } as never),
      (error: Error) => {
        assert.equal(error.name, 'TypeError')
        assert.ok(error.message.startsWith(`Unknown option "${misspelt}".`), error.message)
        return meant === 'codeLifetimeSeconds' || error.message.includes(`"${meant}"`)
      },
    )
  })

  test(`${create.name} without options throws a TypeError that names it`, () => {
    for (const nothing of [undefined, null, 7, []])
      assert.throws(() => create(nothing as never), { name: 'TypeError', message: new RegExp(`^${create.name} needs`) })
  })

  test(`R15: ${create.name} judges the issuer as all constructors do`, () => {
    if (!('issuer' in right)) return
    for (const wrong of [' https://as.example', 'foo:bar', 'https://as.example/?a=b', '', undefined])
      assert.throws(() => create({ ...right, issuer: wrong } as never), /option 'issuer' must/)
  })

  test(`${create.name} refuses options of a wrong kind when it is called, not when a request comes`, () => {
    const wrong: Record<string, unknown> = {
      ...{ findClient: 1, subjectOf: 1, extra: 1, askAgain: 1, authenticatedAt: 1, clock: 1, showError: 1 },
      ...{ pkce: 'none', excessScope: 'drop', missingScope: 'x', defaultScope: ['a'], userProperty: '', consents: {} },
      ...{
        timeoutMilliseconds: 0,
        authorizationPath: 1,
        transactionField: '',
        codes: {},
        replayRegister: {},
        secret: 'x',
      },
    }
    let refused = 0
    for (const [name, value] of Object.entries(wrong)) {
      try {
        create({ ...right, [name]: value } as never)
      } catch (error) {
        assert.match((error as Error).message, /^(option '|Unknown option)/, name)
        refused += 1
      }
    }
    assert.equal(refused, Object.keys(wrong).length)
  })
}
