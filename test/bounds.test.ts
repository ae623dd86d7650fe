// The table of bounds in docs/security.md, held to the sources: each number stands in the constant or default that it is of.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { maxHeaderSize } from 'node:http'
import { test } from 'node:test'

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

/** For each row the file, and what stands there right before the number. */
const SOURCES: Readonly<Record<string, readonly [file: string, before: string]>> = {
  'Bytes of a form': ['lib/http/form_body.ts', "wholeNumber('limitBytes', options.limitBytes, "],
  'Parameters of a form': ['lib/http/form.ts', 'const MOST_PARAMETERS = '],
  'Characters of a `client_id`': ['lib/client_lookup.ts', 'const MOST_CLIENT_ID_CHARACTERS = '],
  'Bytes of a client assertion': [
    'lib/assertion/rules.ts',
    'maxAssertionBytes: declare({ least: 256, most: 1_048_576 }, ',
  ],
  'Characters of a `jti`': ['lib/assertion/claims.ts', 'const MOST_JTI_CHARACTERS = '],
  'Characters of a DPoP proof': ['lib/dpop/dpop_proof.ts', 'const MOST_CHARACTERS = '],
  'Characters of an access token at an API': ['lib/resource_server/verifier.ts', 'const MOST_CHARACTERS = '],
  'Characters of an own token (refresh, revocation, introspection)': ['lib/token/jwt.ts', 'const MOST_CHARACTERS = '],
  'Characters of a `scope`': ['lib/scope.ts', 'const MOST_CHARACTERS = '],
  'Resources in one request': ['lib/resource/indicator.ts', 'const MOST_RESOURCES = '],
  'Characters of a resource': ['lib/resource/indicator.ts', 'const MOST_CHARACTERS = '],
  'Bytes of an authorization request': ['lib/oauth2orize/authorization_parameters.ts', 'const MOST_BYTES = '],
  'Time for one request at an endpoint': [
    'lib/endpoints/shell.ts',
    "wholeNumber('timeoutMilliseconds', options.timeoutMilliseconds, ",
  ],
  'Time for one function of the application': ['lib/errors.ts', 'const MOST_MILLISECONDS = '],
  'Time for one call of a store': [
    'lib/stores/bounded_calls.ts',
    "wholeNumber('timeoutMilliseconds', options.timeoutMilliseconds, ",
  ],
  'Calls of a store under way': [
    'lib/stores/bounded_calls.ts',
    "wholeNumber('maximumPending', options.maximumPending, ",
  ],
  'Secret hashes that wait': ['lib/client_secret.ts', 'const MOST_WAITING = '],
  'Secrets remembered as right': ['lib/client_secret.ts', 'const MOST_REMEMBERED = '],
  'Keys in one set, inline or remote': ['lib/keys/key_sets.ts', "number('maxKeys', "],
  'Bits of an RSA key': ['lib/keys/public_keys.ts', 'const MOST_RSA_BITS = '],
  'Signature checks for one token': ['lib/keys/jwks.ts', 'export const MOST_CHECKS = '],
  'Imported keys of clients': ['lib/assertion/verify.ts', "wholeNumber('keyCacheSize', options.keyCacheSize, "],
  'Imported keys of DPoP proofs': ['lib/dpop/dpop.ts', 'const MOST_KEYS = '],
  'Bytes of a key set': ['lib/remote/request.ts', 'options.maxBytes, '],
  'Time for a key set': ['lib/remote/request.ts', 'options.timeoutMilliseconds, '],
  'Requests for key sets under way': ['lib/keys/key_sets.ts', "number('maxRequests', "],
  '… for one host': ['lib/keys/key_sets.ts', "number('maxRequestsPerHost', "],
  'Requests for remote documents that wait': ['lib/remote/budget.ts', 'const MOST_WAITING = '],
  'Cool-down of a key set': ['lib/keys/key_sets.ts', "number('cooldownSeconds', "],
  'Key sets that are kept': ['lib/keys/key_sets.ts', "number('maxSets', "],
  'URIs whose cool-down is remembered': ['lib/keys/key_sets.ts', 'const LEAST_CONTACTS = '],
  'Bytes of a metadata document': ['lib/cimd/documents.ts', "wholeNumber('maxBytes', options.maxBytes, "],
  'Redirect URIs in a document': ['lib/cimd/client_metadata.ts', 'const MOST_REDIRECT_URIS = '],
  'Keys in a document': ['lib/cimd/client_metadata.ts', 'const MOST_KEYS = '],
  'Documents that are kept': ['lib/cimd/documents.ts', "wholeNumber('maxDocuments', options.maxDocuments, "],
  'Requests for documents under way': ['lib/cimd/documents.ts', "number('maxRequests', "],
  '… for documents of one host': ['lib/cimd/documents.ts', "number('maxRequestsPerHost', "],
  'Requests for documents in a minute': ['lib/cimd/documents.ts', "number('maxRequestsPerMinute', "],
  '… in a minute to one host': ['lib/cimd/documents.ts', "number('maxRequestsPerHostPerMinute', "],
  'Cool-down of a document': ['lib/cimd/documents.ts', "wholeNumber('cooldownSeconds', options.cooldownSeconds, "],
  'Key sets of document clients': ['lib/keys/key_sets.ts', 'const OF_DOCUMENTS = { maxSets: '],
  'Entries of `federated_credentials`': ['lib/federated_credentials.ts', 'const MOST_ENTRIES = '],
  'Key sets of one trusted issuer': ['lib/federated/issuer_keys.ts', 'maxSets: '],
  'Used assertions in the memory register': [
    'lib/stores/memory.ts',
    "wholeNumber('maximumAssertions', options.maximumAssertions, ",
  ],
  '… of one client, and decisions and pushed requests of one user': [
    'lib/stores/memory.ts',
    'options.maximumAssertionsPerClient, ',
  ],
  'Codes in the memory store': ['lib/stores/memory.ts', "wholeNumber('maximumCodes', options.maximumCodes, "],
  'Live codes of one user for one client': ['lib/stores/records.ts', 'const MOST_CODES_PER_USER = '],
  'Wrong verifiers for one code': ['lib/code/codes.ts', 'const MOST_FAILURES = '],
  'Active sessions of one user and type': ['lib/session/session_limit.ts', 'const MOST_SESSIONS_PER_USER = '],
  'Sessions in the memory store': ['lib/stores/memory.ts', "wholeNumber('maximumSessions', options.maximumSessions, "],
  'Bytes of one pushed request': ['lib/pushed/pushed_requests.ts', 'const MOST_BYTES = '],
  'Bytes of all pushed requests': [
    'lib/pushed/pushed_requests.ts',
    "wholeNumber('maximumBytes', options.maximumBytes, ",
  ],
  'Part of them for one client: one in': ['lib/pushed/shares.ts', 'const PART_OF_ONE = '],
  'Lifetime of a pushed request': [
    'lib/pushed/pushed_requests.ts',
    "wholeNumber('lifetimeSeconds', options.lifetimeSeconds, ",
  ],
  'Lifetime of a DPoP nonce': ['lib/dpop/nonces.ts', 'const WINDOW_SECONDS = '],
  'Lifetime of a DPoP proof': ['lib/dpop/dpop.ts', 'const DEFAULT_LIFETIME_SECONDS = '],
  'Introspection responses that are kept': ['lib/resource_server/introspection_source.ts', 'const MOST_KEPT = '],
}

