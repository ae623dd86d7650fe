// A stand-in for a MongoDB server: it speaks the wire protocol (OP_MSG) on a TCP port, so that the real driver, its BSON and
// its error handling are what a test goes through. What queries and updates mean comes from mingo. It keeps everything in
// memory, carries out one command at a time, and knows the commands that `examples/recipes/mongodb` needs, no more.
// It proves nothing about MongoDB's own concurrency or durability.
import { createServer, type Socket } from 'node:net'
import { Query, update } from 'mingo'
import { BSON } from 'mongodb'

type Document = Record<string, unknown>
type Collection = Map<string, Document>

const OP_MSG = 2013

interface Command {
  readonly body: Document
  /** The name of the command, which is its first member, and the collection it is for. */
  readonly name: string
  readonly target: string
}

/** The command in an OP_MSG: one document, and sequences of documents that belong into it. */
function parse(message: Buffer): Command {
  let body: Document = {}
  const sequences: Document = {}
  for (let at = 20; at < message.length; ) {
    const kind = message[at]
    const size = message.readInt32LE(at + 1)
    const section = message.subarray(at + 1, at + 1 + size)
    if (kind === 0) body = BSON.deserialize(section)
    else {
      const nameEnd = section.indexOf(0, 4)
      const documents: Document[] = []
      for (let from = nameEnd + 1; from < section.length; from += section.readInt32LE(from))
        documents.push(BSON.deserialize(section.subarray(from, from + section.readInt32LE(from))))
      sequences[section.toString('utf8', 4, nameEnd)] = documents
    }
    at += 1 + size
  }
  const name = Object.keys(body)[0] ?? ''
  return { body: { ...body, ...sequences }, name, target: String(body[name]) }
}

function answer(socket: Socket, requestId: number, reply: Document): void {
  const document = BSON.serialize(reply)
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + document.length, 0)
  head.writeInt32LE(requestId, 8)
  head.writeInt32LE(OP_MSG, 12)
  socket.write(Buffer.concat([head, document]))
}

const keyOf = (document: Document): string => JSON.stringify(document['_id'])

function commandsOn(collections: Map<string, Collection>): Record<string, (command: Command) => Document> {
  const collectionOf = (name: string): Collection => {
    const found = collections.get(name) ?? new Map<string, Document>()
    collections.set(name, found)
    return found
  }
  const matching = (name: string, filter: unknown): Document[] => {
    const query = new Query(filter as Document)
    return [...collectionOf(name).values()].filter((document) => query.test(document))
  }
  /** The document that an upsert begins with: what its filter demands by plain equality. */
  const begun = (filter: Document): Document =>
    Object.fromEntries(Object.entries(filter).filter(([, value]) => typeof value !== 'object' || value === null))
  const change = (target: string, filter: Document, modifier: Document, multi: boolean, upsert: boolean) => {
    const all = matching(target, filter)
    const found = multi ? all : all.slice(0, 1)
    const before = found.map((document) => structuredClone(document))
    const modified = found.filter((document) => update(document, modifier).length > 0).length
    if (found.length > 0 || !upsert)
      return { before, after: found, matched: found.length, modified, upserted: undefined }
    const fresh = begun(filter)
    update(fresh, modifier)
    collectionOf(target).set(keyOf(fresh), fresh)
    return { before, after: [fresh], matched: 0, modified: 0, upserted: fresh['_id'] }
  }
  const hello = (): Document => ({
    ...{ isWritablePrimary: true, ismaster: true, readOnly: false, minWireVersion: 0, maxWireVersion: 21 },
    ...{
      maxBsonObjectSize: 1 << 24,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      localTime: new Date(),
    },
  })
  return {
    hello,
    ismaster: hello,
    ping: () => ({}),
    createIndexes: () => ({}),
    insert({ target, body }) {
      const documents = body['documents'] as Document[]
      const writeErrors = documents.flatMap((document, index) => {
        const collection = collectionOf(target)
        if (collection.has(keyOf(document))) return [{ index, code: 11000, errmsg: 'E11000 duplicate key error' }]
        collection.set(keyOf(document), document)
        return []
      })
      return { n: documents.length - writeErrors.length, ...(writeErrors.length > 0 ? { writeErrors } : {}) }
    },
    update({ target, body }) {
      let [n, nModified] = [0, 0]
      const upserted: Document[] = []
      for (const [index, each] of (body['updates'] as Document[]).entries()) {
        const done = change(
          target,
          each['q'] as Document,
          each['u'] as Document,
          each['multi'] === true,
          each['upsert'] === true,
        )
        n += done.matched + (done.upserted === undefined ? 0 : 1)
        nModified += done.modified
        if (done.upserted !== undefined) upserted.push({ index, _id: done.upserted })
      }
      return { n, nModified, ...(upserted.length > 0 ? { upserted } : {}) }
    },
    findAndModify({ target, body }) {
      const done = change(target, body['query'] as Document, body['update'] as Document, false, body['upsert'] === true)
      const value = (body['new'] === true ? done.after[0] : done.before[0]) ?? null
      return { value, lastErrorObject: { n: 1, updatedExisting: done.matched > 0 } }
    },
    find({ target, body }) {
      const cursor = new Query((body['filter'] ?? {}) as Document).find<Document>([...collectionOf(target).values()])
      if (body['sort']) cursor.sort(body['sort'] as Record<string, 1 | -1>)
      const limit = Number(body['limit'] ?? 0)
      const firstBatch = cursor.all().slice(0, limit === 0 ? undefined : limit)
      return { cursor: { id: BSON.Long.fromNumber(0), ns: `test.${target}`, firstBatch } }
    },
  }
}

/** Starts a stand-in on a free port of 127.0.0.1. `url` names the options the driver needs to talk to it. */
export async function startMongoStandIn(): Promise<{ url: string; stop: () => Promise<void> }> {
  const commands = commandsOn(new Map())
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    let pending = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
        const message = pending.subarray(0, pending.readInt32LE(0))
        pending = pending.subarray(message.length)
        if (message.readInt32LE(12) !== OP_MSG) return socket.destroy()
        const command = parse(message)
        const carryOut = commands[command.name]
        const reply = carryOut
          ? { ...carryOut(command), ok: 1 }
          : { ok: 0, code: 59, errmsg: `no such command: ${command.name}` }
        answer(socket, message.readInt32LE(4), reply)
      }
      return undefined
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true&serverSelectionTimeoutMS=500`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
