import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getDocument } from '../../lib/remote/document.ts'
import { RemoteFailure } from '../../lib/remote/failure.ts'
import { type RemoteOptions, type RequestKind, readRemoteOptions } from '../../lib/remote/request.ts'
import { documentUrl } from '../../lib/remote/url.ts'
import { json, type KeyServer, resolvingTo, startKeyServer } from '../support/key_server.ts'

let server: KeyServer
before(async () => {
  server = await startKeyServer()
})
after(() => server.close())

const JSON_ONLY: RequestKind = { accept: 'application/json', isContentType: (type) => type === 'application/json' }

/** A request to the server, by the guarded client or by `fetch`. */
function get(options: RemoteOptions = {}, kind: RequestKind = JSON_ONLY, text = server.url) {
  const settings = readRemoteOptions(
    'remote',
    {
      lookup: resolvingTo('127.0.0.1'),
      isAllowedAddress: (address) => address === '127.0.0.1',
      ca: server.ca,
      timeoutMilliseconds: 20_000,
      ...options,
    },
    kind,
  )
  const url = documentUrl(text, settings.allowHttpLoopback)
  assert.ok(url)
  return getDocument(url, settings)
}

/** A `fetch` that responds as the server would. */
const fetching = (status: number, headers: Record<string, string>, body = '{}'): RemoteOptions => ({
  fetch: async () => new Response(body, { status, headers }),
})

const failureOf = async (promise: Promise<unknown>): Promise<RemoteFailure> => {
  const failure = await promise.then(
    () => assert.fail('expected a failure'),
    (error: unknown) => error,
  )
  assert.ok(failure instanceof RemoteFailure, String(failure))
  return failure
}

test('a document comes with the headers that its users judge by', async () => {
  let accepted: string | undefined
  server.answer = (request, response) => {
    accepted = request.headers.accept
    json({ a: 1 }, { 'cache-control': 'max-age=5', 'content-type': 'application/x+json; charset=utf-8' })(
      request,
      response,
    )
  }
  const document = await get({}, { accept: 'application/x+json' })
  assert.equal(accepted, 'application/x+json')
  assert.equal(document.body.toString(), '{"a":1}')
  assert.equal(document.cacheControl, 'max-age=5')
  assert.equal(document.contentType, 'application/x+json; charset=utf-8')
})

test('another status, a wrong type, size and time can be told apart', async () => {
  const big = { padding: 'x'.repeat(2000) }
  for (const status of [404, 410, 403, 500, 204, 302]) {
    server.answer = json('', {}, status)
    for (const options of [{}, ...(status === 204 ? [] : [fetching(status, {})])]) {
      const failure = await failureOf(get(options))
      assert.deepEqual([failure.problem, failure.status], ['status', status])
    }
  }
  server.answer = json({}, { 'content-type': 'text/html' })
  assert.equal((await failureOf(get())).problem, 'content_type')
  assert.equal((await failureOf(get(fetching(200, { 'content-type': 'text/html' })))).problem, 'content_type')
  server.answer = json(big)
  assert.equal((await failureOf(get({ maxBytes: 1024 }))).problem, 'size')
  const large = fetching(200, { 'content-type': 'application/json' }, JSON.stringify(big))
  assert.equal((await failureOf(get({ maxBytes: 1024, ...large }))).problem, 'size')
  server.answer = json({}, { 'content-encoding': 'br' })
  assert.equal((await failureOf(get())).problem, 'encoding')
  server.answer = () => {}
  assert.equal((await failureOf(get({ timeoutMilliseconds: 100 }))).problem, 'time')
  const silent = { fetch: () => new Promise<never>(() => {}) }
  assert.equal((await failureOf(get({ timeoutMilliseconds: 100, ...silent }))).problem, 'time')
  server.answer = (_, response) => response.destroy()
  assert.equal((await failureOf(get())).problem, 'network')
  assert.equal((await failureOf(get({ lookup: resolvingTo('10.0.0.1') }))).problem, 'address')
})
