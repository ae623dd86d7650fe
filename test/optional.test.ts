import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, grantTypesOf, redirectUrisOf } from '../lib/client.ts'
import { judgeClient, recordProblem } from '../lib/client_lookup.ts'
import { findClientProblems } from '../lib/client_problems.ts'
import { redirectTarget } from '../lib/code/authorization_request.ts'
import { isAbsent, readOptional } from '../lib/optional.ts'
import { allowedScope } from '../lib/scope.ts'

const NOTHING = [undefined, null, '', []]

test('R75: undefined, null, an empty string and an empty array are absent, and nothing else is', () => {
  for (const nothing of NOTHING) {
    assert.equal(isAbsent(nothing), true, JSON.stringify(nothing))
    assert.equal(readOptional(nothing), undefined)
  }
  for (const value of [0, false, Number.NaN, ' ', [''], {}, new Uint8Array(0)]) {
    assert.equal(isAbsent(value), false)
    assert.equal(readOptional(value), value)
  }
})

test('R75: an absent member of a client record means its default, however it is spelt', () => {
  for (const nothing of NOTHING) {
    const members = {
      ...{ client_name: nothing, client_secret: nothing, token_endpoint_auth_method: nothing, jwks: nothing },
      ...{ jwks_uri: nothing, redirect_uris: nothing, grant_types: nothing, scope: nothing },
    }
    const client = { client_id: 'c', ...members } as unknown as Client
    assert.equal(recordProblem(client), undefined, JSON.stringify(nothing))
    assert.equal(judgeClient(client, 'c'), client)
    assert.deepEqual(grantTypesOf(client), ['authorization_code'])
    assert.deepEqual(redirectUrisOf(client), [])
    assert.equal(allowedScope(client, {}), '')
    assert.equal(allowedScope(client, { defaultScope: 'write read' }), 'read write')
  }
})

test('E6: redirect_uris, grant_types and resources of another type are client_misconfigured, and every judge says so', async () => {
  for (const member of ['redirect_uris', 'grant_types', 'resources']) {
    for (const value of ['https://app.test/cb', 5, {}, true, [5], ['https://app.test/cb', null]]) {
      const client = { client_id: 'c', client_secret: 'x', [member]: value } as unknown as Client
      const judged = judgeClient(client, 'c') as { reason?: string; detail?: string }
      assert.equal(judged.reason, 'client_misconfigured', JSON.stringify(value))
      assert.equal(judged.detail, `${member} is not an array of strings`)
      assert.deepEqual(await findClientProblems(client), [
        { severity: 'error', member, detail: 'is not an array of strings' },
      ])
      if (member === 'redirect_uris')
        assert.ok('refused' in redirectTarget({ values: { redirect_uri: 'https://app.test/cb' }, unsound: [] }, client))
    }
  }
})

test('T101: a malformed scope of a record is never read as none: the operator must mend it', () => {
  for (const scope of ['r"d', 'réad', ['read'], 7, 'x'.repeat(8193)])
    assert.throws(() => allowedScope({ client_id: 'c', scope } as unknown as Client, { defaultScope: 'read' }), {
      reason: 'misconfigured',
    })
})

test('E7: the expiry of a secret is judged alike by the endpoints and by findClientProblems, whatever the method', async () => {
  const secret = { client_secret: 'x' }
  for (const members of [
    { ...secret, client_secret_expires_at: 'soon' },
    { ...secret, client_secret_expires_at: new Date(Number.NaN) },
    { token_endpoint_auth_method: 'none', client_secret_expires_at: 'soon' },
    { client_secret: [{ value: 'x', expires_at: '2030-01-01' }] },
    { client_secret: [{ value: 5, expires_at: {} }, { value: 'x' }] },
  ]) {
    const client = { client_id: 'c', ...members } as unknown as Client
    const judged = judgeClient(client, 'c') as { reason?: string; detail?: string }
    const [problem, ...others] = await findClientProblems(client)
    assert.equal(judged.reason, 'client_misconfigured', JSON.stringify(members))
    assert.deepEqual(others, [])
    assert.equal(judged.detail, `client_secret_expires_at ${problem?.detail}`)
    assert.deepEqual([problem?.severity, problem?.member], ['error', 'client_secret_expires_at'])
  }
})
