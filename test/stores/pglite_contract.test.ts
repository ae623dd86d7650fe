import { after, describe } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { type Connection, hold, migrated } from './postgres_contracts.ts'

describe('PGlite', { concurrency: true }, () => {
  // One database in this process, which all connections share.
  const database = PGlite.create()
  let prepared: Promise<void> | undefined
  after(async () => (await database).close())
  hold('PGlite', async () => {
    let open = true
    const connection: Connection = {
      query: async (text, values) => {
        if (!open) throw new Error('closed')
        return (await database).query(text, values)
      },
      close: async () => {
        open = false
      },
    }
    await database // to start it takes long on a busy machine
    prepared ??= migrated(connection)
    await prepared
    return connection
  })
})
