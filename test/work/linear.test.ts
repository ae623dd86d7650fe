import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { describe, test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import { parseBasic } from '../../lib/client_authentication/basic_credentials.ts'
import { isSameRedirectUri, isUsableRedirectUri } from '../../lib/code/redirect_uri.ts'
import { isBelowMount, pathAndQuery } from '../../lib/hosts/express.ts'
import { createCors } from '../../lib/http/cors.ts'
import { toOAuthError } from '../../lib/http/error_mapping.ts'
import { createErrorWriter } from '../../lib/http/error_response.ts'
import { parsedForm, parseForm } from '../../lib/http/form.ts'
import { announcedForm } from '../../lib/http/form_body.ts'
import { createTokenEndpoint, createTokens, OAuthError } from '../../lib/index.ts'
import { isIssuer } from '../../lib/issuer.ts'
import { readAuthorizationParameters } from '../../lib/oauth2orize/authorization_parameters.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { toPrintable, toPrintableId } from '../../lib/printable.ts'
import { parseScope } from '../../lib/scope.ts'
import { inOneOfThree } from '../support/measurement.ts'
import { FORM_TYPE, rawPost, sendRaw } from '../support/raw_http.ts'
import { applicationPassport, echo, findClient, listen, type Route } from '../support/token_route.ts'

// 1x, 2x and 4x of hostile input; the longest is the largest body, and the largest header section of the example. Work that grows
// with the square of the length takes seconds there, so the bounds leave much room for a busy machine.
const SIZES = [16_000, 32_000, 64_000]
const LIMIT_MILLISECONDS = 250
/** Below this, what is measured is noise. */
const NOISE_MILLISECONDS = 20

type Run = (text: string) => unknown

const assertLinear = (input: (length: number) => string, run: Run): Promise<void> =>
  inOneOfThree(() => measureOnce(input, run))

async function measureOnce(input: (length: number) => string, run: Run): Promise<void> {
  const shortest: number[] = []
  for (const size of SIZES) {
    const text = input(size)
    let best = Number.POSITIVE_INFINITY
    // again where another process may have disturbed it, but not where it is hopeless
    const isUnsure = () => best > NOISE_MILLISECONDS / 4 && best < 4 * LIMIT_MILLISECONDS
    for (let attempt = 0; attempt < 5 && (attempt === 0 || isUnsure()); attempt += 1) {
      const start = process.cpuUsage()
      try {
        await run(text)
      } catch (error) {
        // refusing is fine, and what it costs counts
        if (!(error instanceof OAuthError) && !(error instanceof TypeError)) throw error
      }
      const { user, system } = process.cpuUsage(start) // other processes may have the processor meanwhile
      best = Math.min(best, (user + system) / 1000)
    }
    shortest.push(best)
  }
  const [one = 0, , four = 0] = shortest
  const shown = shortest.map((each) => each.toFixed(1)).join(', ')
  assert.ok(four < LIMIT_MILLISECONDS, `${shown} ms`)
  assert.ok(four < NOISE_MILLISECONDS || four < 10 * one, `grows faster than the input: ${shown} ms`)
}

const repeat =
  (unit: string, before = '', after = '') =>
  (length: number): string =>
    before + unit.repeat(Math.floor((length - before.length - after.length) / unit.length)) + after

const numbered =
  (make: (at: number) => string, separator: string) =>
  (length: number): string => {
    let text = make(0)
    for (let at = 1; text.length < length - 20; at += 1) text += separator + make(at)
    return text
  }

/** Strings that regular expressions and loops over characters stumble over. */
const STRINGS: Readonly<Record<string, (length: number) => string>> = {
  blanks: repeat(' '),
  'blanks between letters': repeat(' ', 'a', 'b'),
  'blanks and letters': repeat('a '),
  'tabs between letters': repeat('\t', 'a', 'b'),
  letters: repeat('a'),
  slashes: repeat('/'),
  'a URL of slashes': repeat('/', 'http:'),
  'a long host': repeat('a.', 'http://', '/'),
  dots: repeat('/..', 'http://a'),
  colons: repeat(':'),
  commas: repeat(','),
  semicolons: repeat(';'),
  'equals signs': repeat('='),
  ampersands: repeat('&'),
  'question marks': repeat('?'),
  'percent signs': repeat('%'),
  'percent sequences': repeat('%41'),
  'broken percent sequences': repeat('%C3', 'a='),
  'plus signs': repeat('+'),
  brackets: repeat('['),
  'quotation marks': repeat('"'),
  backslashes: repeat('\\'),
  'control characters': repeat('\u0001'),
  'surrogates, alone': repeat('\ud800'),
  'four-byte characters': repeat('\u{1f600}'),
  'many names': numbered((at) => `n${at}=v`, '&'),
  'many values of one name': repeat('resource=https://a&'),
  'many blank values of one name': repeat('resource=&'),
  'many bracketed names': numbered((at) => `n${at}[a][b]=v`, '&'),
  'many parameters of a type': numbered((at) => `p${at}=v`, '; '),
  'many scope values': numbered((at) => `scope:${at}`, ' '),
  'one scope value again and again': repeat('read '),
  'Base64 of letters': (length) => Buffer.from('a'.repeat((length * 3) / 4)).toString('base64'),
  'Base64 of colons': (length) => Buffer.from(':'.repeat((length * 3) / 4)).toString('base64'),
  'Base64 of percent signs': (length) => Buffer.from(`a:${'%'.repeat((length * 3) / 4 - 4)}`).toString('base64'),
  'Base64 of plus signs': (length) => Buffer.from(`a:${'+'.repeat((length * 3) / 4 - 4)}`).toString('base64'),
  'Base64 and something after it': repeat('QUFB', '', '!'),
}

const requestWith = (headers: object, more: object = {}): never => ({ headers, ...more }) as never
const response = { removeHeader: () => undefined, writeHead: () => undefined, end: () => undefined } as never
const corsOfList = createCors({ origins: ['https://a.example'] })
const corsOfAll = createCors({})
const writeError = createErrorWriter({ verbosity: 'debug' })
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'x'.repeat(64) })
const opaque = createTokens({ issuer: 'https://as.example', baseSecret: 'x'.repeat(64), accessTokenFormat: 'opaque' })

