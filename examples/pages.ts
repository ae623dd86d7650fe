import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Session } from 'passport-client-assertion-jwt'
import { type Html, html } from './html.ts'
import { isLoopbackHost } from './loopback.ts'
import { describeScope, scopeValues } from './scopes.ts'

const STYLE = readFileSync(new URL('page.css', import.meta.url), 'utf8')
const STYLE_SOURCE = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`

/** What a form of ours carries to prove that it is ours. */
export interface FormGuard {
  readonly name: string
  readonly value: string
}

export interface Page {
  readonly title: string
  readonly body: Html
  /** Where the browser may be sent on to after a form of this page, besides our own pages. */
  readonly redirectUri?: string | undefined
}

const guardInput = (guard: FormGuard): Html => html`<input type="hidden" name="${guard.name}" value="${guard.value}">`

/** Answers with a page. No script runs on it, nobody may frame it, nothing of it is kept. */
export function sendPage(response: ServerResponse, status: number, page: Page): void {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title}</title>
<style>`.text
  const rest = html`</style>
</head>
<body>
<main>
${page.body}
</main>
</body>
</html>
`.text
  response.statusCode = status
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src ${STYLE_SOURCE}; form-action 'self'${formTargets(page.redirectUri)}; base-uri 'none'; frame-ancestors 'none'`,
  )
  response.end(response.req.method === 'HEAD' ? undefined : document + STYLE + rest)
}

/**
 * Browsers hold the redirects that follow a form to `form-action` too. So the client must be named there, or nobody
 * would ever arrive. A native app may listen on any port of the user's machine.
 */
function formTargets(redirectUri: string | undefined): string {
  if (redirectUri === undefined || !URL.canParse(redirectUri)) return ''
  const { protocol, hostname, host } = new URL(redirectUri)
  // The grammar of the header knows no IPv6 address, and no host with a semicolon may reach it.
  if (!/^[a-z0-9.-]+(?::\d+)?$/.test(host)) return ` ${protocol}`
  return isLoopbackHost(hostname) ? ` ${protocol}//localhost:* ${protocol}//127.0.0.1:*` : ` ${protocol}//${host}`
}

const field = (label: string, name: string, type: string, autocomplete: string, value?: string): Html => html`<label>
<span>${label}</span>
<input name="${name}" type="${type}" autocomplete="${autocomplete}" autocapitalize="none" spellcheck="false" value="${value}" required>
</label>`

export interface LoginPage {
  readonly action: string
  readonly guard: FormGuard
  /** What to go on with afterwards: the query string of an authorization request, or '' for the account page. */
  readonly authorizationRequest: string
  /** The client that sent the user here. */
  readonly clientName?: string | undefined
  readonly redirectUri?: string | undefined
  /** The name that was tried and failed. */
  readonly failedName?: string | undefined
}

export const loginPage = (page: LoginPage): Page => ({
  title: 'Log in',
  redirectUri: page.redirectUri,
  body: html`<h1>Log in</h1>
<p>${page.clientName === undefined ? 'to see the apps that are connected to your account' : html`to go on to <strong>${page.clientName}</strong>`}</p>
${page.failedName !== undefined && html`<p class="alert" role="alert">This user name and password do not belong together.</p>`}
<form method="post" action="${page.action}">
${guardInput(page.guard)}
<input type="hidden" name="authorization_request" value="${page.authorizationRequest}">
${field('User name', 'username', 'text', 'username', page.failedName)}
${field('Password', 'password', 'password', 'current-password')}
<div class="actions"><button type="submit" class="primary">Log in</button></div>
</form>`,
})

/** A scope value in words, and as it is called. */
const scopeTitle = (value: string): Html => {
  const words = describeScope(value)
  return words === value ? html`${value}` : html`${words} <code>${value}</code>`
}

export interface ConsentPage {
  readonly action: string
  readonly guard: FormGuard
  readonly transactionId: string
  readonly userName: string
  readonly clientName: string
  readonly redirectUri: string
  readonly scope: readonly string[]
  /** What the user allowed this client before. */
  readonly allowedBefore: readonly string[]
}

