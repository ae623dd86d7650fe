import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import express, { type RequestHandler } from 'express'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import { createBasicVerify, createClientPasswordVerify, createTokenEndpoint } from '../../lib/index.ts'
import { basicHeader, listen, post } from '../support/token_route.ts'

const SECRET = 'a secret' // passport-http cuts a secret at its second colon
const findClient = () => ({ client_id: 'any', client_secret: SECRET })

test('G5: a verify function that a chain calls without the request warns once, and names passReqToCallback', async (t) => {
  const warnings: string[] = []
  const heard = (warning: Error & { code?: string }): void => {
    if (warning.code === 'CLIENT_ASSERTION_JWT_NO_REQUEST') warnings.push(warning.message)
  }
  process.on('warning', heard)
  t.after(() => process.off('warning', heard))
  const passport = new Passport()
  passport.use(new BasicStrategy(createBasicVerify({ findClient })))
  passport.use(new ClientPasswordStrategy(createClientPasswordVerify({ findClient })))
  const run = async () => ({ access_token: 'x', token_type: 'Bearer' })
  const strategies = { basic: 'basic', clientPassword: 'oauth2-client-password' }
  const exchanges = [{ grantType: 'x', run }]
  const app = express()
  app.use(express.urlencoded({ extended: false }))
  const authenticate = passport.authenticate(['basic', 'oauth2-client-password'], { session: false })
  app.post('/chain/token', authenticate, (_request, response) => void response.json({}))
  app.use(
    '/token',
    createTokenEndpoint({ passport, strategies, exchanges, enforceGrantTypes: false }) as RequestHandler,
  )
  const route = await listen(createServer(app))
  t.after(() => route.close())
  const sendBoth = async (url: string): Promise<void> => {
    const form = { grant_type: 'x' }
    assert.equal((await post(url, form, { Authorization: basicHeader('any', SECRET) })).status, 200)
    assert.equal((await post(url, { ...form, client_id: 'any', client_secret: SECRET })).status, 200)
  }
  await sendBoth(route.url)
  assert.deepEqual(warnings, [], 'the endpoint has chosen the strategy by the request')
  await sendBoth(route.url.replace('/token', '/chain/token'))
  await sendBoth(route.url.replace('/token', '/chain/token'))
  assert.equal(warnings.length, 2)
  assert.match(
    warnings.join(),
    /createBasicVerify .*passReqToCallback: true.*createClientPasswordVerify .*passReqToCallback: true/,
  )
})
