// `passport-client-assertion-jwt/strategy`: what goes into a Passport set-up, and nothing else.
export {
  type AssertionRouteOptions,
  type AssertionStrategyBehaviour,
  type AssertionStrategyOptions,
  ClientAssertionStrategy,
  ClientAssertionStrategy as default,
  ClientAssertionStrategy as Strategy,
  type StrategyRequest,
  type VerifyClient,
  type VerifyClientWithRequest,
  type VerifyDone,
} from './passport/assertion_strategy.ts'
export { type BasicVerify, type BasicVerifyOptions, basicVerify } from './passport/basic.ts'
export {
  type ClientPasswordVerify,
  type ClientPasswordVerifyOptions,
  clientPasswordVerify,
} from './passport/client_password.ts'
export type { ClientDone } from './passport/done.ts'
export { PublicClientStrategy, type PublicClientStrategyOptions } from './passport/public_client_strategy.ts'
