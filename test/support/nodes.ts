import { createHmac, randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningExample, startExample } from './example.ts'

/** The server that all nodes are: one issuer, one base secret, one clients file, one store. */
export const ISSUER = 'https://auth.example.com'
export const BASE_SECRET = 'the base secret that all nodes of these tests share'
const SECRET = 'a client secret of these tests, longer than 32 octets'
export const REDIRECT_URI = 'https://app.example.com/callback'

const members = {
  client_secret: SECRET,
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  scope: 'profile notes.read',
}
const clients = [
  { client_id: 'app', token_endpoint_auth_method: 'client_secret_basic', ...members },
  { client_id: 'robot', token_endpoint_auth_method: 'client_secret_jwt', ...members },
]
const users = Array.from({ length: 20 }, (_, at) => ({
  sub: `user-${at}`,
  username: `user${at}`,
  password: 'password',
  name: `User ${at}`,
}))

export interface Answer {
  /** 0 where there was none: the connection was refused or broke. */
  readonly status: number
  readonly retryAfter?: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

/** Several processes of the example on one store. */
export interface Nodes {
  readonly size: number
  /** Sends a form to a path of a node, with the credentials of the client `app` unless the form names a client. */
  post(node: number, path: string, form: Readonly<Record<string, string>>): Promise<Answer>
  /** SIGKILL, and a new process in its place once it is ready. */
  replace(node: number): Promise<void>
  stop(): Promise<void>
}

export async function startNodes(size: number, storeUrl: string): Promise<Nodes> {
  const start = () =>
    startExample({
      clients,
      users,
      environment: {
        ISSUER,
        BASE_SECRET,
        STORE_URL: storeUrl,
        AUTHORIZATION_CODE_TTL: '600',
        ERROR_VERBOSITY: 'debug',
      },
    })
  const nodes: RunningExample[] = await Promise.all(Array.from({ length: size }, start))
  const agent = new Agent({ keepAlive: true, maxSockets: 16, scheduling: 'fifo' })
  const basic = `Basic ${Buffer.from(`app:${encodeURIComponent(SECRET)}`).toString('base64')}`

  const post = (node: number, path: string, form: Readonly<Record<string, string>>): Promise<Answer> =>
    new Promise((resolve) => {
      const lost = () => resolve({ status: 0, body: {} })
      const url = nodes[node]?.url
      if (url === undefined) return lost()
      const headers: Record<string, string> = { 'Content-Type': 'application/x-www-form-urlencoded' }
      if (form['client_assertion'] === undefined) headers['Authorization'] = basic
      const sending = request(new URL(path, url), { method: 'POST', agent, headers, timeout: 20_000 }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.once('error', lost)
        response.once('close', lost)
        response.once('end', () => {
          const status = response.statusCode ?? 0
          const retryAfter = response.headers['retry-after']
          try {
            resolve({ status, retryAfter, body: JSON.parse(text) as Answer['body'] })
          } catch {
            resolve({ status, retryAfter, body: {} })
          }
        })
      })
      sending.once('error', lost)
      sending.once('timeout', () => sending.destroy())
      sending.end(new URLSearchParams(form).toString())
    })

  return {
    size,
    post,
    async replace(node) {
      nodes[node]?.process.kill('SIGKILL')
      // A node that finds its store down or starting up ends and says so: it is started again, as an orchestrator does.
      for (let attempt = 1; ; attempt += 1) {
        try {
          nodes[node] = await start()
          return
        } catch (error) {
          if (attempt === 20 || !/cannot use/.test(String(error))) throw error
          await sleep(500)
        }
      }
    },
    async stop() {
      agent.destroy()
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}

/** A client assertion of the client `robot`, as the form that presents it for an access token. */
export function assertionForm(): Record<string, string> {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    iss: 'robot',
    sub: 'robot',
    aud: ISSUER,
    iat: now,
    exp: now + 300,
    jti: randomBytes(16).toString('hex'),
  }
  const signed = `${part({ alg: 'HS256' })}.${part(claims)}`
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`,
  }
}

/** Runs `work` on all items, so many at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item, at: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next
      next += 1
      await work(items[at] as Item, at)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}
