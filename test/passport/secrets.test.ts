import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import express from 'express'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import {
  createBasicVerify,
  createClientPasswordVerify,
  onEvent,
  PublicClientStrategy,
  respondWithError,
} from '../../lib/index.ts'
import { basicHeader, findClient, listen, post, type Route, SECRET } from '../support/token_route.ts'

/** Passport's own chain of strategies, as existing set-ups have it, around a route that shows who it was. */
function chain(passReqToCallback: boolean): Promise<Route> {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  const verify = createClientPasswordVerify({ findClient })
  passport.use(
    passReqToCallback
      ? new ClientPasswordStrategy({ passReqToCallback: true }, verify)
      : new ClientPasswordStrategy(verify),
  )
  passport.use(new PublicClientStrategy({ findClient }))
  const app = express()
  app.use(express.urlencoded({ extended: true }))
  const names = ['basic', 'oauth2-client-password', 'oauth2-public-client']
  app.post('/token', passport.authenticate(names, { session: false }), (req, res) => {
    res.json({ client: req.user, info: req.authInfo })
  })
  app.use(respondWithError())
  return listen(createServer(app))
}

describe('verify functions and strategies in a chain of Passport', () => {
  let route: Route
  before(async () => {
    route = await chain(true)
  })
  after(() => route.close())

  test('each of the three ways names the client', async () => {
    const header = await post(route.url, {}, { Authorization: basicHeader('any', SECRET) })
    assert.equal(header.json.client.client_id, 'any')
    const body = await post(route.url, { client_id: 'post', client_secret: SECRET })
    assert.equal(body.json.client.client_id, 'post')
    assert.deepEqual(body.json.info, { method: 'client_secret_post' })
    const nothing = await post(route.url, { client_id: 'public' })
    assert.deepEqual(nothing.json.info, { method: 'none' })
  })

  test('a failed header ends the chain: the body is not tried (O28)', async () => {
    for (const header of [basicHeader('any', 'wrong'), basicHeader('nobody', SECRET), basicHeader('post', SECRET)]) {
      const answer = await post(route.url, { client_id: 'any', client_secret: SECRET }, { Authorization: header })
      assert.deepEqual([answer.status, answer.json.error], [401, 'invalid_client'])
    }
  })

  test('a header that passport-http does not take for Basic does not open the way for the body (O28, O30)', async () => {
    for (const header of ['Bearer x', 'Basic', 'Basic !', 'Basic eA==']) {
      const answer = await post(route.url, { client_id: 'any', client_secret: SECRET }, { Authorization: header })
      assert.deepEqual([answer.status, answer.json.error], [401, 'invalid_client'], header)
    }
    const publicly = await post(route.url, { client_id: 'public' }, { Authorization: 'Bearer x' })
    assert.equal(publicly.status, 401)
  })

  test('a scheme that passport-http takes for Basic is refused (O34)', async () => {
    const [, credentials] = basicHeader('any', SECRET).split(' ')
    assert.equal((await post(route.url, {}, { Authorization: `XBasicY ${credentials}` })).status, 401)
  })

  test('refusals are OAuth errors, and faults are 503', async () => {
    const wrong = await post(route.url, { client_id: 'any', client_secret: 'wrong' })
    assert.deepEqual([wrong.status, wrong.json.error], [400, 'invalid_client'])
    const publicly = await post(route.url, { client_id: 'any' })
    assert.deepEqual([publicly.status, publicly.json.error], [400, 'invalid_client'])
    for (const answer of [
      await post(route.url, { client_id: 'down', client_secret: SECRET }),
      await post(route.url, { client_id: 'down' }),
      await post(route.url, {}, { Authorization: basicHeader('down', SECRET) }),
    ]) {
      assert.deepEqual([answer.status, answer.json.error], [503, 'temporarily_unavailable'])
    }
  })

  test('nested and repeated credentials of an extended parser are refused, not looked up (O19, O35)', async () => {
    for (const body of [
      'client_id[]=any&client_secret=x',
      'client_id=any&client_secret[$ne]=x',
      'client_id=any&client_id=any&client_secret=x',
    ]) {
      const answer = await post(route.url, body)
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_request'], body)
    }
    assert.equal((await post(route.url, 'client_id[]=public')).status, 401, 'no strategy takes it')
  })

  test('R5 a secret beside a client assertion is refused, in the header as in the body', async () => {
    const assertion = { client_assertion: 'a.b.c', client_assertion_type: 'x' }
    for (const sent of [assertion, { client_assertion: 'a.b.c' }, { client_assertion_type: 'x' }] as Record<
      string,
      string
    >[]) {
      const header = await post(route.url, sent, { Authorization: basicHeader('any', SECRET) })
      const body = await post(route.url, { ...sent, client_id: 'any', client_secret: SECRET })
      for (const { status, json } of [header, body]) assert.deepEqual([status, json.error], [400, 'invalid_request'])
    }
  })

  test('R2 a parameter that was sent empty is absent, for each of the strategies', async () => {
    const empty = { client_assertion: '', client_assertion_type: '', client_secret: '' }
    const header = await post(route.url, empty, { Authorization: basicHeader('any', SECRET) })
    assert.equal(header.json.client.client_id, 'any')
    const body = await post(route.url, { ...empty, client_id: 'post', client_secret: SECRET })
    assert.equal(body.json.client.client_id, 'post')
    assert.deepEqual((await post(route.url, { ...empty, client_id: 'public' })).json.info, { method: 'none' })
  })

  test('R74 what the verify function refuses by itself is published too', async (t) => {
    const heard: unknown[] = []
    t.after(onEvent('client.refused', ({ reason }) => heard.push(reason)))
    await post(route.url, 'client_id[]=any&client_secret=x')
    const bearer = { Authorization: 'Bearer x' }
    await post(route.url, { client_id: 'any', client_secret: SECRET }, bearer)
    assert.deepEqual(heard, ['parameter_malformed', 'authorization_header_malformed'])
  })

  test('no authentication at all is left to Passport', async () => {
    assert.equal((await fetch(route.url, { method: 'POST' })).status, 401)
  })
})

test('the client password strategy works without the request as well', async () => {
  const route = await chain(false)
  assert.equal((await post(route.url, { client_id: 'any', client_secret: SECRET })).status, 200)
  assert.equal((await post(route.url, { client_id: 'any', client_secret: 'wrong' })).json.error, 'invalid_client')
  await route.close()
})

test('a public client strategy may have a name of its own', () => {
  assert.equal(new PublicClientStrategy({ findClient }).name, 'oauth2-public-client')
  assert.equal(new PublicClientStrategy({ findClient, name: 'public' }).name, 'public')
})
