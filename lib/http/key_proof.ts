import type { KeyProof } from '../exchanges/exchange.ts'
import type { Request } from './message.ts'

const PROOF = Symbol('the key of the DPoP proof')

type Proven = Request & { [PROOF]?: KeyProof }

/** Keeps the key of a DPoP proof, which was checked, with the request, for exchanges that oauth2orize runs. */
export function setProof(request: Request, proof: KeyProof): void {
  ;(request as Proven)[PROOF] = proof
}

/** The key of the DPoP proof of a request, if it had one that was checked. */
export const proofOf = (request: Request): KeyProof | undefined => (request as Proven)[PROOF]
