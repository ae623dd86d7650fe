import type { Client } from '../client.ts'
import { refusal } from '../errors.ts'
import { requireVerbs } from '../options.ts'
import type { Resources, TokenTarget } from '../resource/resources.ts'

/** The option of exchanges whose tokens are part of what a user granted. */
export interface ResourcesOption {
  /**
   * The resources that tokens can be limited to (RFC 8707): what `createResources` returned. `resource` may then name a part
   * of what was granted, for this access token. Default: none, and `resource` has no effect.
   */
  readonly resources?: Resources | undefined
}

/** Throws a `TypeError` unless the option is absent or what `createResources` returned. */
export function requireResources(resources: Resources | undefined): void {
  if (resources !== undefined) requireVerbs('resources', resources, ['target', 'targetOfClient'])
}

/**
 * What a token of a grant is limited to. A grant that is bound to resources gets no token where the option is missing: the
 * token would be for more than the user allowed.
 */
export function tokenTarget(
  resources: Resources | undefined,
  grant: { readonly resources?: readonly string[] | undefined; readonly subject: string },
  sent: string | undefined,
  scope: string,
  client: Client,
): TokenTarget | Promise<TokenTarget> {
  const { resources: granted, subject } = grant
  if (resources !== undefined) return resources.target(granted, sent, scope, { client, subject })
  if (granted === undefined) return { scope, audience: undefined }
  throw refusal('misconfigured', {
    clientId: client.client_id,
    detail: 'the grant is limited to resources, and the exchange has no option resources',
  })
}
