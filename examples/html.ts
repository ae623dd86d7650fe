/** A piece of HTML in which everything that came from outside is escaped. Only `html` makes it. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const rendered = (value: unknown): string => {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(rendered).join('')
  if (value === undefined || value === null || value === false) return ''
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/**
 * Template tag: values are escaped, unless they are `Html` themselves; arrays are joined; `undefined`, `null` and
 * `false` are nothing. Attributes must stand in quotes.
 */
export const html = (strings: TemplateStringsArray, ...values: readonly unknown[]): Html =>
  new Html(strings.reduce((text, string, index) => text + rendered(values[index - 1]) + string))
