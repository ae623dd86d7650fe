import { after, describe, it } from 'node:test'
import { createPostgresStores, type PostgresQuery, type PostgresStores } from '../../lib/stores/postgres.ts'
import { testCodeStore } from '../../lib/testing/code_store_contract.ts'
import type { OpenedStore } from '../../lib/testing/contract.ts'
import { testReplayRegister } from '../../lib/testing/replay_register_contract.ts'
import { testSessionStore } from '../../lib/testing/session_store_contract.ts'

const maximumCodesPerUser = 20
const timeoutMilliseconds = 20_000 // a busy machine is not what is tested

export interface Connection {
  readonly query: PostgresQuery
  close(): Promise<void>
}
type Connect = () => Promise<Connection>

// Two connections are shared by all tests of a client; a test that breaks its connection does so with one of its own.
export const hold = (name: string, connect: Connect) => {
  const shared: Promise<Connection>[] = []
  const opened =
    <Store>(pick: (stores: PostgresStores) => Store) =>
    async (): Promise<OpenedStore<Store>> => {
      if (shared.length === 0) shared.push(connect(), connect())
      const [one, two] = (await Promise.all(shared)) as [Connection, Connection]
      let mine = one
      return {
        store: pick(
          createPostgresStores({
            query: (text, values) => mine.query(text, values),
            timeoutMilliseconds,
            maximumCodesPerUser,
          }),
        ),
        other: pick(createPostgresStores({ query: two.query, timeoutMilliseconds, maximumCodesPerUser })),
        disconnect: async () => {
          mine = await connect()
          await mine.query('select 1', [])
          await mine.close()
        },
      }
    }
  after(async () => {
    for (const connection of shared) await (await connection).close()
  })
  describe(name, { concurrency: 3 }, () => {
    testReplayRegister(
      { describe, it },
      name,
      opened((stores) => stores.replayRegister),
    )
    testCodeStore(
      { describe, it },
      name,
      opened((stores) => stores.codeStore),
      { maximumCodesPerUser },
    )
    testSessionStore(
      { describe, it },
      name,
      opened((stores) => stores.sessionStore),
    )
  })
}

export const migrated = async ({ query }: Connection) => createPostgresStores({ query, timeoutMilliseconds }).migrate()
