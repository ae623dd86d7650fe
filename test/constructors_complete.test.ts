// Every public function with options, read from the types: no options, an unknown one, and each of a wrong type.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BASES, baseFor, callWith } from './support/constructor_bases.ts'
import { publicConstructors } from './support/public_constructors.ts'

// C12, C20 of every constructor. The options of an error are its members, those of `createExpressServer` are Node's own.
const OTHERS = ['OAuthError', 'createExpressServer']
const constructors = publicConstructors().filter(({ name }) => !OTHERS.includes(name))

test('each public function with options has a row here', () => {
  assert.deepEqual(constructors.map(({ name }) => name).sort(), Object.keys(BASES).sort())
})

for (const { name, isOptional, options } of constructors)
  describe(name, () => {
    const base = BASES[name] ?? {}

    test('sound options are accepted; without options it names itself', async () => {
      await callWith(name, [base])
      const needs = { name: 'TypeError', message: new RegExp(`^${name} needs `) }
      if (isOptional) await callWith(name, [])
      else await assert.rejects(callWith(name, []), needs)
      for (const none of [null, 7, 'options', []]) await assert.rejects(callWith(name, [none]), needs, String(none))
    })

    test('an option that is nearly the name of one is refused with this name', async () => {
      for (const option of options) {
        const misspelt = `${option}x`
        await callWith(name, [{ ...base, [misspelt]: undefined }])
        await assert.rejects(callWith(name, [{ ...base, [misspelt]: 1 }]), (error: Error) => {
          assert.equal(error.name, 'TypeError')
          assert.ok(error.message.startsWith(`Unknown option "${misspelt}". `), error.message)
          // a strategy with an issuer of its own has no verifyAssertion
          if (name === 'Strategy' && option === 'verifyAssertion') return true
          return option.length < 3 || error.message.includes(`Did you mean "${option}"?`) || assert.fail(error.message)
        })
      }
    })

    test('an option that is like none is refused with the names of all, each of them once', async () => {
      await assert.rejects(callWith(name, [{ ...base, '#': 1 }]), (error: Error) => {
        assert.equal(error.name, 'TypeError')
        const names = / has: (.*)\.$/.exec(error.message)?.[1]?.split(', ') ?? []
        assert.ok(names.length > 0, error.message)
        assert.equal(new Set(names).size, names.length, error.message)
        return true
      })
    })

    test('each option of a wrong type is named, with what came', async () => {
      for (const option of options)
        await assert.rejects(
          callWith(name, [{ ...baseFor(name, option), [option]: Symbol('wrong') }]),
          (error: Error) => {
            assert.equal(error.name, 'TypeError', `${option}: ${error.message}`)
            assert.ok(error.message.includes(option), `${option}: ${error.message}`)
            return (
              /got (a symbol|an object|undefined)/.test(error.message) || assert.fail(`${option}: ${error.message}`)
            )
          },
        )
    })
  })
