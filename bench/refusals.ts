// npm run bench:refusals: what hostile requests cost. Each is as large as is let in (64 KiB of body, 16 KiB of header)
// and must be refused; the figure is CPU of the server process per request, which is to stay under 2 ms.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as send } from 'node:http'
import { fileURLToPath } from 'node:url'
import { makeCredentials, makeTokenKey } from './clients.ts'
import { type FromServer, ISSUER, REDIRECT_URI, type Setting } from './setting.ts'

const LIMIT = 65_536
const TARGET_MICROSECONDS = 2000
const door = process.argv[2] ?? 'node'
const repeats = Number(process.argv[3] ?? 60)

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const base64url = (text: string): string => Buffer.from(text).toString('base64url')
const header = base64url(JSON.stringify({ alg: 'ES256', kid: 'es256-key' }))
const claims = (more: object): object => ({
  iss: 'es256',
  sub: 'es256',
  aud: ISSUER,
  exp: Date.now() / 1000 + 60,
  jti: 'a',
  ...more,
})
const assertionOf = (payload: string, signature = 'A'.repeat(86)): string =>
  `${header}.${base64url(payload)}.${signature}`
const ROOM = LIMIT - 200 - TYPE.length

/** The largest text of `make(n)` that is still let in. */
function largest(make: (size: number) => string, room = ROOM): string {
  let low = 0
  let high = room
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (encodeURIComponent(make(middle)).length <= room) low = middle
    else high = middle - 1
  }
  return make(low)
}

const assertions: Readonly<Record<string, string>> = {
  'one long segment': 'a'.repeat(ROOM),
  'nothing but dots': '.'.repeat(ROOM),
  'two dots, the rest base64url': `${header}.${'a'.repeat(ROOM - 200)}.${'A'.repeat(86)}`,
  'a huge signature': largest((size) => assertionOf(JSON.stringify(claims({})), 'A'.repeat(size - (size % 4)))),
  'a huge header': largest((size) => `${base64url(JSON.stringify({ alg: 'ES256', x: 'x'.repeat(size) }))}.e30.AAAA`),
  'many claims': largest((size) =>
    assertionOf(JSON.stringify(Object.fromEntries(Array.from({ length: size >> 3 }, (_, at) => [`a${at}`, 1])))),
  ),
  'a repeated claim': largest((size) => assertionOf(`{${'"a":1,'.repeat(size >> 3)}"a":1}`)),
  'deep arrays': largest((size) => assertionOf(`{"a":${'['.repeat(size >> 2)}${']'.repeat(size >> 2)}}`)),
  'deep objects': largest((size) => assertionOf(`${'{"a":'.repeat(size >> 3)}1${'}'.repeat(size >> 3)}`)),
  'many audiences': largest((size) => assertionOf(JSON.stringify(claims({ aud: Array(size >> 3).fill('x') })))),
  'a long audience': largest((size) => assertionOf(JSON.stringify(claims({ aud: 'x'.repeat(size) })))),
  'a long jti': largest((size) => assertionOf(JSON.stringify(claims({ jti: 'x'.repeat(size) })))),
  'a long sub': largest((size) =>
    assertionOf(JSON.stringify(claims({ sub: 'x'.repeat(size), iss: 'x'.repeat(size) }))),
  ),
  'a text of escapes': largest((size) => assertionOf(`{"a":"${'\\u0041'.repeat(size >> 3)}"}`)),
  'sound claims and a wrong signature': largest((size) => assertionOf(JSON.stringify(claims({ x: 'x'.repeat(size) })))),
}

const long = (character: string, least = 0): string => character.repeat(LIMIT - 300 - least)

interface Hostile {
  readonly name: string
  readonly body: string
  readonly authorization?: string
}

