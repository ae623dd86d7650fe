/**
 * Reads the user's decision from the form, as `server.decision(parse)` calls it: allowed if the form has one field `allow`
 * with the value `allow`, and no `cancel`. Everything else is a denial.
 */
export function readDecision(request: object, done: (error: Error | null, decision: { allow: boolean }) => void): void {
  const { body } = request as { readonly body?: unknown }
  const has = (name: string): boolean => typeof body === 'object' && body !== null && Object.hasOwn(body, name)
  done(null, { allow: has('allow') && !has('cancel') && (body as { readonly allow: unknown }).allow === 'allow' })
}