export const consentPage = (page: ConsentPage): Page => ({
  title: `Allow ${page.clientName}?`,
  redirectUri: page.redirectUri,
  body: html`<h1>Allow <strong>${page.clientName}</strong>?</h1>
<p>${
    page.scope.length === 0
      ? 'It asks to be connected to your account, and for nothing else.'
      : page.allowedBefore.length === 0
        ? 'It asks to be allowed to:'
        : 'It asks for more than you allowed before:'
  }</p>
${
  page.scope.length > 0 &&
  html`<ul class="scopes">${page.scope.map(
    (value) =>
      html`<li>${scopeTitle(value)}${page.allowedBefore.length > 0 && !page.allowedBefore.includes(value) && html`<em>new</em>`}</li>`,
  )}</ul>`
}
<form method="post" action="${page.action}">
${guardInput(page.guard)}
<input type="hidden" name="transaction_id" value="${page.transactionId}">
<div class="actions">
<button type="submit" name="allow" value="allow" class="primary">Allow</button>
<button type="submit" name="cancel" value="cancel">Deny</button>
</div>
</form>
<p class="small">You are logged in as ${page.userName}. Whatever you choose, you go on to <span class="host">${new URL(page.redirectUri).host}</span>.</p>`,
})

/** The paths the forms of the account page go to. */
export interface AccountPaths {
  readonly disconnect: string
  readonly disconnectAll: string
  readonly logout: string
  readonly logoutEverywhere: string
}

export interface AccountPage {
  readonly paths: AccountPaths
  readonly guard: FormGuard
  readonly userName: string
  readonly sessions: readonly Session[]
  readonly clientName: (clientId: string) => string
}

const moment = (epochSeconds: number): Html => {
  const date = new Date(epochSeconds * 1000)
  const text = date.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return html`<time datetime="${date.toISOString()}">${text} UTC</time>`
}

/** A client by its name, and by its identifier where that is another. */
const clientTitle = (name: string, clientId: string): Html =>
  name === clientId ? html`${name}` : html`${name} <code>${clientId}</code>`

const appRow = (page: AccountPage, session: Session): Html => html`<tr>
<th scope="row">${clientTitle(page.clientName(session.clientId), session.clientId)}</th>
<td data-label="May">${session.scope === '' ? 'nothing but be connected' : scopeValues(session.scope).map((value) => html`<div>${scopeTitle(value)}</div>`)}</td>
<td data-label="Since">${moment(session.createdAt)}</td>
<td data-label="Last used">${moment(session.refreshedAt)}</td>
<td><form method="post" action="${page.paths.disconnect}">
${guardInput(page.guard)}
<input type="hidden" name="session" value="${session.id}">
<button type="submit">Disconnect</button>
</form></td>
</tr>`

const oneButton = (guard: FormGuard, action: string, label: string, kind = ''): Html =>
  html`<form method="post" action="${action}">${guardInput(guard)}<button type="submit" class="${kind}">${label}</button></form>`

export const accountPage = (page: AccountPage): Page => ({
  title: 'Your account',
  body: html`<header class="bar"><h1>Hello ${page.userName}</h1>${oneButton(page.guard, page.paths.logout, 'Log out')}</header>
<h2>Connected apps</h2>
${
  page.sessions.length === 0
    ? html`<p class="empty">No app is connected to your account.</p>`
    : html`<table>
<thead><tr><th scope="col">App</th><th scope="col">May</th><th scope="col">Since</th><th scope="col">Last used</th><td></td></tr></thead>
<tbody>${page.sessions.map((session) => appRow(page, session))}</tbody>
</table>`
}
<div class="actions">${oneButton(page.guard, page.paths.disconnectAll, 'Disconnect all apps', 'danger')}</div>
<p class="small">You stay logged in. An app that you disconnect has to ask again.</p>
<h2>Logins</h2>
<div class="actions">${oneButton(page.guard, page.paths.logoutEverywhere, 'Log out everywhere', 'danger')}</div>
<p class="small">On all your devices, this one too. Your apps stay connected.</p>`,
})

export interface LinkOnPage {
  readonly href: string
  readonly text: string
}

/** A page that only says something. */
export const messagePage = (title: string, message: string, link?: LinkOnPage): Page => ({
  title,
  body: html`<h1>${title}</h1>
<p>${message}</p>
${link && html`<p><a href="${link.href}">${link.text}</a></p>`}`,
})
