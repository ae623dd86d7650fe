import { isStrings } from './optional.ts'

/** What limits the use of a code or a session, beyond its scope. Absent members limit nothing. */
export interface Binding {
  /** The resource indicators (RFC 8707), as they are registered. Never empty. */
  readonly resources?: readonly string[] | undefined
  /** The SHA-256 thumbprint (RFC 7638) of the key that the client must prove (RFC 9449). */
  readonly keyThumbprint?: string | undefined
}

/** A copy of the members of a record that is bound; `undefined` if it is bound to nothing, as most records are. */
export function bindingOf({ resources, keyThumbprint }: Binding): Binding | undefined {
  if (resources === undefined && keyThumbprint === undefined) return undefined
  return {
    ...(resources === undefined ? undefined : { resources: [...resources] }),
    ...(keyThumbprint === undefined ? undefined : { keyThumbprint }),
  }
}

/** Whether what a record is bound to can be read. A node that ignored a damaged binding would widen it. */
export const hasSoundBinding = ({ resources, keyThumbprint }: Binding): boolean =>
  (resources === undefined || isStrings(resources)) &&
  (keyThumbprint === undefined || typeof keyThumbprint === 'string')
