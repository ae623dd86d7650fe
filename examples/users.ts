import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/** A user who can log in: a row of the users file without the password. */
export interface User {
  readonly sub: string
  readonly username: string
  readonly name: string
}

export interface Users {
  /** Returns the user whom another issuer knows under this `sub`. */
  findByIdentity(issuer: string, sub: string): User | undefined
  find(sub: string): User | undefined
  /** Returns the user of this name if the password is right. Takes the same time whether or not the user exists. */
  authenticate(username: string, password: string): User | undefined
}

/** Compared with the password if there is no such user. */
const NOBODY = { digest: createHash('sha256').update('nobody').digest(), user: undefined }

// Digests have one length, which timingSafeEqual needs. A real application stores passwords as scrypt or argon2 hashes;
// here they are in a file in clear text, so that people can read them and log in.
const digestOf = (password: string): Buffer => createHash('sha256').update(normalize(password)).digest()

/** One spelling for text that looks the same: keyboards differ in how they write é (RFC 8265). */
const normalize = (text: string): string => text.normalize('NFC')

interface Identity {
  readonly issuer: string
  readonly sub: string
}

const isIdentity = (value: unknown): value is Identity => {
  const { issuer, sub } = Object(value) as { readonly issuer?: unknown; readonly sub?: unknown }
  return typeof issuer === 'string' && issuer !== '' && typeof sub === 'string' && sub !== ''
}

const identityKey = (issuer: string, sub: string): string => JSON.stringify([issuer, sub])

/** Reads a users file: a JSON array of `{ "sub", "username", "password", "name", "identities" }`. Rejects if it cannot be used. */
export async function readUsers(path: string): Promise<Users> {
  const byName = new Map<string, { readonly digest: Buffer; readonly user: User }>()
  const bySub = new Map<string, User>()
  const byIdentity = new Map<string, User>()
  for (const [index, row] of (await readJsonArray(path)).entries()) {
    const text = (member: string): string => {
      const value = row[member]
      if (typeof value === 'string' && value !== '') return value
      throw new Error(`has a user (number ${index + 1}) without ${member}`)
    }
    const user: User = {
      sub: text('sub'),
      username: text('username'),
      name: row['name'] === undefined ? text('username') : text('name'),
    }
    const name = normalize(user.username)
    if (byName.has(name)) throw new Error(`has two users named ${JSON.stringify(user.username)}`)
    if (bySub.has(user.sub)) throw new Error(`has two users with the sub ${JSON.stringify(user.sub)}`)
    byName.set(name, { digest: digestOf(text('password')), user })
    bySub.set(user.sub, user)
    const identities: unknown = row['identities'] ?? []
    if (!Array.isArray(identities) || !identities.every(isIdentity))
      throw new Error(`has a user (number ${index + 1}) whose identities are not an array of { issuer, sub }`)
    for (const { issuer, sub } of identities) {
      if (byIdentity.has(identityKey(issuer, sub)))
        throw new Error(`has two users with the identity ${JSON.stringify(sub)} of ${JSON.stringify(issuer)}`)
      byIdentity.set(identityKey(issuer, sub), user)
    }
  }
  return {
    find: (sub) => bySub.get(sub),
    findByIdentity: (issuer, sub) => byIdentity.get(identityKey(issuer, sub)),
    authenticate(username, password) {
      const known = byName.get(normalize(username)) ?? NOBODY
      return timingSafeEqual(known.digest, digestOf(password)) ? known.user : undefined
    },
  }
}

/** Reads a file with a JSON array of objects. The message of a rejection continues the name of the file. */
export async function readJsonArray(path: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code ?? 'unknown'})`)
  })
  let parsed: unknown
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    throw new Error('is not JSON') // the parser's message quotes the file, and with it secrets
  }
  if (!Array.isArray(parsed)) throw new Error('must be a JSON array')
  for (const [index, row] of parsed.entries())
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new Error(`must contain objects only, and number ${index + 1} is none`)
  return parsed
}
