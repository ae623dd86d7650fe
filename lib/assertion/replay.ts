import { refusal } from '../errors.ts'
import { isFirstUse, type ReplayRegister } from '../replay_register.ts'
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
  if (await isFirstUse(register, issuer, author, jti, expiresAt)) return
  throw refusal('assertion_replayed', { clientId, detail: 'an assertion with this jti was used before' })
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
