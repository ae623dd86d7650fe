import assert from 'node:assert/strict'
import type { MemoryStores } from '../../lib/stores/memory.ts'
import { newCode, newSession } from '../support/records.ts'

/** Calls every verb of the three stores once, and looks at what they answer. */
export async function useAll({ replayRegister, codeStore, sessionStore }: MemoryStores): Promise<void> {
  const now = Math.floor(Date.now() / 1000)
  const code = newCode()
  const sessions = [newSession(), newSession({ expiresAt: now + 5000 }), newSession({ type: 'full' })] as const
  assert.equal(await replayRegister.remember('i', 'c', code.id, now + 60), true)
  assert.equal(await replayRegister.remember('i', 'c', code.id, now + 60), false)
  await codeStore.add(code)
  assert.equal(await codeStore.countFailure(code.id), 1)
  assert.equal(await codeStore.spend(code.id), 'spent')
  assert.deepEqual(await codeStore.find(code.id), { ...code, failures: 1, spent: true })
  for (const session of sessions) assert.equal(await sessionStore.create(session), 'created')
  const [one, two, three] = sessions
  assert.equal(await sessionStore.save({ ...one, refreshExpiresAt: now + 9000 }), 'saved')
  assert.equal((await sessionStore.list(one.subject, 'oauth2')).length, 1)
  assert.equal(await sessionStore.end(two.id, now + 60), 'ended')
  assert.equal(await sessionStore.endAll(one.subject, 'oauth2'), 1)
  assert.deepEqual(await sessionStore.get(three.id), three)
}
