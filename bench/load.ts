// The load generator, a process of its own: keep-alive sockets written by hand on node:net, so that it costs little
// and never waits for itself nor sleeps. Every answer is checked to be a 200 with an access token.
import { connect, type Socket } from 'node:net'
import { type Credentials, requestMaker } from './clients.ts'
import { type Grant, REDIRECT_URI, VERIFIER } from './setting.ts'

export interface PrepareJob {
  readonly kind: 'prepare'
  readonly credentials: Credentials
  readonly grant: Grant
  readonly count: number
  readonly spread: number
}

/** The refresh tokens or codes of one server; its request `n` takes the n-th. */
export interface SeedJob {
  readonly kind: 'seed'
  readonly server: string
  readonly seeds: readonly string[]
}

export interface FireJob {
  readonly kind: 'fire'
  readonly server: string
  readonly port: number
  readonly concurrency: number
  /** Which of the prepared requests, from and up to (exclusive). */
  readonly from: number
  readonly to: number
}

export type LoadJob = PrepareJob | SeedJob | FireJob

export interface Fired {
  readonly seconds: number
  /** Of each request, in no order. */
  readonly latenciesMilliseconds: Float64Array
  /** CPU of this process meanwhile, microseconds. */
  readonly cpuMicroseconds: number
}

let make: ((parameters: Readonly<Record<string, string>>) => Buffer) | undefined
let grant: Grant = 'client_credentials'
/** For all servers. */
let prepared: Buffer[] = []
/** For the servers that have seeds. */
let preparedFor = new Map<string, Buffer[]>()

/** A connection, and what becomes of what it receives now. */
interface Connection {
  readonly socket: Socket
  restsSince: number
  receive: (chunk: Buffer) => void
  fail: (cause: Error) => void
}

/** By port: open between the slices of a server, as clients keep their connections. */
const idle = new Map<number, Set<Connection>>()

function idleAt(port: number): Set<Connection> {
  const connections = idle.get(port) ?? new Set<Connection>()
  idle.set(port, connections)
  return connections
}

const ignore = (): void => {}

/** Shorter than the 5 seconds after which servers of Node.js close a connection. */
const MOST_REST_MILLISECONDS = 4000

function connectionTo(port: number): Connection {
  const connections = idleAt(port)
  for (const connection of connections) {
    connections.delete(connection)
    if (performance.now() - connection.restsSince < MOST_REST_MILLISECONDS) return connection
    connection.socket.destroy()
  }
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  const connection: Connection = { socket, restsSince: 0, receive: ignore, fail: ignore }
  socket.on('data', (chunk: Buffer) => connection.receive(chunk))
  socket.on('error', (cause) => connection.fail(cause))
  socket.on('close', () => {
    if (!connections.delete(connection)) connection.fail(new Error('the server closed the connection'))
  })
  return connection
}

function closeIdle(): void {
  for (const connections of idle.values()) for (const { socket } of connections) socket.destroy()
  idle.clear()
}

const parametersOf = (seed: string): Record<string, string> =>
  grant === 'client_credentials'
    ? { grant_type: grant, scope: 'read' }
    : grant === 'refresh_token'
      ? { grant_type: grant, refresh_token: seed }
      : { grant_type: grant, code: seed, redirect_uri: REDIRECT_URI, code_verifier: VERIFIER }

function prepare(job: PrepareJob): void {
  closeIdle()
  make = requestMaker(job.credentials, job.spread)
  grant = job.grant
  const maker = make
  preparedFor = new Map()
  prepared = job.grant === 'client_credentials' ? Array.from({ length: job.count }, () => maker(parametersOf(''))) : []
}

/** Requests that carry a refresh token or code are made when those are known, before anything is measured. */
function seed({ server, seeds }: SeedJob): void {
  const maker = make
  if (maker !== undefined)
    preparedFor.set(
      server,
      seeds.map((each) => maker(parametersOf(each))),
    )
}

const HEAD_END = Buffer.from('\r\n\r\n')

function fire({ server, port, concurrency, from, to }: FireJob): Promise<Fired> {
  const requests = preparedFor.get(server) ?? prepared
  const latencies = new Float64Array(to - from)
  let next = from
  let open = concurrency
  const begun = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  return new Promise((resolve, reject) => {
    for (let index = 0; index < concurrency; index++) {
      const connection = connectionTo(port)
      const { socket } = connection
      connection.fail = reject
      let sentAt = 0
      let current = 0
      let answer: Buffer | undefined
      const send = (): void => {
        current = next++
        const bytes = requests[current]
        if (current >= to || bytes === undefined) {
          connection.restsSince = performance.now()
          idleAt(port).add(connection)
          open--
          if (open > 0) return
          const seconds = Number(process.hrtime.bigint() - begun) / 1e9
          const { user, system } = process.cpuUsage(cpu)
          resolve({ cpuMicroseconds: user + system, seconds, latenciesMilliseconds: latencies })
          return
        }
        answer = undefined
        sentAt = performance.now()
        socket.write(bytes)
      }
      connection.receive = (chunk) => {
        answer = answer === undefined ? chunk : Buffer.concat([answer, chunk])
        const headEnd = answer.indexOf(HEAD_END)
        if (headEnd === -1) return
        const text = answer.toString('latin1')
        const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
        if (length === undefined ? !text.endsWith('0\r\n\r\n') : answer.length < headEnd + 4 + Number(length)) return
        latencies[current - from] = performance.now() - sentAt
        if (!text.startsWith('HTTP/1.1 200 ') || !text.includes('"access_token":"')) {
          socket.destroy()
          reject(new Error(`request ${current} was answered with\n${text}`))
          return
        }
        send()
      }
      if (socket.connecting) socket.once('connect', send)
      else send()
    }
  })
}

/**
 * Keeps this process from sleeping until `work` is done. To wake a process that sleeps costs the one that writes to its
 * socket about half as much again as the write: the slower a server, the more often it would pay for that, and with
 * clients on other machines none does.
 */
async function awake<T>(work: Promise<T>): Promise<T> {
  let working = true
  const turn = (): void => {
    if (working) setImmediate(turn)
  }
  turn()
  try {
    return await work
  } finally {
    working = false
  }
}

process.on('message', (job: LoadJob) => {
  void (async () => {
    try {
      if (job.kind === 'prepare') prepare(job)
      else if (job.kind === 'seed') seed(job)
      process.send?.({ done: job.kind === 'fire' ? await awake(fire(job)) : undefined })
    } catch (cause) {
      process.send?.({ failed: cause instanceof Error ? cause.message : String(cause) })
    }
  })()
})
process.once('disconnect', () => process.exit(0))
