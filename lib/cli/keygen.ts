import { chmodSync, existsSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { algorithmNamed, KEY_PAIR_ALGORITHMS } from '../keys/algorithms.ts'
import { PRIVATE_MEMBERS } from '../keys/public_keys.ts'
import { EXIT, type Io, UsageError } from './io.ts'

/** Writes a file that only its owner can read, and that must not be there yet. */
function writeSecretFile(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') throw new UsageError(`${file} exists already and is left as it is; choose another --out`)
    throw new UsageError(`cannot write ${file}: ${message}`)
  }
}

type Keys = readonly Readonly<Record<string, unknown>>[]

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The set in the file that `--jwks` names, for adding a key to it. A file that does not exist is an empty set. */
function readSet(file: string): { readonly set: Readonly<Record<string, unknown>>; readonly keys: Keys } {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { set: {}, keys: [] }
    throw new UsageError(`--jwks: cannot read ${file}: ${(cause as Error).message}`)
  }
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    throw new UsageError(`--jwks: ${file} is not JSON and is left as it is`)
  }
  if (!isObject(set) || !Array.isArray(set['keys']) || !set['keys'].every(isObject))
    throw new UsageError(`--jwks: ${file} is not a JWK set and is left as it is`)
  if (set['keys'].some((jwk: object) => PRIVATE_MEMBERS.some((member) => member in jwk)))
    throw new UsageError(`--jwks: ${file} has private keys and is left as it is; it would be published`)
  return { set, keys: set['keys'] }
}

/** Writes a file so that readers see the old content or the new, never a part: under another name first, then renamed. */
function replaceFile(file: string, text: string): void {
  const target = existsSync(file) ? realpathSync(file) : file
  const mode = existsSync(target) ? statSync(target).mode & 0o777 : 0o644
  const temporary = `${target}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode, flush: true })
    chmodSync(temporary, mode)
    renameSync(temporary, target)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new UsageError(`--jwks: cannot write ${file}: ${(cause as Error).message}`)
  }
}

/**
 * `keygen`: makes a key pair for `private_key_jwt`. The private JWK goes to a file that only its owner can read
 * (mode 600) and that must not exist. The public JWK set goes to standard output, ready for `jwks` or `jwks_uri`, or
 * with `--jwks` into a file, next to the keys that are there. The key id is the RFC 7638 thumbprint unless `--kid` names
 * one. If the public half cannot be written, no private key is left.
 */
export async function keygen(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { alg: { type: 'string' }, kid: { type: 'string' }, out: { type: 'string' }, jwks: { type: 'string' } },
  })
  const alg = values.alg ?? 'ES256'
  if (algorithmNamed(alg)?.kind === 'mac')
    throw new UsageError(`${alg} uses the client's secret; there is no key pair to make. Try: openssl rand -base64 48`)
  if (!KEY_PAIR_ALGORITHMS.includes(alg))
    throw new UsageError(`--alg must be one of ${KEY_PAIR_ALGORITHMS.join(', ')}, got ${alg}`)
  if (values.kid === '') throw new UsageError('--kid must not be empty')
  const { out: file = 'private_key.jwk.json', jwks } = values
  if (jwks === '' || file === '') throw new UsageError('--jwks and --out must not be empty')
  if (jwks !== undefined && resolve(jwks) === resolve(file)) throw new UsageError('--jwks and --out name the same file')
  const { set, keys } = jwks === undefined ? { set: {}, keys: [] } : readSet(jwks)
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const publicJwk = await exportJWK(publicKey)
  const named = { kid: values.kid ?? (await calculateJwkThumbprint(publicJwk)), alg, use: 'sig' }
  if (keys.some(({ kid }) => kid === named.kid)) throw new UsageError(`--kid: ${jwks} has a key with this id already`)
  const publicSet = `${JSON.stringify({ ...set, keys: [...keys, { ...publicJwk, ...named }] }, null, 2)}\n`
  writeSecretFile(file, `${JSON.stringify({ ...(await exportJWK(privateKey)), ...named }, null, 2)}\n`)
  if (jwks === undefined) {
    io.out(publicSet)
    io.err(`The private key is in ${file} (mode 600). The public set above is what you register as jwks.\n`)
    return EXIT.fine
  }
  try {
    replaceFile(jwks, publicSet)
  } catch (error) {
    rmSync(file, { force: true })
    throw error
  }
  const others = keys.length === 0 ? '' : `, next to ${keys.length} other${keys.length === 1 ? '' : 's'}`
  io.err(`The private key is in ${file} (mode 600). The public key ${named.kid} is in ${jwks}${others}.\n`)
  return EXIT.fine
}
