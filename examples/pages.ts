import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Session } from 'passport-client-assertion-jwt'
import type { ClientDescription } from 'passport-client-assertion-jwt/cimd'
import { type Html, html } from './html.ts'
import { describeScope, scopeValues } from './scopes.ts'

const STYLE = readFileSync(new URL('page.css', import.meta.url), 'utf8')
const STYLE_SOURCE = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`

/** The field with which a form of ours proves that it is ours. */
export interface FormGuard {
  readonly name: string
  readonly value: string
}

export interface Page {
  readonly title: string
  readonly body: Html
  /** A form of this page may end at a client: browsers hold every redirect after it to `form-action`. */
  readonly leadsToClient?: boolean
  /** Where the browser continues by itself after a second. */
  readonly next?: string
}

const guardInput = (guard: FormGuard): Html => html`<input type="hidden" name="${guard.name}" value="${guard.value}">`

/**
 * Responds with a page. Scripts do not run on it, other sites cannot frame it, browsers do not store it.
 *
 * Pages whose forms lead to a client have no `form-action`: clients may redirect on to other origins and to apps (identity
 * brokers do), and browsers would stop the user there, with the code already used. The actions of our forms are fixed paths,
 * and everything on a page is escaped, so there is no form that could be redirected.
 */
export function sendPage(response: ServerResponse, status: number, page: Page): void {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${page.next !== undefined && html`<meta http-equiv="refresh" content="1;url=${page.next}">`}
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
  const formAction = page.leadsToClient ? '' : " form-action 'self';"
  const policy = `default-src 'none'; style-src ${STYLE_SOURCE};${formAction} base-uri 'none'; frame-ancestors 'none'`
  response.setHeader('Content-Security-Policy', policy)
  response.end(response.req.method === 'HEAD' ? undefined : document + STYLE + rest)
}

const field = (
  label: string,
  name: string,
  type: string,
  autocomplete: string,
  value = '',
  focus = true,
): Html => html`<label>
<span>${label}</span>
<input name="${name}" type="${type}" autocomplete="${autocomplete}" autocapitalize="none" spellcheck="false" value="${value}" required${focus && html` autofocus`}>
</label>`

/** A login that did not succeed. */
export interface FailedLogin {
  readonly username: string
  /** Set if there were too many: seconds until the next attempt. */
  readonly waitSeconds?: number
}

export interface LoginPage {
  readonly action: string
  readonly guard: FormGuard
  /** The query string of the authorization request to continue with, or '' for the account page. */
  readonly authorizationRequest: string
  /** The client that sent the user here. */
  readonly clientName?: string | undefined
  readonly failed?: FailedLogin | undefined
}

export const loginPage = (page: LoginPage): Page => ({
  title: 'Log in',
  leadsToClient: true,
  body: html`<h1>Log in</h1>
<p>${page.clientName === undefined ? 'to see the apps that are connected to your account' : html`to continue to <strong>${page.clientName}</strong>`}</p>
${page.failed && html`<p class="alert" role="alert">${reasonOf(page.failed)}</p>`}
<form method="post" action="${page.action}">
${guardInput(page.guard)}
<input type="hidden" name="authorization_request" value="${page.authorizationRequest}">
${field('User name', 'username', 'text', 'username', page.failed?.username, !page.failed)}
${field('Password', 'password', 'password', 'current-password', '', page.failed !== undefined)}
<div class="actions"><button type="submit" class="primary">Log in</button></div>
</form>`,
})

function reasonOf({ waitSeconds }: FailedLogin): string {
  if (waitSeconds === undefined) return 'The user name or the password is wrong.'
  const wait = waitSeconds <= 90 ? `${waitSeconds} seconds` : `${Math.ceil(waitSeconds / 60)} minutes`
  return `Too many failed logins. Wait ${wait}, then try again.`
}

/** A scope value in words, followed by the value itself. */
const scopeTitle = (value: string): Html => {
  const words = describeScope(value)
  return words === value ? html`${value}` : html`${words} <code>${value}</code>`
}

export interface ConsentPage {
  readonly action: string
  readonly guard: FormGuard
  /** The query string of the request, to start again with. */
  readonly authorizationRequest: string
  readonly transactionId: string
  /** Where another user can log in. */
  readonly otherUser: string
  readonly userName: string
  readonly clientName: string
  readonly client: ClientDescription
  readonly scope: readonly string[]
  /** What the tokens are for, if there is more than one possibility. */
  readonly resources: readonly string[]
  /** What the user allowed this client before; `undefined` if nothing was. */
  readonly allowedBefore: readonly string[] | undefined
}

/** What the client asks for, in relation to what the user allowed it before. */
function askOf({ scope, allowedBefore }: ConsentPage): string {
  if (scope.length === 0) return 'It asks to be connected to your account, without access to your data.'
  if (allowedBefore === undefined) return 'It asks for permission to:'
  const isMore = scope.some((value) => !allowedBefore.includes(value))
  return isMore
    ? 'It asks for more than you allowed before:'
    : 'You allowed this before. It asks again for permission to:'
}

const isNew = ({ allowedBefore }: ConsentPage, value: string): boolean =>
  allowedBefore !== undefined && !allowedBefore.includes(value)

/** What a user has to know of a client that nobody has registered. */
const aboutSelfDescribed = ({ client: { name, host, isLoopback } }: ConsentPage): Html => html`<p>${
  name === undefined ? 'This app gives no name.' : 'The app chose this name itself. Nobody has checked it.'
} It comes from <strong class="host">${host}</strong>.</p>
${
  isLoopback &&
  html`<p class="alert" role="note">The app runs on your device. Any program on your device can pose as it: allow it only if you have just started it yourself.</p>
`
}`

export const consentPage = (page: ConsentPage): Page => ({
  title: `Allow ${page.clientName}?`,
  leadsToClient: true,
  body: html`<h1>Allow <strong>${page.clientName}</strong>?</h1>