function hostile(basic: string): Hostile[] {
  const found: Hostile[] = []
  for (const [name, assertion] of Object.entries(assertions))
    found.push({
      name: `client_assertion: ${name}`,
      body: `grant_type=client_credentials&client_assertion_type=${encodeURIComponent(TYPE)}&client_assertion=${encodeURIComponent(assertion)}`,
    })
  const add = (name: string, body: string): void => void found.push({ name, body, authorization: basic })
  add('grant_type', `grant_type=${long('a')}`)
  add('scope: one value', `grant_type=client_credentials&scope=${long('a')}`)
  add(
    'scope: many values',
    `grant_type=client_credentials&scope=${Array.from({ length: 9000 }, (_, at) => `s${at}`).join('+')}`,
  )
  add('scope: nothing but spaces and one letter', `grant_type=client_credentials&scope=${long('+')}a`)
  add('code', `grant_type=authorization_code&code=${long('a')}&redirect_uri=${REDIRECT_URI}`)
  add(
    'code_verifier',
    `grant_type=authorization_code&code=${'a'.repeat(43)}&redirect_uri=${REDIRECT_URI}&code_verifier=${long('a')}`,
  )
  add('redirect_uri', `grant_type=authorization_code&code=${'a'.repeat(43)}&redirect_uri=${long('a')}`)
  add('refresh_token: letters', `grant_type=refresh_token&refresh_token=${long('a')}`)
  add('refresh_token: dots', `grant_type=refresh_token&refresh_token=${long('.')}`)
  add('refresh_token: a JWT', `grant_type=refresh_token&refresh_token=${header}.${long('a', 300)}.${'A'.repeat(43)}`)
  add('resource', `grant_type=x&resource=${long('a')}`)
  add('resource, repeated', `grant_type=x${'&resource=a'.repeat(5900)}`)
  add('many unknown names', `grant_type=x&${Array.from({ length: 9000 }, (_, at) => `n${at}=`).join('&')}`)
  add('nothing but separators', long('&'))
  add('nothing but equals signs', long('='))
  add('percent sequences', `grant_type=${'%41'.repeat(21_000)}`)
  add('percent signs', `grant_type=${long('%')}`)
  add('plus signs', `a=${long('+')}`)
  add('one long name', `${long('a')}=1`)
  add('brackets', `${'a[b]=1&'.repeat(9000)}`)
  found.push({ name: 'client_id', body: `grant_type=client_credentials&client_id=${long('a')}` })
  found.push({
    name: 'client_secret',
    body: `grant_type=client_credentials&client_id=basic&client_secret=${long('a')}`,
  })
  const header16 = (text: string): string => text.repeat(Math.floor(12_000 / text.length))
  for (const [name, authorization] of [
    ['Authorization: long Base64', `Basic ${header16('aaaa')}`],
    ['Authorization: a long secret', `Basic ${Buffer.from(`basic:${'x'.repeat(9000)}`).toString('base64')}`],
    ['Authorization: percent sequences', `Basic ${Buffer.from(`basic:${'%41'.repeat(3000)}`).toString('base64')}`],
    ['Authorization: spaces', `Basic ${header16(' ')}x`],
    ['Authorization: no scheme', header16('a')],
  ] as const)
    found.push({ name, body: 'grant_type=client_credentials', authorization })
  return found
}

const credentials = await Promise.all((['es256', 'basic'] as const).map(makeCredentials))
const basic = `Basic ${Buffer.from(`basic:${credentials[1]?.client.client_secret}`).toString('base64')}`
const setting: Setting = {
  grant: 'client_credentials',
  method: 'es256',
  tokens: 'opaque',
  tokenKey: await makeTokenKey(),
  clients: credentials.map(({ client }) => client),
  seeds: 0,
  records: 'one',
  population: { clients: 0, sessions: 0, jtis: 0 },
  store: 'memory:',
}
const child = fork(fileURLToPath(new URL('./servers/ours.js', import.meta.url)), [door, JSON.stringify(setting)], {
  serialization: 'advanced',
})
const heard = async (): Promise<FromServer> => ((await once(child, 'message')) as [FromServer])[0]
const ready = await heard()
if (ready.kind !== 'ready') throw new Error('the server did not start')
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

async function ask({ body, authorization }: Hostile): Promise<number> {
  const outgoing = send({
    port: ready.kind === 'ready' ? ready.port : 0,
    host: '127.0.0.1',
    path: '/token',
    method: 'POST',
    agent,
  })
  outgoing.setHeader('Content-Type', 'application/x-www-form-urlencoded')
  if (authorization !== undefined) outgoing.setHeader('Authorization', authorization)
  outgoing.end(body)
  const [answer] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage]
  for await (const _ of answer);
  return answer.statusCode ?? 0
}

async function cpu(): Promise<number> {
  child.send('usage')
  const usage = await heard()
  return usage.kind === 'usage' ? usage.cpuMicroseconds : 0
}

const rows: object[] = []
let worst = 0
for (const each of hostile(basic)) {
  const status = await ask(each)
  for (let warm = 0; warm < 20; warm++) await ask(each)
  const before = await cpu()
  for (let turn = 0; turn < repeats; turn++) await ask(each)
  const microseconds = Math.round(((await cpu()) - before) / repeats)
  worst = Math.max(worst, microseconds)
  rows.push({ request: each.name, octets: each.body.length, status, 'CPU us': microseconds })
  if (status < 400 || status > 499) process.exitCode = 1
}
console.table(rows)
console.log(`worst: ${worst} us; target: ${TARGET_MICROSECONDS} us`)
if (worst > TARGET_MICROSECONDS) process.exitCode = 1
agent.destroy()
child.send('stop')