/** The parsers of request data in lib/, each as a function of one string. A new parser gets its line here. */
const PARSERS: Readonly<Record<string, Run>> = {
  'form: bytes': (text) => parseForm(Buffer.from(text)),
  'form: bytes of another encoding': (text) => parseForm(Buffer.from(text, 'latin1')),
  'form: one value': (text) => parseForm(Buffer.from(`a=${text.replaceAll('&', 'x')}`)),
  'form: parsed before, one value': (text) => parsedForm({ a: text, resource: text }),
  'form: parsed before, many names': (text) =>
    parsedForm(Object.fromEntries(text.split('&').map((pair) => pair.split('=', 2)))),
  'form: parsed before, an array': (text) => parsedForm({ resource: text.split('&') }),
  'Content-Type': (text) => announcedForm({ 'content-type': `application/x-www-form-urlencoded;${text}` }),
  'Content-Type: charset': (text) =>
    announcedForm({ 'content-type': `application/x-www-form-urlencoded; charset=${text}` }),
  'Content-Encoding': (text) => announcedForm({ 'content-encoding': text }),
  'Authorization: Basic, tolerant': (text) => parseBasic(`Basic ${text}`, 'tolerant'),
  'Authorization: Basic, strict': (text) => parseBasic(`Basic ${text}`, 'strict'),
  'Authorization: another scheme': (text) => parseBasic(text, 'tolerant'),
  Origin: (text) => corsOfList.of(requestWith({ origin: text }), true),
  'Access-Control-Request-Headers': (text) =>
    corsOfAll.of(requestWith({ 'access-control-request-headers': text }), true),
  'request target': (text) => pathAndQuery(text),
  'request target below a mount': (text) => isBelowMount({ url: text, baseUrl: '/token' }),
  'authorization request: query': (text) => readAuthorizationParameters(requestWith({}, { url: `/authorize?${text}` })),
  'authorization request: one value': (text) =>
    readAuthorizationParameters(requestWith({}, { url: `/authorize?state=${text.replaceAll('&', 'x')}` })),
  scope: (text) => parseScope(text),
  'scope with commas': (text) => parseScope(text, { commaSeparatesScope: true }),
  'redirect URI': (text) => isUsableRedirectUri(text),
  'redirect URI, compared': (text) => isSameRedirectUri(text, `${text}x`, true),
  issuer: (text) => isIssuer(text),
  'issuer: host': (text) => isIssuer(`https://${text}`),
  'error: of oauth2orize': (text) =>
    toOAuthError(Object.assign(new Error(text), { name: 'TokenError', code: 'invalid_grant' })),
  'error: its code': (text) => toOAuthError(Object.assign(new Error('x'), { name: 'TokenError', code: text })),
  'error: of a body parser': (text) => toOAuthError({ status: 400, type: text, expose: true }),
  'error: description and detail': (text) =>
    writeError(new OAuthError('invalid_grant', { description: text, detail: text }), requestWith({}), response),
  'a line of a log': (text) => toPrintable(text, 4096),
  'an identifier in a log': (text) => toPrintableId(text),
  'access token': (text) => tokens.verifyAccessToken(text, 0),
  'access token: header': (text) => tokens.verifyAccessToken(`${Buffer.from(text).toString('base64url')}.e30.x`, 0),
  'access token: opaque': (text) => opaque.verifyAccessToken(text, 0),
  'refresh token': (text) => tokens.readRefreshToken(text),
}

