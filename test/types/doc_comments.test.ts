import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDocumented, placeOf, publicSurface } from '../support/public_surface.ts'

// The reference would show the words of the type that a declaration extends, which are about something else.
for (const [file, names] of publicSurface()) {
  test(`${file}: everything it exports has a doc comment of its own`, () => {
    assert.ok(names.length > 0)
    const bare = names.flatMap(({ name, declarations }) =>
      declarations.filter((each) => !isDocumented(each)).map((each) => `${name} (${placeOf(each)})`),
    )
    assert.deepEqual(bare, [])
  })
}
