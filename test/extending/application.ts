// An application that extends the package by its public names alone: a client authentication method that only the client's record
// tells apart from `none`, a grant type with another `token_type`, an assertion check, and a store.
import {
  type AssertionCheck,
  type AuthenticationMethod,
  type AuthorizationCode,
  builtInMethods,
  type Client,
  type CodeStore,
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createMetadata,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type Exchange,
  OAuthError,
  type ReplayRegister,
  type Session,
  type SessionStore,
} from 'passport-client-assertion-jwt'

/** Rows of a table that many processes might share: the application's own storage. */
export class Table<Row> {
  readonly rows = new Map<string, Row>()

  /** Inserts the row unless its key is there: one atomic step, as a database has it. */
  insert(key: string, row: Row): boolean {
    if (this.rows.has(key)) return false
    this.rows.set(key, structuredClone(row))
    return true
  }

  select(key: string): Row | undefined {
    const row = this.rows.get(key)
    return row === undefined ? undefined : structuredClone(row)
  }

  /** Replaces the row if `condition` still holds for it. */
  update(key: string, condition: (row: Row) => boolean, change: (row: Row) => Row): boolean {
    const row = this.rows.get(key)
    if (row === undefined || !condition(row)) return false
    this.rows.set(key, structuredClone(change(row)))
    return true
  }
}

const seconds = (): number => Math.floor(Date.now() / 1000)

export function createTableReplayRegister(now = seconds): ReplayRegister {
  const table = new Table<{ readonly until: number }>()
  return {
    async remember(issuer, clientId, jti, expiresAt) {
      const key = JSON.stringify([issuer, clientId, jti])
      return (
        table.insert(key, { until: expiresAt }) ||
        table.update(
          key,
          ({ until }) => until <= now(),
          () => ({ until: expiresAt }),
        )
      )
    },
  }
}

export function createTableCodeStore(now = seconds, maximumCodesPerUser = 1000): CodeStore {
  const table = new Table<AuthorizationCode>()
  const isKept = (code: AuthorizationCode): boolean => now() < (code.spent ? code.keepUntil : code.expiresAt + 60)
  return {
    async add(code) {
      for (const [id, each] of table.rows) if (!isKept(each)) table.rows.delete(id)
      const live = [...table.rows.values()].filter(
        (each) =>
          !each.spent && each.subject === code.subject && each.clientId === code.clientId && now() < each.expiresAt,
      )
      if (live.length >= maximumCodesPerUser) return 'too_many'
      if (!table.insert(code.id, code)) throw new Error('a code with this id was added before')
      return 'added'
    },
    async find(id) {
      const code = table.select(id)
      return code !== undefined && isKept(code) ? code : undefined
    },
    async countFailure(id) {
      const isCounted = table.update(id, isKept, (code) => ({ ...code, failures: code.failures + 1 }))
      return isCounted ? (table.select(id)?.failures ?? 0) : 0
    },
    async spend(id) {
      if (
        table.update(
          id,
          (code) => isKept(code) && !code.spent,
          (code) => ({ ...code, spent: true }),
        )
      )
        return 'spent'
      const code = table.select(id)
      return code !== undefined && isKept(code) ? 'already_spent' : 'unknown'
    },
  }
}

type SessionRow = { readonly session: Session; readonly ended: boolean; readonly markedUntil: number }

