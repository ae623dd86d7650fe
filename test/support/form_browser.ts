/** A form of a page, as a browser without scripts sees it. */
export interface Form {
  readonly action: string
  readonly method: string
  /** Inputs and their values, hidden ones included. */
  readonly fields: Readonly<Record<string, string>>
  /** Named buttons and their values. */
  readonly buttons: Readonly<Record<string, string>>
}

export interface Visit {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly forms: readonly Form[]
  /** Where the page sent the browser to, outside of what this browser visits. */
  readonly redirectedTo: URL | undefined
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const decoded = (text: string): string => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ENTITIES[name] ?? '')

const attributesOf = (tag: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...tag.matchAll(/([a-z-]+)(?:="([^"]*)")?/gi)].map(([, name = '', value = '']) => [name, decoded(value)]),
  )

/** Named elements of the kind `tag` in a piece of HTML, with their values. */
const named = (html: string, tag: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...html.matchAll(new RegExp(`<${tag}\\s([^>]*)>`, 'g'))]
      .map(([, text = '']) => attributesOf(text))
      .filter(({ name }) => name !== undefined)
      .map(({ name = '', value = '' }) => [name, value]),
  )

const formsOf = (html: string, pageUrl: string): Form[] =>
  [...html.matchAll(/<form\s([^>]*)>([\s\S]*?)<\/form>/g)].map(([, tag = '', inside = '']) => {
    const { action = '', method = 'get' } = attributesOf(tag)
    return {
      action: new URL(action, pageUrl).href,
      method: method.toUpperCase(),
      fields: named(inside, 'input'),
      buttons: named(inside, 'button'),
    }
  })

/** A browser without scripts: keeps cookies, follows redirects within `origin`, fills in forms. */
export interface FormBrowser {
  readonly cookies: Map<string, string>
  visit(url: string, init?: RequestInit): Promise<Visit>
  /** Sends the form whose action ends so, with these fields and this button in addition. */
  submit(page: Visit, actionEnd: string, fields?: Readonly<Record<string, string>>, button?: string): Promise<Visit>
  /** Visits an authorization URL, logs in and answers the consent form where they come up. The URL the client gets. */
  authorize(
    url: string,
    user: { readonly username: string; readonly password: string },
    answer?: 'allow' | 'cancel',
  ): Promise<URL>
}

export function createFormBrowser(origin: string): FormBrowser {
  const cookies = new Map<string, string>()

  async function visit(url: string, init: RequestInit = {}): Promise<Visit> {
    let target = url
    let request = init
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const headers = new Headers(request.headers)
      if (cookie !== '') headers.set('Cookie', cookie)
      const response = await fetch(target, { ...request, headers, redirect: 'manual' })
      for (const line of response.headers.getSetCookie()) {
        const [pair = '', ...attributes] = line.split(';')
        const [name = '', value = ''] = pair.split('=', 2)
        if (attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute))) cookies.delete(name.trim())
        else cookies.set(name.trim(), value)
      }
      const location = response.headers.get('Location')
      const text = await response.text()
      const next = location === null ? undefined : new URL(location, target)
      if (next === undefined || next.origin !== origin) {
        return {
          url: target,
          status: response.status,
          headers: response.headers,
          text,
          forms: formsOf(text, target),
          redirectedTo: next,
        }
      }
      target = next.href
      request = {} // 302 and 303 alike become GET
    }
    throw new Error(`${url} redirects without end`)
  }

  const submit: FormBrowser['submit'] = async (page, actionEnd, fields = {}, button) => {
    const form = page.forms.find(({ action }) => new URL(action).pathname.endsWith(actionEnd))
    if (form === undefined) throw new Error(`no form for ${actionEnd} on ${page.url} (${page.status}):\n${page.text}`)
    if (button !== undefined && form.buttons[button] === undefined) throw new Error(`no button named ${button}`)
    const pressed = button === undefined ? {} : { [button]: form.buttons[button] ?? '' }
    return visit(form.action, {
      method: form.method,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'same-origin' },
      body: new URLSearchParams({ ...form.fields, ...fields, ...pressed }).toString(),
    })
  }

  const authorize: FormBrowser['authorize'] = async (url, { username, password }, answer = 'allow') => {
    let page = await visit(url)
    if (page.forms.some(({ fields }) => 'password' in fields))
      page = await submit(page, '/login', { username, password })
    if (page.forms.some(({ fields }) => 'transaction_id' in fields)) page = await submit(page, '/decision', {}, answer)
    if (page.redirectedTo === undefined) throw new Error(`no redirect from ${page.url} (${page.status}):\n${page.text}`)
    return page.redirectedTo
  }

  return { cookies, visit, submit, authorize }
}
