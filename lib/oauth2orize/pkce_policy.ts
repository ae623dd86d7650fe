import type { Client } from '../client.ts'
import type { PkcePolicy } from '../code/authorization_request.ts'
import { askHook, returnedWrong } from '../hooks.ts'
import { oneOf } from '../options.ts'

/** One policy for all clients, or a function that says which one holds for a client. */
export type PkceRule = PkcePolicy | ((client: Client) => PkcePolicy | Promise<PkcePolicy>)

const POLICIES: readonly PkcePolicy[] = ['all', 'public', 'optional']

/** The option `pkce`, checked. Default `'all'`. */
export const pkceRule = (pkce: PkceRule | undefined): PkceRule =>
  typeof pkce === 'function' ? pkce : oneOf('pkce', pkce, 'all', POLICIES)

/** The policy that holds for a client. */
export async function pkcePolicyFor(rule: PkceRule, client: Client, milliseconds: number): Promise<PkcePolicy> {
  if (typeof rule !== 'function') return rule
  const policy: unknown = await askHook('pkce', milliseconds, () => rule(client))
  if (POLICIES.some((each) => each === policy)) return policy as PkcePolicy
  throw returnedWrong('pkce', `one of ${POLICIES.join(', ')}`)
}
