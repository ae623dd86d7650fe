// The database of the application: tables, and functions that call back. It stays as it is.
// As in many applications of this style, looking up something unknown calls back an error.

const clients = [
  {
    id: '1',
    name: 'Samplr',
    clientId: 'abc123',
    clientSecret: 'ssh-secret',
    redirectUri: 'https://samplr.example/callback',
    isTrusted: false,
  },
  {
    id: '2',
    name: 'Reports',
    clientId: 'xyz123',
    clientSecret: 'ssh-password',
    redirectUri: 'https://reports.example/callback',
    isTrusted: true,
  },
  {
    id: '3',
    name: 'Phone',
    clientId: 'phone',
    clientSecret: null, // an app that can keep no secret: it was never able to use the token endpoint
    redirectUri: 'https://phone.example/callback',
    isTrusted: false,
  },
]

const users = [
  { id: '1', username: 'bob', password: 'secret', name: 'Bob Smith' },
  { id: '2', username: 'joe', password: 'password', name: 'Joe Davis' },
]

const table = (what) => {
  const rows = new Map()
  return {
    find(key, done) {
      const row = rows.get(key)
      setImmediate(() => (row === undefined ? done(new Error(`${what} not found`)) : done(null, row)))
    },
    save(key, row, done) {
      rows.set(key, row)
      setImmediate(() => done(null))
    },
    remove(key, done) {
      rows.delete(key)
      setImmediate(() => done(null))
    },
  }
}

const findIn = (rows, column, what) => (value, done) => {
  const row = rows.find((each) => each[column] === value)
  setImmediate(() => (row === undefined ? done(new Error(`${what} not found`)) : done(null, row)))
}

module.exports = {
  clients: {
    rows: clients,
    find: findIn(clients, 'id', 'Client'),
    findByClientId: findIn(clients, 'clientId', 'Client'),
  },
  users: {
    find: findIn(users, 'id', 'User'),
    findByUsername: findIn(users, 'username', 'User'),
  },
  /** { clientId: the id of the row, redirectUri, userId } */
  authorizationCodes: table('Code'),
  /** { clientId: the id of the row, userId: null for the client itself } */
  accessTokens: table('Token'),
  /** { clientId: the id of the row, userId } */
  refreshTokens: table('Token'),
}
