import { exportJWK, generateKeyPair } from 'jose'

/** One client for each way to authenticate, as a clients file has it, with what the client itself must know. */
export interface ExampleClient {
  readonly record: Readonly<Record<string, unknown>> & { readonly client_id: string }
  readonly secret?: string
  readonly key?: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
}

export const USERS = [
  { sub: 'u1', username: 'alice', password: 'wonderland', name: 'Alice Liddell' },
  { sub: 'u2', username: 'bob', password: 'builder', name: 'Bob Martin' },
]
export const ALICE = { username: 'alice', password: 'wonderland' }
export const BOB = { username: 'bob', password: 'builder' }

/** A public client, as the record of a clients file. */
export const PUBLIC_APP = {
  client_id: 'app',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['https://app.example.com/cb'],
  grant_types: ['authorization_code', 'refresh_token'],
  scope: 'profile',
}

const SECRET = 'a secret with a colon: and 50 % more, ünicode +too'

async function withKey(clientId: string, alg: string, shared: object): Promise<ExampleClient> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return {
    key: privateKey,
    record: {
      ...shared,
      client_id: clientId,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: `key of ${clientId}`, alg }] },
    },
  }
}

/** `shared`: members of all the records. The ids are `es256`, `rs256`, `eddsa`, `hs256`, `basic`, `post`, `none`. */
export async function exampleClients(shared: object): Promise<Readonly<Record<string, ExampleClient>>> {
  const all = {
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: 'profile email notes.read',
    ...shared,
  }
  const withSecret = (clientId: string, method: string): ExampleClient => ({
    secret: SECRET,
    record: { ...all, client_id: clientId, token_endpoint_auth_method: method, client_secret: SECRET },
  })
  return {
    es256: await withKey('es256', 'ES256', all),
    rs256: await withKey('rs256', 'RS256', all),
    eddsa: await withKey('eddsa', 'EdDSA', all),
    hs256: withSecret('hs256', 'client_secret_jwt'),
    basic: withSecret('basic', 'client_secret_basic'),
    post: withSecret('post', 'client_secret_post'),
    none: {
      record: {
        ...all,
        client_id: 'none',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
      },
    },
  }
}
