type Body = Readonly<Record<string, unknown>>

const isSent = (value: unknown): boolean => value !== undefined && value !== ''

/** Whether all members of a body are its own and were sent, as in a form that `readFormBody` returned. */
function isSentAsItIs(body: Body): boolean {
  if (Object.getPrototypeOf(body) !== null) return false
  for (const name in body) if (!isSent(body[name])) return false
  return true
}

/**
 * The parameters in `request.body`, with any body parser, as far as they say anything: own members, and not those that were
 * sent empty (RFC 6749 §3.2). Their values may be anything.
 */
export function sentParameters(request: unknown): Body {
  const body = (request as { readonly body?: unknown } | null | undefined)?.body
  if (typeof body !== 'object' || body === null) return {}
  const members = body as Body
  return isSentAsItIs(members)
    ? members
    : Object.fromEntries(Object.entries(members).filter(([, value]) => isSent(value)))
}
