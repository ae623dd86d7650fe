// Starts the recipe. docs/recipes.md says how, and which variables it reads. Each user name and password is accepted.
import type { Client } from 'passport-client-assertion-jwt'
import { createSmartServer } from './server.ts'

const port = Number(process.env['PORT'] ?? 3000)
const origin = `http://localhost:${port}`
const clients = JSON.parse(process.env['CLIENTS'] ?? '[]') as Client[] // your database

createSmartServer({ origin, baseSecret: process.env['BASE_SECRET'] ?? '', clients }).listen(port, () =>
  console.log(`Listening at ${origin}, FHIR at ${origin}/fhir`),
)
