// Starts the recipe. docs/recipes.md says how, and which variables it reads. Log in as `alice` with `wonderland`.
import { randomBytes } from 'node:crypto'
import type { Client } from 'passport-client-assertion-jwt'
import { createApplication } from '../mcp-users/application.ts'
import { addFapi } from './fapi.ts'

const port = Number(process.env['PORT'] ?? 3000)
const issuer = `http://localhost:${port}` // the profile requires https: do not use it like this in production
const clients = JSON.parse(process.env['CLIENTS'] ?? '[]') as Client[] // your database

const application = createApplication({ sessionSecret: randomBytes(32).toString('base64url') })
addFapi(application, {
  issuer,
  baseSecret: process.env['BASE_SECRET'] ?? '',
  findClient: (clientId) => clients.find(({ client_id }) => client_id === clientId),
})
application.app.listen(port, () => console.log(`Listening at ${issuer}`))
