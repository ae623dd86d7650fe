// What `passport-client-assertion-jwt/testing` exports: help for tests, and the suites that hold stores to their contracts.
export { testCodeStore } from './code_store_contract.ts'
export type { OpenStore } from './contract.ts'
export { createFakeClock, type FakeClock } from './fake_clock.ts'
export { testReplayRegister } from './replay_register_contract.ts'
export { testSessionStore } from './session_store_contract.ts'
export {
  type AssertionOverrides,
  createTestClient,
  type TestClient,
  type TestClientOptions,
} from './test_client.ts'
