import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ISSUER, NOW, sharedKey } from '../support/assertions.ts'
import { command, folderWith } from '../support/command_line.ts'
import { kubernetesToken, tokenBy } from '../support/platform_tokens.ts'

const { issuer, claims } = kubernetesToken
const client = {
  client_id: 'ledger',
  token_endpoint_auth_method: 'private_key_jwt',
  federated_credentials: [{ issuer, subject: claims['sub'] }],
}

test('FC18: explain says which way a token took, carries out its checks, and fetches nothing', async () => {
  const key = await sharedKey('RS256')
  const jwks = { keys: [{ ...key.jwk, kid: 'issuer-key' }] }
  const { path, remove } = folderWith({
    'client.json': client,
    'issuers.json': [{ issuer, jwks }],
    'remote.json': [
      { issuer, jwks_uri: 'https://issuer.example/jwks', max_lifetime_seconds: 3660, use: ['client_assertion'] },
    ],
    'jwks.json': jwks,
  })
  const explain = async (token: string, ...more: string[]) => {
    const { status, out } = await command([
      'explain',
      token,
      '--issuer',
      ISSUER,
      '--now',
      String(NOW),
      '--json',
      ...more,
    ])
    return { status, told: JSON.parse(out) }
  }
  const sound = tokenBy(key, kubernetesToken)
  const mine = ['--client', path('client.json')]

  const accepted = await explain(sound, ...mine, '--trusted-issuers', path('issuers.json'))
  assert.equal(accepted.status, 0, JSON.stringify(accepted.told))
  assert.equal(accepted.told.issuer, issuer)
  const names = accepted.told.checks.map(({ name }: { name: string }) => name)
  assert.ok(names.includes('trusted_issuer') && names.includes('federated_credential'), names.join())

  const withKeys = await explain(sound, ...mine, '--trusted-issuers', path('remote.json'), '--jwks', path('jwks.json'))
  assert.equal(withKeys.status, 0)
  const without = await explain(sound, ...mine, '--trusted-issuers', path('remote.json'))
  assert.equal(without.status, 3)
  assert.deepEqual(
    without.told.checks
      .filter(({ outcome }: { outcome: string }) => outcome === 'skipped')
      .map(({ name }: { name: string }) => name),
    ['signature'],
  )

  const another = await explain(
    tokenBy(key, kubernetesToken, { sub: 'another' }),
    ...mine,
    '--trusted-issuers',
    path('issuers.json'),
  )
  assert.deepEqual([another.status, another.told.reason], [1, 'federated_credential_mismatch'])
  const usual = await explain(sound, ...mine)
  assert.deepEqual([usual.told.issuer, usual.told.reason], [null, 'assertion_issuer_mismatch'])
  remove()
})
