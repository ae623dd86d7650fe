import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { PROFILES } from '../../lib/assertion/profiles.ts'
import { RULE_DECLARATIONS, type RuleDeclaration } from '../../lib/assertion/rules.ts'
import { createAssertionVerifier, VERIFIER_OPTIONS } from '../../lib/assertion/verify.ts'

const page = readFileSync('docs/assertions.md', 'utf8')
const options = page.slice(page.indexOf('## Options'), page.indexOf('## One client that differs'))
const rows = options
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  )

const code = (value: unknown): string => (typeof value === 'number' ? String(value) : `\`${value}\``)

/** The cells of the table that a declaration decides: option, default, values, per client. */
const cellsOf = (name: string, { values, byDefault, scope }: RuleDeclaration): string[] => {
  const shown = (): string => {
    if (values === 'boolean') return '`true`, `false`'
    if (!('least' in values)) return values.map(code).join(', ')
    const { least, most } = values
    if (typeof most === 'number') return `${least} to ${most}`
    const others = Object.entries(PROFILES).filter(([, profile]) => most(profile) !== most(PROFILES.oidc))
    return [
      `${least} to ${most(PROFILES.oidc)}`,
      ...others.map(([profile, its]) => `\`${profile}\`: ${most(its)}`),
    ].join(', ')
  }
  const perClient = { verifier: 'no', 'verifier, client': 'yes', client: 'only' }[scope]
  return [code(name), byDefault === undefined ? 'by profile' : code(byDefault), shown(), perClient]
}

test('the table of options in docs/assertions.md says what the declarations say', () => {
  const declared = Object.entries<RuleDeclaration>(RULE_DECLARATIONS).map(([name, each]) => cellsOf(name, each))
  const names = new Set(declared.map(([name]) => name))
  assert.deepEqual(
    rows.filter(([name = '']) => names.has(name)).map((cells) => cells.slice(0, 4)),
    declared,
  )
})

test('docs/assertions.md names every option of the verifier', () => {
  for (const name of VERIFIER_OPTIONS) assert.ok(options.includes(`\`${name}\``), name)
})

test('each declared option refuses what is out of its values, for the verifier and for perClient', () => {
  for (const [name, { scope, values }] of Object.entries<RuleDeclaration>(RULE_DECLARATIONS)) {
    const sound = { issuer: 'https://as.example', findClient: () => undefined, replayRegister: false } as const
    for (const wrong of ['a value of nothing', -1, 1.5, 1e9, {}, null])
      assert.throws(() => createAssertionVerifier({ ...sound, [name]: wrong } as never), { name: 'TypeError' }, name)
    const allowed = values === 'boolean' ? [true, false] : 'least' in values ? [values.least] : values
    for (const right of allowed) {
      const make = (): unknown => createAssertionVerifier({ ...sound, [name]: right } as never)
      if (scope === 'client') assert.throws(make, /Unknown option/)
      else make()
    }
  }
})

test('an option that does not exist throws, with the one that was probably meant; so does a call without options', () => {
  const sound = { issuer: 'https://as.example', findClient: () => undefined, replayRegister: false } as const
  for (const [wrong, meant] of [
    ['maxLifetime', 'maxLifetimeSeconds'],
    ['algorithm', 'algorithms'],
    ['audiences', 'audience'],
    ['keysets', 'keySets'],
  ] as const)
    assert.throws(() => createAssertionVerifier({ ...sound, [wrong]: 1 } as never), {
      name: 'TypeError',
      message: `Unknown option "${wrong}". Did you mean "${meant}"?`,
    })
  assert.throws(
    () => createAssertionVerifier({ ...sound, keySets: { maxSize: 1 } } as never),
    /Unknown option "maxSize"/,
  )
  for (const keySets of [5, null, []])
    assert.throws(() => createAssertionVerifier({ ...sound, keySets } as never), /keySets needs an object/)
  assert.throws(
    () => (createAssertionVerifier as unknown as () => void)(),
    /createAssertionVerifier needs an object with options/,
  )
})
