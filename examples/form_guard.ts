import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Cookie, createCookie } from './cookies.ts'
import type { FormGuard } from './pages.ts'

const FIELD = 'form_guard'

/** Keeps other sites from sending our forms. */
export interface FormGuards {
  /** Returns what each form of ours carries. A browser that has no cookie of ours gets one to bind the form to. */
  forForm(request: IncomingMessage, response: ServerResponse): FormGuard
  /** Returns why the form is refused; `undefined` if a page of ours sent it. */
  refuse(request: IncomingMessage, body: Readonly<Record<string, string>>): string | undefined
}

/**
 * Browsers say in `Sec-Fetch-Site` who sent a form. That is enough: it holds for each tab, whatever other tabs do to the
 * cookies. Older browsers, and all browsers at an `http:` issuer off this machine, send no such header. For them a form
 * carries a MAC of a cookie: of the login if there is one, otherwise of a cookie that only serves this purpose. Other
 * sites can read neither, so they cannot make such a form. All nodes derive the same key.
 */
export function createFormGuards(options: {
  readonly issuer: string
  readonly baseSecret: Uint8Array
  readonly loginCookie: Cookie
}): FormGuards {
  const { issuer, baseSecret, loginCookie } = options
  const browserCookie = createCookie('browser', issuer)
  const key = Buffer.from(hkdfSync('sha256', baseSecret, issuer, 'form guard', 32))
  const macOf = (purpose: string, cookie: string): Buffer =>
    createHmac('sha256', key).update(`${purpose} ${cookie}`).digest()

  return {
    forForm(request, response) {
      const login = loginCookie.read(request)
      if (login !== undefined) return { name: FIELD, value: macOf('login', login).toString('base64url') }
      const known = browserCookie.read(request)
      const browser = known ?? randomBytes(32).toString('base64url')
      if (known === undefined) browserCookie.write(response, browser)
      return { name: FIELD, value: macOf('browser', browser).toString('base64url') }
    },
    refuse(request, body) {
      const site = request.headers['sec-fetch-site']
      if (site === 'same-origin') return undefined
      if (site === 'cross-site' || site === 'same-site')
        return 'Another site sent it. If you did not expect that, close this page.'
      const presented = Buffer.from(body[FIELD] ?? '', 'base64url')
      const login = loginCookie.read(request)
      const browser = browserCookie.read(request)
      // A login form that was open while the user logged in in another tab carries the MAC of the older cookie.
      const expected = [login && macOf('login', login), browser && macOf('browser', browser)]
      const matches = expected.some((mac) => mac && mac.length === presented.length && timingSafeEqual(mac, presented))
      return matches ? undefined : 'It is too old, or your browser does not accept cookies.'
    },
  }
}
