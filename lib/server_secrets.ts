import { badSecretOption } from './options.ts'

const LEAST_SECRET_BYTES = 32

/**
 * The secrets of a server in an option that takes one or several: the first is used for what is new, every one for what
 * is verified or opened (rotation). A string counts as its UTF-8 bytes. Throws a `TypeError` that names the option, and
 * never shows a secret, unless each has at least 32 bytes.
 */
export function readServerSecrets(name: string, given: unknown): readonly [Uint8Array, ...Uint8Array[]] {
  const [first, ...others] = (Array.isArray(given) ? given : [given]).map((each: unknown) => {
    const bytes = typeof each === 'string' ? Buffer.from(each, 'utf8') : each
    if (bytes instanceof Uint8Array && bytes.length >= LEAST_SECRET_BYTES) return bytes
    throw badSecretOption(name, `a random secret of at least ${LEAST_SECRET_BYTES} bytes, or an array of them`, each)
  })
  if (first === undefined) throw badSecretOption(name, 'at least one secret', given)
  return [first, ...others]
}