/** The number that follows a text of the source, without line breaks: they are the formatter's. */
function numberAfter(file: string, before: string): number {
  const source = read(file).replace(/\s+/g, ' ').replaceAll('( ', '(')
  const at = source.indexOf(before)
  assert.ok(at >= 0 && source.indexOf(before, at + 1) < 0, `${file} has "${before}" once`)
  return Number(/^[\d_]+/.exec(source.slice(at + before.length))?.[0].replaceAll('_', ''))
}

const section =
  read('docs/security.md')
    .split(/^## /m)
    .find((each) => each.startsWith('Bounds\n')) ?? ''
const rows = [...section.matchAll(/^\| (?!resource|---)(.+?) \| ([\d,]+)[^|]* \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, resource = '', bound = '', option = '']) => ({ resource, bound: Number(bound.replaceAll(',', '')), option }),
)

test('each bound in docs/security.md is the one of the source', () => {
  assert.ok(rows.length > 50)
  for (const { resource, bound } of rows) {
    if (resource === 'Bytes of all headers') assert.equal(bound, maxHeaderSize)
    else {
      const source = SOURCES[resource]
      assert.ok(source, `a source for "${resource}"`)
      assert.equal(bound, numberAfter(...source), resource)
    }
  }
  const listed = new Set(rows.map(({ resource }) => resource))
  assert.deepEqual(
    Object.keys(SOURCES).filter((resource) => !listed.has(resource)),
    [],
  )
})

test('each option in the table of bounds is one that the source has', () => {
  for (const { option, resource } of rows)
    for (const [, name = ''] of option.matchAll(/`(?:\w+\.)?(\w+)`/g)) {
      const file = SOURCES[resource]?.[0] ?? ''
      const known = [
        file,
        'lib/keys/key_sets.ts',
        'lib/cimd/documents.ts',
        'lib/resource_server/introspection_source.ts',
      ]
      assert.ok(
        known.some((each) => each !== '' && new RegExp(`\\b${name}\\b`).test(read(each))) ||
          name === 'createClientDocuments',
        `${resource}: ${name}`,
      )
    }
})
