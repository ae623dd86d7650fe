const { createMemoryStores } = require('passport-client-assertion-jwt/stores/memory')
const {
  testCodeStore,
  createFakeClock,
  testReplayRegister,
  testSessionStore,
} = require('passport-client-assertion-jwt/testing')

const opened = (name) => () => {
  const clock = createFakeClock()
  const waitUntil = async (moment) => void clock.set(Math.max(clock(), moment))
  return { store: createMemoryStores({ clock })[name], now: clock, waitUntil }
}

const options = { connection: false }
testReplayRegister({ describe, it }, 'memory', opened('replayRegister'), options)
testCodeStore({ describe, it }, 'memory', opened('codeStore'), options)
testSessionStore({ describe, it }, 'memory', opened('sessionStore'), options)
