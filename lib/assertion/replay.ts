import { answerOf, refusal, unavailable } from '../errors.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Check } from './attempt.ts'

/** Takes note of the assertion, once. Everything that could be refused without this has been. */
async function spend(
  register: ReplayRegister,
  issuer: string,
  author: string,
  jti: string,
  expiresAt: number,
  clientId: string,
): Promise<void> {
  const isFirst: unknown = await answerOf(() => register.remember(issuer, author, jti, expiresAt))
  if (isFirst === true) return
  if (isFirst === false)
    throw refusal('assertion_replayed', { clientId, detail: 'an assertion with this jti was used before' })
  throw unavailable(new TypeError(`replayRegister.remember must resolve with a boolean, got ${typeof isFirst}`))
}

export const REPLAY_CHECK: Check = {
  name: 'replay',
  title: 'Not used before',
  needs: ['names', 'clientId', 'expiresAt'],
  run({ parts: { replayRegister }, rules, names, clientId, jti, expiresAt, issuer }) {
    if (jti === undefined || replayRegister === false || rules.allowReuse) return
    const forgetAt = Math.ceil(expiresAt + rules.clockToleranceSeconds) + 1
    return spend(replayRegister, names.issuer, issuer ?? clientId, jti, forgetAt, clientId)
  },
  online: true,
}
