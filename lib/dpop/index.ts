// `passport-client-assertion-jwt/dpop`: access tokens and refresh tokens that are bound to a key of the client (RFC 9449).

export { createDpop, type Dpop, type DpopOptions } from './dpop.ts'
export type { DpopProof, DpopRequest } from './dpop_proof.ts'
