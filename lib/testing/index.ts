// What `passport-client-assertion-jwt/testing` exports: help for tests, and the suites that hold stores to their contracts.
export { createFakeClock, type FakeClock } from './fake_clock.ts'
export {
  type AssertionOverrides,
  type AssertionParameters,
  createTestClient,
  type TestClient,
  type TestClientOptions,
} from './test_client.ts'
