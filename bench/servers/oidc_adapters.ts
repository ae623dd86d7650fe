// Adapters for oidc-provider: one for each kind of store, one command or statement for each call.
// Commands that belong together go to Redis in one transaction, which is written at once: one round trip.
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'
import pg from 'pg'
import { createClient } from 'redis'
import { roundTrips } from '../round_trips.ts'

const epochSeconds = (): number => Math.floor(Date.now() / 1000)

/** What the models of a token endpoint call, and `revokeByGrantId`. The other calls belong to flows that are not measured. */
type Calls = Pick<Adapter, 'upsert' | 'find' | 'consume' | 'destroy' | 'revokeByGrantId'>

const adapterOf = (calls: Calls): Adapter => ({
  ...calls,
  findByUserCode: async () => undefined,
  findByUid: async () => undefined,
})

/** oidc-provider's bundled memory adapter keeps 1000 records; this one keeps all, in a Map, and is otherwise as simple. */
function memoryAdapter(): AdapterFactory {
  const records = new Map<string, AdapterPayload>()
  const byGrant = new Map<string, string[]>()
  return (model) =>
    adapterOf({
      async upsert(id, payload) {
        const key = `${model}:${id}`
        if (payload.grantId !== undefined) {
          const keys = byGrant.get(payload.grantId)
          if (keys === undefined) byGrant.set(payload.grantId, [key])
          else keys.push(key)
        }
        records.set(key, payload)
      },
      find: async (id) => records.get(`${model}:${id}`),
      async consume(id) {
        const record = records.get(`${model}:${id}`)
        if (record !== undefined) record['consumed'] = epochSeconds()
      },
      async destroy(id) {
        records.delete(`${model}:${id}`)
      },
      async revokeByGrantId(grantId) {
        for (const key of byGrant.get(grantId) ?? []) records.delete(key)
        byGrant.delete(grantId)
      },
    })
}

/** A hash for each record with its JSON and the time it was consumed, a set of keys for each grant. */
async function redisAdapter(url: string): Promise<AdapterFactory> {
  const client = await createClient({ url }).connect()
  return (model) => {
    const keyOf = (id: string): string => `oidc:${model}:${id}`
    return adapterOf({
      async upsert(id, payload, expiresIn) {
        const key = keyOf(id)
        const commands = client.multi().hSet(key, 'payload', JSON.stringify(payload))
        if (expiresIn) commands.expire(key, expiresIn)
        if (payload.grantId !== undefined) commands.sAdd(`oidc:grant:${payload.grantId}`, key)
        roundTrips.count++
        await commands.exec()
      },
      async find(id) {
        roundTrips.count++
        const { payload, consumed } = await client.hGetAll(keyOf(id))
        if (payload === undefined) return undefined
        return { ...JSON.parse(payload), ...(consumed === undefined ? {} : { consumed: Number(consumed) }) }
      },
      async consume(id) {
        roundTrips.count++
        await client.hSet(keyOf(id), 'consumed', epochSeconds())
      },
      async destroy(id) {
        roundTrips.count++
        await client.del(keyOf(id))
      },
      async revokeByGrantId(grantId) {
        const grant = `oidc:grant:${grantId}`
        roundTrips.count += 2
        await client.del([grant, ...(await client.sMembers(grant))])
      },
    })
  }
}

const TABLE = `create table if not exists oidc_records (
  model text not null, id text not null, payload jsonb not null, grant_id text, consumed bigint, expires_at bigint,
  primary key (model, id)
);
create index if not exists oidc_records_grant on oidc_records (grant_id)`

/** One table for all models. */
async function postgresAdapter(url: string): Promise<AdapterFactory> {
  const pool = new pg.Pool({ connectionString: url, max: 16 })
  await pool.query(TABLE)
  const query = (text: string, values: readonly unknown[]): Promise<pg.QueryResult> => {
    roundTrips.count++
    return pool.query(text, [...values])
  }
  return (model) =>
    adapterOf({
      async upsert(id, payload, expiresIn) {
        await query(
          `insert into oidc_records (model, id, payload, grant_id, expires_at) values ($1, $2, $3, $4, $5)
           on conflict (model, id) do update set payload = $3, grant_id = $4, expires_at = $5`,
          [model, id, payload, payload.grantId ?? null, expiresIn ? epochSeconds() + expiresIn : null],
        )
      },
      async find(id) {
        const { rows } = await query(
          'select payload, consumed from oidc_records where model = $1 and id = $2 and coalesce(expires_at > $3, true)',
          [model, id, epochSeconds()],
        )
        const [row] = rows
        if (row === undefined) return undefined
        return { ...row.payload, ...(row.consumed === null ? {} : { consumed: Number(row.consumed) }) }
      },
      async consume(id) {
        await query('update oidc_records set consumed = $3 where model = $1 and id = $2', [model, id, epochSeconds()])
      },
      async destroy(id) {
        await query('delete from oidc_records where model = $1 and id = $2', [model, id])
      },
      async revokeByGrantId(grantId) {
        await query('delete from oidc_records where grant_id = $1', [grantId])
      },
    })
}

/** The adapter for a store's URL. */
export async function openAdapter(url: string): Promise<AdapterFactory> {
  if (url.startsWith('redis:')) return redisAdapter(url)
  if (url.startsWith('postgres:')) return postgresAdapter(url)
  return memoryAdapter()
}
