// A whole OAuth 2.0 server in the style of the oauth2orize examples, as it was before it knew of this package.
// docs/adopting.md changes it step by step; adopted.cjs is the result.
const { randomBytes } = require('node:crypto')
const express = require('express')
const session = require('express-session')
const oauth2orize = require('oauth2orize')
const { Passport } = require('passport')
const { BasicStrategy } = require('passport-http')
const { Strategy: BearerStrategy } = require('passport-http-bearer')
const { Strategy: LocalStrategy } = require('passport-local')
const { Strategy: ClientPasswordStrategy } = require('passport-oauth2-client-password')
const db = require('./db.cjs')

const uid = () => randomBytes(32).toString('hex')

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

function verifyClient(clientId, clientSecret, done) {
  db.clients.findByClientId(clientId, (error, client) => {
    if (error) return done(error)
    if (client.clientSecret !== clientSecret) return done(null, false)
    return done(null, client)
  })
}
passport.use(new BasicStrategy(verifyClient))
passport.use(new ClientPasswordStrategy(verifyClient))

passport.use(
  new BearerStrategy((accessToken, done) => {
    db.accessTokens.find(accessToken, (error, token) => {
      if (error) return done(null, false)
      if (token.userId === null) {
        return db.clients.find(token.clientId, (error, client) => done(error, client, { scope: '*' }))
      }
      return db.users.find(token.userId, (error, user) => done(error, user, { scope: '*' }))
    })
  }),
)

// OAuth 2.0

const server = oauth2orize.createServer()

server.serializeClient((client, done) => done(null, client.id))
server.deserializeClient((id, done) => db.clients.find(id, done))

function issueTokens(userId, clientId, done) {
  const accessToken = uid()
  const refreshToken = uid()
  db.accessTokens.save(accessToken, { userId, clientId }, (error) => {
    if (error) return done(error)
    db.refreshTokens.save(refreshToken, { userId, clientId }, (error) => {
      if (error) return done(error)
      return done(null, accessToken, refreshToken, { expires_in: 3600 })
    })
  })
}

server.grant(
  oauth2orize.grant.code((client, redirectUri, user, _ares, done) => {
    const code = uid()
    db.authorizationCodes.save(code, { clientId: client.id, redirectUri, userId: user.id }, (error) => {
      if (error) return done(error)
      return done(null, code)
    })
  }),
)

server.exchange(
  oauth2orize.exchange.code((client, code, redirectUri, done) => {
    db.authorizationCodes.find(code, (error, authCode) => {
      if (error) return done(null, false)
      if (client.id !== authCode.clientId) return done(null, false)
      if (redirectUri !== authCode.redirectUri) return done(null, false)
      db.authorizationCodes.remove(code, (error) => {
        if (error) return done(error)
        issueTokens(authCode.userId, client.id, done)
      })
    })
  }),
)

server.exchange(
  oauth2orize.exchange.refreshToken((client, refreshToken, done) => {
    db.refreshTokens.find(refreshToken, (error, token) => {
      if (error) return done(null, false)
      if (client.id !== token.clientId) return done(null, false)
      db.refreshTokens.remove(refreshToken, (error) => {
        if (error) return done(error)
        issueTokens(token.userId, client.id, done)
      })
    })
  }),
)

server.exchange(
  oauth2orize.exchange.password((client, username, password, done) => {
    db.users.findByUsername(username, (error, user) => {
      if (error || user.password !== password) return done(null, false)
      issueTokens(user.id, client.id, done)
    })
  }),
)

server.exchange(
  oauth2orize.exchange.clientCredentials((client, done) => {
    const accessToken = uid()
    db.accessTokens.save(accessToken, { userId: null, clientId: client.id }, (error) => {
      if (error) return done(error)
      return done(null, accessToken, { expires_in: 3600 })
    })
  }),
)

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
  <button name="allow" value="Allow">Allow</button> <button name="cancel" value="Deny">Deny</button>
</form>`)
}

// Application

const app = express()
module.exports = app
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

app.get(
  '/dialog/authorize',
  ensureLoggedIn,
  server.authorization(
    (clientId, redirectUri, done) => {
      db.clients.findByClientId(clientId, (error, client) => {
        if (error) return done(error)
        if (client.redirectUri !== redirectUri) return done(null, false)
        return done(null, client, redirectUri)
      })
    },
    (client, _user, done) => done(null, client.isTrusted),
  ),
  dialog,
)
app.post('/dialog/authorize/decision', ensureLoggedIn, server.decision())

app.post(
  '/oauth/token',
  passport.authenticate(['basic', 'oauth2-client-password'], { session: false }),
  server.token(),
  server.errorHandler(),
)

app.get('/api/userinfo', passport.authenticate('bearer', { session: false }), (req, res) => {
  res.json({ user_id: req.user.id, name: req.user.name, scope: req.authInfo.scope })
})
app.get('/api/clientinfo', passport.authenticate('bearer', { session: false }), (req, res) => {
  res.json({ client_id: req.user.id, name: req.user.name, scope: req.authInfo.scope })
})

if (require.main === module) app.listen(3000)
