// What the authorization side does with request data grows no faster than the data, up to the limits of the server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { judgeAuthorizationRequest, redirectTarget } from '../../lib/code/authorization_request.ts'
import { isCodeChallenge, isCodeVerifier } from '../../lib/code/code_challenge.ts'
import { afterLogin, checkPrompt, demandsLogin } from '../../lib/code/prompt.ts'
import { isSameRedirectUri, isUsableRedirectUri, withResponseParameters } from '../../lib/code/redirect_uri.ts'
import { readAuthorizationParameters } from '../../lib/oauth2orize/authorization_parameters.ts'
import { pathOf } from '../../lib/oauth2orize/retry.ts'
import { createSealedTransactions } from '../../lib/oauth2orize/transactions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { inOneOfThree } from '../support/measurement.ts'

const client: Client = { client_id: 'web', redirect_uris: ['https://client.example/cb'], scope: 'read write' }
const target = { redirectUri: 'https://client.example/cb', redirectUriWasSent: true }
const { replayRegister } = createMemoryStores()
const store = createSealedTransactions({
  issuer: 'https://as.example',
  secret: 's'.repeat(32),
  findClient: () => client,
  replayRegister,
})

const judged = (values: Record<string, string>): unknown =>
  judgeAuthorizationRequest({ values, unsound: [] }, client, target, {
    responseTypes: ['token'],
    commaSeparatesScope: true,
    excessScope: 'narrow',
  })
const byQuery = (query: string): unknown =>
  readAuthorizationParameters({ method: 'GET', url: `/a?${query}`, headers: {} })
const byForm = (type: string): unknown =>
  readAuthorizationParameters({ method: 'POST', url: '/a', headers: { 'content-type': type }, body: { a: 'b' } })
const loaded = (body: unknown, url = '/a'): Promise<unknown> =>
  new Promise((resolve) => store.load({ method: 'POST', url, headers: {}, body, user: { sub: 'a' } }, resolve))

/** A piece to repeat, and what is done with the repetition; `most` is the largest size in characters that can arrive. */
const CASES: readonly [name: string, piece: string, most: number, act: (text: string) => unknown][] = [
  ['query of separators', '&', 65_536, byQuery],
  ['query of equals signs', '=&', 65_536, byQuery],
  [
    'query of distinct names',
    'x',
    65_536,
    (text) => byQuery(Array.from(text.slice(0, text.length / 8), (_, at) => `n${at}=1`).join('&')),
  ],
  ['query of one repeated name', 'state=a&', 65_536, byQuery],
  ['query of brackets', 'a[[[[[[=b&', 65_536, byQuery],
  ['query of one name of brackets', '[', 65_536, byQuery],
  ['query of plus signs', '+', 65_536, (text) => byQuery(`scope=${text}`)],
  ['query of escaped blanks around a letter', '%20', 65_536, (text) => byQuery(`scope=${text}x${text}y`)],
  ['query of broken percent signs', '%', 65_536, (text) => byQuery(`state=${text}`)],
  ['query of hashes', '#', 65_536, byQuery],
  ['content type of blanks', ' ', 65_536, (text) => byForm(`application/x-www-form-urlencoded${text}x`)],
  ['scope of blanks', ' ', 32_768, (text) => judged({ response_type: 'token', scope: `${text}x` })],
  ['scope of commas', ',', 32_768, (text) => judged({ response_type: 'token', scope: `${text}x` })],
  ['scope of values', 'ab ', 32_768, (text) => judged({ response_type: 'token', scope: text })],
  ['response type of blanks', ' ', 32_768, (text) => judged({ response_type: `${text}x` })],
  ['response type of values', 'code ', 32_768, (text) => judged({ response_type: text })],
  ['prompt of blanks', ' ', 32_768, (text) => checkPrompt({ prompt: `${text}login${text}` }, 'web')],
  [
    'prompt of values',
    'login consent ',
    32_768,
    (text) => [demandsLogin({ prompt: text }), afterLogin({ prompt: text })],
  ],
  ['max_age of digits', '9', 32_768, (text) => checkPrompt({ max_age: text }, 'web')],
  ['challenge', 'a', 32_768, (text) => [isCodeChallenge(`${text}!`), isCodeVerifier(`${text}!`)]],
  ['redirect URI of letters', 'a', 32_768, (text) => isUsableRedirectUri(`${text}:x`, { privateUseSchemes: true })],
  ['redirect URI of slashes', '/', 32_768, (text) => isUsableRedirectUri(`https://${text}`)],
  ['redirect URI of at signs', '@', 32_768, (text) => isUsableRedirectUri(`https://a${text}b`)],
  ['redirect URI of dots', '/..', 32_768, (text) => isUsableRedirectUri(`https://a${text}`)],
  [
    'loopback URI of digits',
    '1',
    32_768,
    (text) => isSameRedirectUri(`http://localhost:${text}`, 'http://localhost/', true),
  ],
  [
    'loopback URI of a long path',
    '/?',
    32_768,
    (text) => isSameRedirectUri(`http://127.0.0.1${text}`, 'http://127.0.0.1/'),
  ],
  [
    'redirect target',
    'https://client.example/cb',
    32_768,
    (text) => redirectTarget({ values: { redirect_uri: text }, unsound: [] }, client),
  ],
  ['state in a response', '\u0000', 32_768, (text) => withResponseParameters('https://a.example/', { state: text })],
  ['path of slashes', '/', 65_536, (text) => pathOf({ url: `/a${text}` })],
  ['path of question marks', '?', 65_536, (text) => pathOf({ url: `/a${text}` })],
  ['absolute URL', 'a/', 65_536, (text) => pathOf({ url: `http://${text}` })],
  ['transaction of letters', 'a', 65_536, (text) => loaded({ transaction_id: text })],
  ['transaction of letters and a wrong one', 'a', 65_536, (text) => loaded({ transaction_id: `${text}!` })],
  ['transaction in the query', 'transaction_id=a&', 65_536, (text) => loaded({}, `/a?${text}`)],
]

async function millisecondsOf(act: () => unknown): Promise<number> {
  const begin = process.cpuUsage()
  try {
    await act()
  } catch {
    // what is refused has done its work too
  }
  const { user, system } = process.cpuUsage(begin)
  return (user + system) / 1000
}

/** The least CPU time of several runs: what the work itself costs. */
async function leastOf(act: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 7; run += 1) least = Math.min(least, await millisecondsOf(act))
  return least
}

for (const [name, piece, most, act] of CASES) {
  test(`${name}: four times the data costs no more than linear work`, async () => {
    const text = piece.repeat(Math.ceil(most / piece.length)).slice(0, most)
    await inOneOfThree(async () => {
      const small = await leastOf(() => act(text.slice(0, most / 4)))
      const large = await leastOf(() => act(text))
      // Quadratic work on this much data takes seconds; linear work a few milliseconds, where times are too short to compare.
      assert.ok(large < 40, `${large} ms for ${most} characters`)
      // Below 20 ms it may be memory: what decodes 64 KiB of base64 takes 5 ms here, 0.2 ms for half of it, 25 ms for eight times as much.
      assert.ok(large < 20 || large < small * 9, `${small} ms grew to ${large} ms`)
    })
  })
}
