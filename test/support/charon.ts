// What Charon and CharonOauth2 keep and issue, made here as they make it: the fixtures of a move from them.
import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

export const CHARON_SECRET = 'the base secret of the old server, 48 characters'

const derived = (salt: string): Buffer => pbkdf2Sync(CHARON_SECRET, salt, 250_000, 32, 'sha256')
const columnKey = derived('charon_oauth2_type_encrypted')
const tokenKey = derived('charon_jwt_default')
const recordKey = derived('RedisStore HMAC')

/** A string as a column of `CharonOauth2.Types.Encrypted` has it. */
export function encryptedColumn(text: string): Buffer {
  const iv = randomBytes(16)
  const cipher = createCipheriv('chacha20', columnKey, iv)
  return Buffer.concat([iv, cipher.update(Buffer.concat([Buffer.from([0]), Buffer.from(text)])), cipher.final()])
}

/** A token of `Charon.TokenFactory.Jwt` with its default keyset. */
export function charonToken(payload: Readonly<Record<string, unknown>>, header: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const data = `${part({ alg: 'HS256', kid: 'default', typ: 'JWT', ...header })}.${part(payload)}`
  return `${data}.${createHmac('sha256', tokenKey).update(data).digest('base64url')}`
}

export interface CharonSession {
  readonly id: string
  readonly user: number | string
  readonly createdAt: number
  readonly refreshedAt: number
  readonly refreshExpiresAt: number
  readonly tokensFreshFrom: number
  readonly prevTokensFreshFrom: number
}

/** Erlang's external term format, as far as a session needs it: integers, atoms, binaries, maps. */
const atom = (name: string) => Buffer.concat([Buffer.from([119, name.length]), Buffer.from(name)])
const integer = (value: number) => {
  if (value < 256) return Buffer.from([97, value])
  const bytes = Buffer.alloc(5)
  bytes[0] = 98
  bytes.writeInt32BE(value, 1)
  return bytes
}
const counted = (tag: number, count: number, ...parts: Buffer[]) => {
  const head = Buffer.alloc(5)
  head[0] = tag
  head.writeUInt32BE(count, 1)
  return Buffer.concat([head, ...parts])
}
const binary = (text: string) => counted(109, Buffer.byteLength(text), Buffer.from(text))
const map = (...entries: readonly (readonly [string, Buffer])[]) =>
  counted(116, entries.length, ...entries.flatMap(([name, value]) => [atom(name), value]))

/** A session as `Charon.SessionStore.RedisStore` keeps it: the term of the struct, behind its MAC. */
export function charonRecord(session: CharonSession): Buffer {
  const { user } = session
  const term = Buffer.concat([
    Buffer.from([131]),
    map(
      ['__struct__', atom('Elixir.Charon.Models.Session')],
      ['created_at', integer(session.createdAt)],
      ['expires_at', atom('infinite')],
      ['extra_payload', map()],
      ['id', binary(session.id)],
      ['lock_version', integer(3)],
      ['prev_tokens_fresh_from', integer(session.prevTokensFreshFrom)],
      ['refresh_expires_at', integer(session.refreshExpiresAt)],
      ['refresh_token_id', binary('1d2u5nY1y0Zr3JmZ0b2Jzg')],
      ['refreshed_at', integer(session.refreshedAt)],
      ['tokens_fresh_from', integer(session.tokensFreshFrom)],
      ['type', atom('oauth2')],
      ['user_id', typeof user === 'number' ? integer(user) : binary(user)],
      ['version', integer(7)],
    ),
  ])
  const mac = createHmac('sha256', recordKey).update(term).digest()
  return Buffer.concat([Buffer.from('signed.'), mac, Buffer.from('.'), term])
}

/** The refresh token that Charon issued for a session at a moment. */
export const charonRefreshToken = (
  { id, user, refreshExpiresAt }: CharonSession,
  client: string,
  iat: number,
  changes: Readonly<Record<string, unknown>> = {},
): string =>
  charonToken({
    iat,
    nbf: iat,
    exp: refreshExpiresAt,
    iss: 'my_app',
    jti: randomBytes(16).toString('base64url'),
    sid: id,
    sub: user,
    styp: 'oauth2',
    type: 'refresh',
    cid: client,
    ...changes,
  })
