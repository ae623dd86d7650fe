// MongoDB itself is in none of the package registries this project builds from, so the recipe is proved with MongoDB's own
// driver against a stand-in server (test/support/mongo_stand_in.ts).
import { describe, it } from 'node:test'
import { MongoClient } from 'mongodb'
import {
  type OpenStore,
  testCodeStore,
  testReplayRegister,
  testSessionStore,
} from 'passport-client-assertion-jwt/testing'
import { mongoStores } from '../../examples/recipes/mongodb/mongo_stores.ts'
import { startMongoStandIn } from '../support/mongo_stand_in.ts'

type Stores = ReturnType<typeof mongoStores>

/** Opens one of the stores over two connections to a server of its own. */
const opening =
  <Name extends 'replayRegister' | 'codeStore' | 'sessionStore'>(name: Name) =>
  async (): Promise<Awaited<ReturnType<OpenStore<Stores[Name]>>>> => {
    const server = await startMongoStandIn()
    const clients = [0, 1].map(() => new MongoClient(server.url, { serverApi: '1', socketTimeoutMS: 3000 }))
    const [store, other] = clients.map((client) => mongoStores(client.db('oauth')))
    if (store === undefined || other === undefined) throw new Error('unreachable')
    await store.prepare()
    const close = async (): Promise<void> => {
      await Promise.all(clients.map((client) => client.close()))
      await server.stop()
    }
    return { store: store[name], other: other[name], disconnect: server.stop, close }
  }

testReplayRegister({ describe, it }, 'MongoDB recipe', opening('replayRegister'))
testCodeStore({ describe, it }, 'MongoDB recipe', opening('codeStore'), { maximumCodesPerUser: 50 })
testSessionStore({ describe, it }, 'MongoDB recipe', opening('sessionStore'))
