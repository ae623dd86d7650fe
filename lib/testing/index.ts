// What `passport-client-assertion-jwt/testing` exports: help for tests, and the suites that hold stores to their contracts.
export { codeStoreContract } from './code_store_contract.ts'
export type { ContractOptions, ContractRunner, OpenedStore, OpenStore } from './contract.ts'
export { createFakeClock, type FakeClock } from './fake_clock.ts'
export { replayRegisterContract } from './replay_register_contract.ts'
export { sessionStoreContract } from './session_store_contract.ts'
export {
  type AssertionOverrides,
  type AssertionParameters,
  createTestClient,
  type TestClient,
  type TestClientOptions,
} from './test_client.ts'
