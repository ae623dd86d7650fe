const { memoryStores } = require('passport-client-assertion-jwt/stores/memory')
const {
  codeStoreContract,
  createFakeClock,
  replayRegisterContract,
  sessionStoreContract,
} = require('passport-client-assertion-jwt/testing')

const opened = (name) => () => {
  const clock = createFakeClock()
  const waitUntil = async (moment) => clock.advance(Math.ceil(moment) - clock())
  return { store: memoryStores({ clock })[name], now: clock, waitUntil }
}

const options = { connection: false }
replayRegisterContract({ describe, it }, 'memory', opened('replayRegister'), options)
codeStoreContract({ describe, it }, 'memory', opened('codeStore'), options)
sessionStoreContract({ describe, it }, 'memory', opened('sessionStore'), options)
