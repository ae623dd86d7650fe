import express from 'express'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import { type ClientRecord, db } from './database.ts'

const passport = new Passport()

const verifyClient = (
  clientId: string,
  secret: string,
  done: (error: unknown, client?: ClientRecord | false) => void,
) => {
  db.findClientByClientId(clientId).then(
    (client) => done(null, client !== undefined && client.clientSecret === secret ? client : false),
    (error) => done(error),
  )
}
passport.use(new BasicStrategy(verifyClient))
passport.use(new ClientPasswordStrategy(verifyClient))

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
app.use(express.urlencoded({ extended: true }))

app.post(
  '/oauth/token',
  passport.authenticate(['basic', 'oauth2-client-password'], { session: false }),
  server.token(),
  server.errorHandler(),
)
