import type { Client, RequestContext } from '../client.ts'
import type { Permission, Session } from './session.ts'

/**
 * Whether the application still allows what a session is for: the user may have withdrawn consent. `scope` is the granted
 * one. Only `true` allows it; a rejection is a 503.
 */
export type Permits = (
  permission: Permission,
  context: RequestContext & {
    /** The client that the session is for. */
    readonly client: Client
    /** Absent where the session is not open yet. */
    readonly session?: Session
  },
) => boolean | Promise<boolean>