export function createTableSessionStore(now = seconds): SessionStore {
  const table = new Table<SessionRow>()
  const endOf = ({ refreshExpiresAt, expiresAt = Number.POSITIVE_INFINITY }: Session): number =>
    Math.min(refreshExpiresAt, expiresAt)
  const isLive = ({ session, ended }: SessionRow): boolean => !ended && now() < endOf(session)
  const marker = (id: string): Session => ({ id }) as Session
  const live = (subject: string, type: string): Session[] =>
    [...table.rows.values()]
      .filter((row) => isLive(row) && row.session.subject === subject && row.session.type === type)
      .map(({ session }) => structuredClone(session))
      .sort((a, b) => a.createdAt - b.createdAt)
  const end = (id: string, until: number): 'ended' | 'unknown' => {
    const marked = (row: SessionRow): SessionRow => ({
      ...row,
      ended: true,
      markedUntil: Math.max(row.markedUntil, until),
    })
    if (table.update(id, isLive, marked)) return 'ended'
    if (!table.update(id, () => true, marked))
      table.insert(id, { session: marker(id), ended: true, markedUntil: until })
    return 'unknown'
  }
  return {
    async create(session) {
      const isOver = session.endedAt !== undefined || endOf(session) <= now()
      const row = { session, ended: false, markedUntil: 0 }
      return !isOver && table.insert(session.id, row) ? 'created' : 'gone'
    },
    async get(id) {
      const row = table.select(id)
      return row !== undefined && isLive(row) ? row.session : undefined
    },
    async save(session) {
      const row = table.select(session.id)
      if (row === undefined || !isLive(row)) return 'gone'
      const isCurrent = (stored: SessionRow): boolean =>
        isLive(stored) && stored.session.lockVersion === session.lockVersion
      const { type, subject } = row.session
      const next = { ...session, type, subject, lockVersion: session.lockVersion + 1 }
      const isSaved = table.update(session.id, isCurrent, (stored) => ({
        ...stored,
        session: next,
        ended: session.endedAt !== undefined,
      }))
      return isSaved ? 'saved' : 'conflict'
    },
    async end(id, markerExpiresAt) {
      return end(id, markerExpiresAt)
    },
    async list(subject, type) {
      return live(subject, type)
    },
    async endAll(subject, type) {
      return live(subject, type).filter(({ id }) => end(id, 0) === 'ended').length
    },
  }
}

/** Mutual TLS (RFC 8705 §2.1): a TLS proxy checked the certificate and writes its subject into a header. */
const tlsClientAuth: AuthenticationMethod = {
  method: 'tls_client_auth',
  presents: 'client_id',
  authenticate: ({ client, request }) =>
    'tls_client_auth_subject_dn' in client && request.headers['x-client-subject'] === client.tls_client_auth_subject_dn,
}

/** A token exchange in miniature: it responds with a token that is no bearer token, and with a code of its own. */
const voucherExchange: Exchange = {
  grantType: 'urn:example:grant:voucher',
  async run({ client, parameters }) {
    if (parameters['voucher'] !== 'spring') throw new OAuthError('voucher_unknown', { status: 403 })
    return { access_token: `voucher.${client.client_id}`, token_type: 'N_A', expires_in: 60 }
  },
}

export interface ApplicationOptions {
  readonly issuer: string
  readonly clients: readonly Client[]
  /** Devices that were reported stolen: their assertions are refused. */
  readonly stolen: ReadonlySet<unknown>
}

/** The token endpoint of the application, and its metadata document. */
export function createApplication({ issuer, clients, stolen }: ApplicationOptions) {
  const findClient = async (clientId: string) => clients.find((client) => client.client_id === clientId)
  const notStolen: AssertionCheck = {
    name: 'device_not_stolen',
    check: ({ authentication }) =>
      stolen.has(authentication.claims?.['device']) ? 'the device was reported stolen' : true,
  }
  const tokens = createTokens({ issuer, baseSecret: 'a base secret that is long enough for this test' })
  const sessions = createSessions({ store: createTableSessionStore() })
  const endpoint = createTokenEndpoint({
    findClient,
    verifyAssertion: createAssertionVerifier({
      issuer,
      tokenEndpoint: `${issuer}/token`,
      findClient,
      replayRegister: createTableReplayRegister(),
      checks: [notStolen],
    }),
    methods: [...builtInMethods, tlsClientAuth],
    exchanges: [
      voucherExchange,
      createClientCredentialsExchange({ tokens }),
      createAuthorizationCodeExchange({ codes: createTableCodeStore(), sessions, tokens }),
    ],
    path: '/token',
  })
  return { endpoint, metadata: createMetadata({ issuer, token: { url: '/token', endpoint } }) }
}
