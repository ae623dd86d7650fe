import { requireClient } from '../client_lookup.ts'
import type { BuiltInMethod } from './method.ts'
import { mayUse, methodMismatch } from './registered.ts'

/** A public client, which sends its identifier alone (RFC 6749 §3.2.1). */
export const none: BuiltInMethod = {
  method: 'none',
  presents: 'client_id',
  strategy: 'publicClient',
  async authenticate({ parameters, context }, { findClient, offered }) {
    const client = await requireClient(findClient, parameters['client_id'] ?? '', context)
    const isOffered = offered.includes('none')
    if (!isOffered || !mayUse(client, none)) throw methodMismatch(client, 'none', isOffered)
    return { client, authentication: { method: 'none' } }
  },
}
