// A whole OAuth 2.0 server in the style of the oauth2orize examples, as it was before it knew of this package.
// docs/adopting.md changes it step by step; adopted.cjs is the result.
const express = require('express')
const session = require('express-session')
const oauth2orize = require('oauth2orize')
const { Passport } = require('passport')
const { BasicStrategy } = require('passport-http')
const { Strategy: BearerStrategy } = require('passport-http-bearer')
const { Strategy: LocalStrategy } = require('passport-local')
const { Strategy: ClientPasswordStrategy } = require('passport-oauth2-client-password')
const db = require('./db.cjs')
const {
  createAuthorizationCodeExchange,
  createBasicVerify,
  Strategy: ClientAssertionStrategy,
  createClientCredentialsExchange,
  createClientPasswordVerify,
  respondWithError,
  OAuthError,
  PublicClientStrategy,
  createRefreshTokenExchange,
  createTokenEndpoint,
} = require('passport-client-assertion-jwt')
const { findClient, toLookUp } = require('./clients.cjs')
const { consents, permits } = require('./consents.cjs')
const { createAuthorizationSide, getRetryQuery, toOauth2orize } = require('passport-client-assertion-jwt/oauth2orize')
const { codeStore, replayRegister } = require('./stores.cjs')

const { issuer, readAccessToken, sessions, tokens } = require('./tokens.cjs')

// Users and clients

const passport = new Passport()

passport.use(
  new LocalStrategy((username, password, done) => {
    db.users.findByUsername(username, (error, user) => {
      if (error) return done(null, false)
      return done(null, user.password === password ? user : false)
    })
  }),
)
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => db.users.find(id, done))

passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
passport.use(new ClientPasswordStrategy({ passReqToCallback: true }, createClientPasswordVerify({ findClient })))
passport.use(new PublicClientStrategy({ findClient }))
passport.use(
  new ClientAssertionStrategy({ issuer, tokenEndpoint: `${issuer}/oauth/token`, findClient, replayRegister }),
)

passport.use(
  new BearerStrategy((accessToken, done) => {
    readAccessToken(accessToken, (error, claims) => {
      if (error) return done(error)
      if (claims === undefined) return done(null, false)
      const { sub, client_id, scope = '' } = claims
      if (sub === client_id) {
        return db.clients.findByClientId(client_id, (error, client) => done(error, client, { scope }))
      }
      return db.users.find(sub, (error, user) => done(error, user, { scope })) // if ids are numbers: Number(sub)
    })
  }),
)

// OAuth 2.0

const authorization = createAuthorizationSide({
  issuer,
  findClient,
  codes: codeStore,
  consents,
  extra: () => ({ hasConsent: true }), // for permits
  replayRegister,
  secret: process.env.BASE_SECRET,
  pkce: 'public', // your clients with a secret send no code_challenge yet
})
const server = oauth2orize.createServer({ store: authorization.transactions })

server.grant(authorization.grant)

server.exchange(createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens, permits: consents.allows }))

server.exchange(createRefreshTokenExchange({ sessions, tokens, permits }))

const findUser = toLookUp(db.users.findByUsername)
server.exchange(
  toOauth2orize({
    grantType: 'password',
    async run({ client, parameters, now, context }) {
      const user = await findUser(parameters.username)
      if (user === undefined || user.password !== parameters.password) throw new OAuthError('invalid_grant')
      const { client_id: clientId, scope } = client
      const session = await sessions.open({ subject: String(user.id), clientId, scope }, { client, now })
      return tokens.issue(session, { client, scope, generation: session.newest, now, context, grantType: 'password' })
    },
  }),
)

server.exchange(createClientCredentialsExchange({ tokens }))

// Pages

const html = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

function ensureLoggedIn(req, res, next) {
  if (req.isAuthenticated()) return next()
  req.session.returnTo = req.originalUrl
  return res.redirect('/login')
}

function dialog(req, res) {
  const { transactionID, client } = req.oauth2
  res.send(`<p>Hi ${html(req.user.name)}! <b>${html(client.name)}</b> asks for access to your account.</p>
<form action="/dialog/authorize/decision" method="post">
  <input name="transaction_id" type="hidden" value="${html(transactionID)}">
  <button name="allow" value="allow">Allow</button> <button name="cancel" value="deny">Deny</button>
</form>`)
}

// Application

const app = express()
module.exports = app
app.use('/oauth/token', express.json({ limit: '64kb' }), (req, _res, next) => {
  if (req.is('application/json')) req.headers['content-type'] = 'application/x-www-form-urlencoded'
  next()
})
app.use('/oauth/token', respondWithError()) // for JSON that does not parse
app.use(
  '/oauth/token',
  createTokenEndpoint({
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
app.use(express.json())
app.use(session({ secret: 'keyboard cat', resave: false, saveUninitialized: false }))
app.use(passport.initialize())
app.use(passport.session())

app.get('/login', (_req, res) => {
  res.send(
    '<form method="post"><input name="username"><input name="password" type="password"><button>Log in</button></form>',
  )
})
app.post('/login', passport.authenticate('local', { failureRedirect: '/login', keepSessionInfo: true }), (req, res) => {
  res.redirect(req.session.returnTo ?? '/account')
})
app.get('/account', ensureLoggedIn, (req, res) => res.send(`<p>${html(req.user.name)}</p>`))

/** Leads a user who has to log in to the login page, and from there back to the authorization request. */
function askToLogIn(error, req, res, next) {
  if (error?.reason !== 'user_not_logged_in') return next(error)
  req.session.returnTo = `/dialog/authorize${getRetryQuery(error) ?? ''}`
  return res.redirect('/login')
}

app.get('/dialog/authorize', server.authorization(authorization.validate, authorization.immediate), dialog)
app.post('/dialog/authorize/decision', server.decision(authorization.decision))
app.use('/dialog/authorize', askToLogIn, authorization.errors)

app.get('/api/userinfo', passport.authenticate('bearer', { session: false }), (req, res) => {
  res.json({ user_id: req.user.id, name: req.user.name, scope: req.authInfo.scope })
})
app.get('/api/clientinfo', passport.authenticate('bearer', { session: false }), (req, res) => {
  res.json({ client_id: req.user.id, name: req.user.name, scope: req.authInfo.scope })
})

if (require.main === module) app.listen(3000)
