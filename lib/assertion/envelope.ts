import { refusal } from '../errors.ts'
import { type CompactJws, isJwsProblem, readCompactJws } from '../keys/compact_jws.ts'

/** What an assertion says of itself. Nothing in it is to be believed before its signature was checked. */
export type Envelope = CompactJws

/** Takes an assertion apart, strictly. The length was checked before. Checks no member of either object and no signature. */
export function openEnvelope(assertion: string): Envelope {
  const jws = readCompactJws(assertion)
  if (!isJwsProblem(jws)) return jws
  throw refusal(jws.isEncrypted ? 'assertion_encrypted' : 'assertion_malformed', { detail: jws.problem })
}