${page.client.nameIsSelfGiven && aboutSelfDescribed(page)}<p>${askOf(page)}</p>
${
  page.scope.length > 0 &&
  html`<ul class="scopes">${page.scope.map(
    (value) => html`<li><span>${scopeTitle(value)}</span>${isNew(page, value) && html`<em>new</em>`}</li>`,
  )}</ul>`
}
${
  page.resources.length > 0 &&
  html`<p>This is for ${page.resources.map((uri, at) => html`${at > 0 && ' and '}<span class="host">${uri}</span>`)}.</p>`
}
<form method="post" action="${page.action}">
${guardInput(page.guard)}
<input type="hidden" name="authorization_request" value="${page.authorizationRequest}">
<input type="hidden" name="transaction_id" value="${page.transactionId}">
<div class="actions">
<button type="submit" name="allow" value="allow" class="primary">Allow</button>
<button type="submit" name="cancel" value="cancel">Deny</button>
</div>
</form>
<p class="small">You are logged in as ${page.userName} (<a href="${page.otherUser}">not you?</a>). Allow or deny: either way you continue to <span class="host">${page.client.redirectHost}</span>.</p>`,
})

/** The actions of the forms on the account page. */
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

// made once: a new one for each moment takes most of the time of a long page
const MOMENTS = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })

const moment = (epochSeconds: number): Html => {
  const date = new Date(epochSeconds * 1000)
  return html`<time datetime="${date.toISOString()}">${MOMENTS.format(date)} UTC</time>`
}

/** The name of a client, followed by its identifier if that differs. */
const clientTitle = (name: string, clientId: string): Html =>
  name === clientId ? html`${name}` : html`${name} <code>${clientId}</code>`

/** The sessions of one client: a row for each, below one heading. */
const appRows = (page: AccountPage, clientId: string, sessions: readonly Session[]): Html => {
  const name = page.clientName(clientId)
  const count = sessions.length > 1 && html`<span class="count">${sessions.length} connections</span>`
  const heading = html`<th scope="rowgroup" rowspan="${sessions.length}">${clientTitle(name, clientId)}${count}</th>
`
  return html`<tbody>${sessions.map(
    (session, index) => html`<tr>
${index === 0 && heading}<td data-label="Access">${session.scope === '' ? 'none to your data' : scopeValues(session.scope).map((value) => html`<div>${scopeTitle(value)}</div>`)}</td>
<td data-label="Since">${moment(session.createdAt)}</td>
<td data-label="Last used">${moment(session.refreshedAt)}</td>
<td><form method="post" action="${page.paths.disconnect}">
${guardInput(page.guard)}
<input type="hidden" name="session" value="${session.id}">
<button type="submit">Disconnect<span class="unseen"> ${name}</span></button>
</form></td>
</tr>`,
  )}</tbody>
`
}

/** In the order of the first session of each client. */
function byClient(sessions: readonly Session[]): ReadonlyMap<string, readonly Session[]> {
  const groups = new Map<string, Session[]>()
  for (const session of sessions) {
    const group = groups.get(session.clientId)
    if (group === undefined) groups.set(session.clientId, [session])
    else group.push(session)
  }
  return groups
}

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
<thead><tr><th scope="col">App</th><th scope="col">Access</th><th scope="col">Since</th><th scope="col">Last used</th><td></td></tr></thead>
${[...byClient(page.sessions)].map(([clientId, sessions]) => appRows(page, clientId, sessions))}</table>`
}
<div class="actions">${oneButton(page.guard, page.paths.disconnectAll, 'Disconnect all apps', 'danger')}</div>
<p class="small">You stay logged in. A disconnected app has to ask you again.</p>
<h2>Logins</h2>
<div class="actions">${oneButton(page.guard, page.paths.logoutEverywhere, 'Log out everywhere', 'danger')}</div>
<p class="small">This logs you out on all your devices, including this one. Your apps stay connected.</p>`,
})

export interface LinkOnPage {
  readonly href: string
  readonly text: string
}

/** A page with a message, and at most one link. */
export const messagePage = (title: string, message: string, link?: LinkOnPage): Page => ({
  title,
  body: html`<h1>${title}</h1>
<p>${message}</p>
${link && html`<p><a href="${link.href}">${link.text}</a></p>`}`,
})
