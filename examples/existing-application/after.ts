import express from 'express'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import {
  basicVerify,
  type Client,
  ClientAssertionStrategy,
  clientPasswordVerify,
  PublicClientStrategy,
  tokenEndpoint,
} from 'passport-client-assertion-jwt'
import { memoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import { type ClientRecord, db } from './database.ts'

const passport = new Passport()

/** The columns of the application, under the names of RFC 7591. What else the record holds is handed on as it is. */
const findClient = async (clientId: string): Promise<(ClientRecord & Client) | undefined> => {
  const record = await db.findClientByClientId(clientId)
  if (record === undefined) return undefined
  if (record.jwks !== undefined)
    return { ...record, client_id: clientId, token_endpoint_auth_method: 'private_key_jwt' }
  if (record.clientSecret === null) return { ...record, client_id: clientId, token_endpoint_auth_method: 'none' }
  return { ...record, client_id: clientId, client_secret: record.clientSecret }
}
const issuer = 'https://auth.example.com'
const tokenEndpointUrl = `${issuer}/oauth/token`
const { replayRegister } = memoryStores()

passport.use(new BasicStrategy({ passReqToCallback: true }, basicVerify({ findClient })))
passport.use(new ClientPasswordStrategy(clientPasswordVerify({ findClient })))
passport.use(new PublicClientStrategy({ findClient }))
passport.use(new ClientAssertionStrategy({ issuer, tokenEndpoint: tokenEndpointUrl, findClient, replayRegister }))

const server = oauth2orize.createServer()

server.exchange(
  oauth2orize.exchange.code((client: ClientRecord, code, redirectURI, done: oauth2orize.ExchangeDoneFunction) => {
    db.takeCode(code)
      .then(async (record) => {
        if (record?.clientId !== client.id || record.redirectURI !== redirectURI) return done(null, false)
        return done(null, await db.createAccessToken(client.id, record.userId))
      })
      .catch(done)
  }),
)

export const app = express()

// ahead of the parser: it reads its own body, more strictly
app.use(
  '/oauth/token',
  tokenEndpoint({
    server,
    passport,
    strategies: {
      assertion: 'client-assertion-jwt',
      basic: 'basic',
      clientPassword: 'oauth2-client-password',
      publicClient: 'oauth2-public-client',
    },
  }),
)
app.use(express.urlencoded({ extended: true }))
