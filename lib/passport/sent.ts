import { formOf } from '../parameters.ts'

/**
 * The parameters in `request.body`, with any body parser, as far as they say anything: own members, and not those that were
 * sent empty (RFC 6749 §3.2). Their values may be anything.
 */
export function sentParameters(request: unknown): Readonly<Record<string, unknown>> {
  const body = (request as { readonly body?: unknown } | null | undefined)?.body
  if (typeof body !== 'object' || body === null) return {}
  return (
    formOf(request as object) ??
    Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined && value !== ''))
  )
}