test('the check of this file notices work that grows with the square of the input', async () => {
  const trim: Run = (text) => text.replace(/^ +| +$/g, '')
  await assert.rejects(measureOnce(repeat(' ', 'a', 'b'), trim))
})

for (const [parser, run] of Object.entries(PARSERS)) {
  test(`${parser}: the work grows with the length of the input, not faster`, async () => {
    for (const [name, input] of Object.entries(STRINGS)) {
      await assertLinear(input, run).catch((error: Error) => assert.fail(`${name}: ${error.message}`))
    }
  })
}

/** Requests at the limits of a server: a header line or a body. */
const REQUESTS: Readonly<Record<string, (text: string) => readonly [headers: readonly string[], body: string]>> = {
  Authorization: (text) => [[FORM_TYPE, `Authorization: ${text}`], 'grant_type=echo'],
  'Authorization: Basic': (text) => [[FORM_TYPE, `Authorization: Basic ${text}`], 'grant_type=echo'],
  'Content-Type': (text) => [[`${FORM_TYPE};${text}`], 'grant_type=echo'],
  Origin: (text) => [[FORM_TYPE, `Origin: ${text}`], 'grant_type=echo'],
  body: (text) => [[FORM_TYPE], text],
  'an assertion': (text) => [
    [FORM_TYPE],
    `grant_type=echo&client_assertion=${encodeURIComponent(text.slice(0, 20_000).replaceAll('\ud800', 'x'))}`,
  ],
}

const isHeaderText = (text: string): boolean => /^[\t\x20-\x7e]*$/.test(text)

describe('requests at the limits of the server', () => {
  const doors: Readonly<Record<string, () => RequestListener>> = {
    exchanges: () => createTokenEndpoint({ findClient, exchanges: [echo], path: '/token' }) as RequestListener,
    server() {
      const server = oauth2orize.createServer()
      server.exchange(toOauth2orize(echo))
      const strategies = { basic: 'basic', clientPassword: 'oauth2-client-password' }
      const endpoint = createTokenEndpoint({ server, passport: applicationPassport(), strategies })
      return express().use('/token', endpoint) as unknown as RequestListener
    },
  }
  for (const [door, make] of Object.entries(doors)) {
    for (const [kind, build] of Object.entries(REQUESTS)) {
      test(`createTokenEndpoint({ ${door} }): ${kind}`, async () => {
        const route: Route = await listen(createServer({ maxHeaderSize: 65_536 + 1024 }, make()))
        try {
          for (const [name, input] of Object.entries(STRINGS)) {
            if (kind !== 'body' && kind !== 'an assertion' && !isHeaderText(input(100))) continue
            const run: Run = async (text) => {
              const answer = await sendRaw(route.port, rawPost(...build(text)))
              assert.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`)
            }
            await assertLinear(input, run).catch((error: Error) => assert.fail(`${name}: ${error.message}`))
          }
        } finally {
          await route.close()
        }
      })
    }
  }
})
