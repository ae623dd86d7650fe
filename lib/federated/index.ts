// Workloads authenticate with the tokens of their platform.
export type { TrustedIssuers } from '../assertion/attempt.ts'
export { createJwtBearerExchange } from './jwt_bearer_exchange.ts'
export { entra, githubActions, gitlab, google, kubernetes, spiffe } from './presets.ts'
export { createTrustedIssuers, type TrustedIssuer } from './trusted_issuers.ts'
