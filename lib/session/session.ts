/**
 * A session: a record of the server for one permission (subject, client, scope). Moments are epoch seconds. Sessions
 * that this package opens have the type `oauth2`; an application keeps its own, say `full` for its logins, in the same
 * store.
 */
export interface Session {
  readonly id: string
  readonly type: string
  readonly subject: string
  /** The client the session is for; '' where an application's session has none. */
  readonly clientId: string
  /** The granted scope, separated by spaces, sorted; '' for none. */
  readonly scope: string
  readonly createdAt: number
  /** Absolute end; `undefined` means never. */
  readonly expiresAt: number | undefined
  readonly refreshedAt: number
  /** Idle end: it slides forward whenever a refresh moves the session on. */
  readonly refreshExpiresAt: number
  /** Newest generation issued. */
  readonly newest: number
  /** Last confirmed generation: one of its tokens was presented. */
  readonly confirmed: number
  /** First generation issued as a child of `confirmed`. */
  readonly firstChild: number
  /** The generation confirmed before `confirmed`. */
  readonly previous: number
  readonly newestAt: number
  readonly confirmedAt: number
  readonly endedAt: number | undefined
  /** The application's own data, plain JSON. Kept unless changed. */
  readonly extra: Readonly<Record<string, unknown>>
  /** Counts saves, for compare-and-set. */
  readonly lockVersion: number
  /** Format of this record; see `upgrade`. */
  readonly version: number
}
