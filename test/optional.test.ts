import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, grantTypesOf, recordProblem, scopeOf } from '../lib/client.ts'
import { judgeClient } from '../lib/client_lookup.ts'
import { isAbsent, readOptional } from '../lib/optional.ts'

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
    assert.equal(scopeOf(client), '')
  }
})
