import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { algorithmNamed, KEY_PAIR_ALGORITHMS } from '../keys/algorithms.ts'
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

/**
 * `keygen`: makes a key pair for `private_key_jwt`. The private JWK goes to a file that only its owner can read
 * (mode 600) and that must not exist; the public JWK set goes to standard output, ready for `jwks` or `jwks_uri`.
 * The key id is the RFC 7638 thumbprint unless `--kid` names one. The file is written before anything is printed.
 */
export async function keygen(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { alg: { type: 'string' }, kid: { type: 'string' }, out: { type: 'string' } },
  })
  const alg = values.alg ?? 'ES256'
  if (algorithmNamed(alg)?.kind === 'mac')
    throw new UsageError(`${alg} uses the client's secret; there is no key pair to make. Try: openssl rand -base64 48`)
  if (!KEY_PAIR_ALGORITHMS.includes(alg))
    throw new UsageError(`--alg must be one of ${KEY_PAIR_ALGORITHMS.join(', ')}, got ${alg}`)
  if (values.kid === '') throw new UsageError('--kid must not be empty')
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const publicJwk = await exportJWK(publicKey)
  const named = { kid: values.kid ?? (await calculateJwkThumbprint(publicJwk)), alg, use: 'sig' }
  const file = values.out ?? 'private_key.jwk.json'
  writeSecretFile(file, `${JSON.stringify({ ...(await exportJWK(privateKey)), ...named }, null, 2)}\n`)
  io.out(`${JSON.stringify({ keys: [{ ...publicJwk, ...named }] }, null, 2)}\n`)
  io.err(`The private key is in ${file} (mode 600). The public set above is what you register as jwks.\n`)
  return EXIT.fine
}
