// A client of the example server, to click through: `npm run example` in one terminal, `npm run example:client` in another.
// It authenticates with its key (private_key_jwt). The server fetches the public half from this program.
import { randomBytes } from 'node:crypto'
import express from 'express'
import { exportJWK, generateKeyPair } from 'jose'
import * as openid from 'openid-client'
import { html } from './html.ts'
import { sendPage } from './pages.ts'

const port = Number(process.env['PORT'] || 4000)
const issuer = new URL(process.env['ISSUER'] || 'http://localhost:3000')
const url = `http://127.0.0.1:${port}`
const redirect_uri = `${url}/callback`

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const kid = randomBytes(8).toString('hex') // a new key for each run, so that it needs a new name

/** What happens between leaving for the server and coming back. One user clicks here; a real client keeps it per user. */
let pending: { readonly pkceCodeVerifier: string; readonly expectedState: string } | undefined
let refreshToken: string | undefined

let discovered: Promise<openid.Configuration> | undefined
const discover = (): Promise<openid.Configuration> => {
  discovered ??= openid.discovery(issuer, 'notebook', undefined, openid.PrivateKeyJwt({ key: privateKey, kid }), {
    algorithm: 'oauth2',
    execute: issuer.protocol === 'http:' ? [openid.allowInsecureRequests] : [],
  })
  discovered.catch(() => {
    discovered = undefined // the server may be started later
  })
  return discovered
}

const app = express()
app.get('/jwks.json', async (_req, res) => {
  res.json({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] })
})

app.get('/', (_req, res) => {
  const body = html`<h1>Notebook</h1><p>keeps your notes with the help of another server.</p><p><a href="/connect">Connect</a></p>`
  sendPage(res, 200, { title: 'Notebook', body })
})

app.get('/connect', async (_req, res) => {
  const config = await discover()
  pending = { pkceCodeVerifier: openid.randomPKCECodeVerifier(), expectedState: openid.randomState() }
  const target = openid.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: 'profile notes.read notes.write',
    state: pending.expectedState,
    code_challenge: await openid.calculatePKCECodeChallenge(pending.pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  res.redirect(target.href)
})

app.get('/callback', async (req, res) => {
  if (pending === undefined) return res.redirect('/')
  const tokens = await openid.authorizationCodeGrant(await discover(), new URL(req.url, url), pending)
  pending = undefined
  refreshToken = tokens.refresh_token
  return show(res, 'Connected', tokens)
})

app.get('/refresh', async (_req, res) => {
  if (refreshToken === undefined) return res.redirect('/')
  const tokens = await openid.refreshTokenGrant(await discover(), refreshToken)
  refreshToken = tokens.refresh_token ?? refreshToken
  return show(res, 'Refreshed', tokens)
})

async function show(
  res: express.Response,
  title: string,
  { access_token, scope }: openid.TokenEndpointResponse,
): Promise<void> {
  const answer = await openid.tokenIntrospection(await discover(), access_token)
  const body = html`<h1>${title}</h1><p>with the scope <strong>${scope}</strong>. The server says of the access token:</p>
<pre>${JSON.stringify(answer, null, 2)}</pre>
<p><a href="/refresh">Refresh</a> · <a href="/">Start again</a> · <a href="${issuer.href.replace(/\/$/, '')}/account">Your account at the server</a></p>`
  sendPage(res, 200, { title, body })
}

const onError: express.ErrorRequestHandler = (error, _req, res, _next) => {
  const told = error instanceof openid.ResponseBodyError || error instanceof openid.AuthorizationResponseError
  const what = told ? `${error.error}: ${error.error_description ?? ''}` : String(error?.cause?.message ?? error)
  sendPage(res, 502, {
    title: 'This did not work',
    body: html`<h1>This did not work</h1><p>${what}</p><p><a href="/">Start again</a></p>`,
  })
}
app.use(onError)

app.listen(port, '127.0.0.1', () => console.log(`The client listens on ${url}`))
