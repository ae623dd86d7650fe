// Dynamic client registration (RFC 7591) for MCP clients that have no metadata document. The metadata is judged by the checks of
// metadata documents. What a client registers is stored as it was sent, and judged again at every look-up.
import { randomUUID } from 'node:crypto'
import express, { type Router } from 'express'
import type { FindClient } from 'passport-client-assertion-jwt'
import { readClientMetadata } from 'passport-client-assertion-jwt/cimd'

/** Where registrations are kept: a table with an id and the JSON text. Delete the ones that are not used. */
export interface Registrations {
  get(clientId: string): Promise<string | undefined>
  set(clientId: string, json: string): Promise<void>
}

/** Anybody may register. Put a rate limit in front. */
export function createRegistration(registrations: Registrations, scope: string) {
  const read = (json: string, clientId: string) => readClientMetadata(json, { clientId, scope })

  const findClient: FindClient = async (clientId) => {
    const json = await registrations.get(clientId)
    const metadata = json === undefined ? undefined : read(json, clientId)
    return metadata !== undefined && 'client' in metadata ? metadata.client : undefined
  }

  const routes: Router = express.Router()
  routes.post('/register', express.raw({ type: 'application/json', limit: 10_240 }), async (req, res) => {
    res.set('Cache-Control', 'no-store')
    const json = Buffer.isBuffer(req.body) ? req.body.toString() : ''
    const clientId = randomUUID()
    const metadata = read(json, clientId)
    if ('refused' in metadata) {
      res.status(400).json({ error: 'invalid_client_metadata', error_description: metadata.refused })
      return
    }
    await registrations.set(clientId, json)
    res.status(201).json({ ...metadata.client, client_id_issued_at: Math.floor(Date.now() / 1000) })
  })
  return { findClient, routes }
}
