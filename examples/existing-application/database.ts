import { randomBytes } from 'node:crypto'

// The database of an application as it was before it knew of this package. It stays as it is.

export interface ClientRecord {
  readonly id: number
  readonly clientId: string
  readonly clientSecret: string | null
  readonly name: string
  /** The client's public keys: a column that was added for `private_key_jwt`. */
  readonly jwks?: string
}

interface CodeRecord {
  readonly clientId: number
  readonly userId: number
  readonly redirectURI: string
}

const clients: ClientRecord[] = [
  { id: 1, clientId: 'shop', clientSecret: 'open sesame', name: 'The shop' },
  { id: 2, clientId: 'phone', clientSecret: null, name: 'The app on the phone' },
]
const codes = new Map<string, CodeRecord>()
const accessTokens = new Map<string, { readonly clientId: number; readonly userId: number }>()

export const db = {
  clients,

  async findClientByClientId(clientId: string): Promise<ClientRecord | undefined> {
    return clients.find((client) => client.clientId === clientId)
  },

  /** What the consent page of the application does when the user agrees. */
  async createCode(record: CodeRecord): Promise<string> {
    const code = randomBytes(32).toString('base64url')
    codes.set(code, record)
    return code
  },

  async takeCode(code: string): Promise<CodeRecord | undefined> {
    const record = codes.get(code)
    codes.delete(code)
    return record
  },

  async createAccessToken(clientId: number, userId: number): Promise<string> {
    if (userId === 0) throw new Error('insert into access_tokens: user_id 0 violates foreign key "users"')
    const token = randomBytes(32).toString('base64url')
    accessTokens.set(token, { clientId, userId })
    return token
  },
}
