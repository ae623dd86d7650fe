import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClientDocuments } from '../../lib/cimd/index.ts'
import { ClientDocumentUnreachable, isClientDocument, markClientDocument } from '../../lib/client_document.ts'
import { lookUpClient, requireClient } from '../../lib/client_lookup.ts'
import { OAuthError, refusal } from '../../lib/errors.ts'
import { createIntrospection, createMetadata } from '../../lib/index.ts'
import { validateAuthorization } from '../../lib/oauth2orize/index.ts'

const refused = refusal('client_document_refused', {
  detail: 'the document is gone',
  description: 'Not accepted here.',
})
const ways = {
  'a rejection': async () => {
    throw refused
  },
  'an exception': () => {
    throw refused
  },
}

for (const [way, findClient] of Object.entries(ways)) {
  test(`client_document_refused passes the look-up as it is, by ${way}`, async () => {
    assert.equal(await lookUpClient(findClient, 'https://app.test/c', {}), refused)
    await assert.rejects(requireClient(findClient, 'https://app.test/c', {}), refused)
  })

  test(`CD11: at the authorization endpoint client_document_refused is a page with status 400, by ${way}`, async () => {
    const validate = validateAuthorization({ findClient })
    const answer = await new Promise<readonly unknown[]>((resolve) =>
      validate({ clientID: 'https://app.test/c', redirectURI: 'https://app.test/cb', type: 'code' }, (...given) =>
        resolve(given),
      ),
    )
    assert.equal(answer.length, 1, 'no redirect URI is known')
    const [error] = answer
    assert.ok(error instanceof OAuthError)
    assert.deepEqual([error.code, error.status, error.reason], ['invalid_client', 400, 'client_document_refused'])
    assert.equal(error.message, 'Not accepted here.')
  })
}

test('CD40: every other error of findClient is a 503, OAuthErrors too', async () => {
  for (const thrown of [
    new Error('network'),
    new ClientDocumentUnreachable(),
    new OAuthError('invalid_client'),
    refusal('client_unknown'),
    { reason: 'client_document_refused' },
    undefined,
  ])
    for (const findClient of [
      async () => {
        throw thrown
      },
      () => {
        throw thrown
      },
    ])
      await assert.rejects(async () => lookUpClient(findClient, 'https://app.test/c', {}), {
        reason: 'store_unavailable',
        status: 503,
      })
})

const inactive = { get: async () => undefined, accepts: () => false, isAccessTokenRevoked: async () => false }
const claims = { iss: 'i', sub: 's', client_id: 'https://app.test/c', exp: 9e9, iat: 1, jti: 'j', scope: 'read' }
const tokens = { verifyAccessToken: async () => claims, readRefreshToken: async () => undefined }
const ask = (options: object, client: { client_id: string; token_endpoint_auth_method?: string }) =>
  createIntrospection({ sessions: inactive, tokens, ...options } as never)({
    client,
    parameters: { token: 't' },
    now: 2,
    context: {},
  })

test('CD41: a client that describes itself may not introspect, unless mayAsk allows it', async () => {
  const client = markClientDocument({ client_id: 'https://app.test/c', token_endpoint_auth_method: 'private_key_jwt' })
  assert.equal(isClientDocument(client), true)
  await assert.rejects(ask({}, client), { reason: 'client_not_confidential', code: 'invalid_client' })
  await assert.rejects(ask({}, { ...client }), { reason: 'client_not_confidential' })
  assert.equal((await ask({ mayAsk: () => true }, client)).active, true)
  assert.equal((await ask({ mayAsk: () => false }, client)).active, false)
  assert.equal((await ask({}, { client_id: 'c1' })).active, true)
})

test('introspection of a token whose client document is refused is inactive; while it cannot be read, the token stays active', async () => {
  const client = { client_id: 'api' }
  const failing = (error: unknown) => ({
    findClient: async () => {
      throw error
    },
  })
  assert.deepEqual(await ask(failing(refused), client), { active: false })
  assert.equal((await ask(failing(new ClientDocumentUnreachable()), client)).active, true)
  await assert.rejects(ask(failing(new Error('database')), client), { reason: 'store_unavailable' })
})

test('CD44: the metadata has the flag, and the resolver offers no method that the endpoint does not offer', () => {
  const documents = createClientDocuments({ scope: '' })
  const metadata = (methods: readonly string[]) =>
    createMetadata({
      issuer: 'https://op.example',
      token: { url: '/token', endpoint: { methods, signingAlgorithms: ['RS256'], grantTypes: ['authorization_code'] } },
      extra: { ...documents.metadata, service_documentation: 'https://op.example/docs' },
    })
  const made = metadata(['private_key_jwt', 'none', 'client_secret_basic'])
  assert.equal(made['client_id_metadata_document_supported'], true)
  assert.deepEqual(made['token_endpoint_auth_methods_supported'], ['private_key_jwt', 'none', 'client_secret_basic'])
  assert.deepEqual(made['token_endpoint_auth_signing_alg_values_supported'], ['RS256'])
  assert.equal(made['service_documentation'], 'https://op.example/docs')
  assert.deepEqual(Object.getOwnPropertySymbols(made), [])
  assert.throws(() => metadata(['private_key_jwt']), /methods.*"none"/)
  assert.throws(() => metadata(['none']), TypeError)
  assert.deepEqual(JSON.parse(JSON.stringify(documents.metadata)), { client_id_metadata_document_supported: true })
})
