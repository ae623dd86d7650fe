// `passport-client-assertion-jwt/resource-server`: an API that accepts access tokens.

// Access tokens
export type { AccessToken } from './access_token.ts'
export { type BearerVerify, createBearerVerify } from './bearer_verify.ts'
// Responses
export { createChallenge } from './challenge.ts'
export { toMcpVerifier } from './mcp.ts'
// Hosts
export { type AccessTokenRequirements, requireAccessToken } from './middleware.ts'
export { createProtectedResource, type ProtectedResource } from './protected_resource.ts'
export { type AccessTokenVerifier, type AccessTokenVerifierOptions, createAccessTokenVerifier } from './verifier.ts'
