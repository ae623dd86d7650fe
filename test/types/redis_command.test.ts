import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const textOf = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

for (const file of ['README.md', 'docs/scaling.md', 'lib/stores/redis.ts']) {
  test(`${file}: every function it gives for a Redis client is one that compiles (redis_command.types.ts)`, () => {
    const compiled = textOf('test/types/redis_command.types.ts')
    const given = [
      ...textOf(file).matchAll(
        /`(?:[^`\n]*; )?(?:command: |reconnect: )?([^`\n]*=> (?:client|cluster|sentinel)\.[^`\n]*)`/g,
      ),
    ]
    assert.ok(given.length >= 3)
    for (const [, command = ''] of given) assert.ok(compiled.includes(`  ${command},\n`), command)
  })
}
