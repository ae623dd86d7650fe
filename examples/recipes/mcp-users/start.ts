// Starts the recipe. docs/recipes.md says how, and which variables it reads. Log in as `alice` with `wonderland`.
import { randomBytes } from 'node:crypto'
import { createApplication } from './application.ts'
import { addMcp } from './mcp.ts'

const port = Number(process.env['PORT'] ?? 3000)
const issuer = `http://localhost:${port}`

const application = createApplication({ sessionSecret: randomBytes(32).toString('base64url') })
addMcp(application, { issuer, baseSecret: process.env['BASE_SECRET'] ?? '' })
application.app.listen(port, () => console.log(`Listening at ${issuer}, MCP at ${issuer}/mcp`))
