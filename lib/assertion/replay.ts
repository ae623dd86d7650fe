import { refusal } from '../errors.ts'
import { isFirstUse } from '../replay_register.ts'
import type { Check } from './attempt.ts'

/** The last check: takes note of the assertion, once. Everything that could be refused without this has been. */
export const REPLAY_CHECK: Check = {
  name: 'replay',
  title: 'Not used before',
  needs: ['names', 'clientId', 'expiresAt'],
  run({ parts: { replayRegister }, rules, names, clientId, jti, expiresAt, issuer }) {
    if (jti === undefined || replayRegister === false || rules.allowReuse) return
    const forgetAt = Math.ceil(expiresAt + rules.clockToleranceSeconds) + 1
    return isFirstUse(replayRegister, names.issuer, issuer ?? clientId, jti, forgetAt).then((isFirst) => {
      if (!isFirst)
        throw refusal('assertion_replayed', { clientId, detail: 'an assertion with this jti was used before' })
    })
  },
  online: true,
}
