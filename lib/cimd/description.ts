import { type Client, redirectUrisOf } from '../client.ts'
import { isClientDocument } from '../client_document.ts'
import { readOptional } from '../optional.ts'
import { isLoopbackHost } from './client_id_url.ts'

/** What a consent page should show about a client. */
export interface ClientDescription {
  /** The `client_name`; `undefined` if the client has none. */
  readonly name: string | undefined
  /** The host of the metadata document; `undefined` if the `client_id` is not a URL, or the client is registered. */
  readonly host: string | undefined
  /** The host that receives the code. For a private-use scheme: the scheme with a colon, such as `cursor:`. */
  readonly redirectHost: string
  /** Whether the code goes to a program on the user's device. Any other program on the device can pose as it. */
  readonly isLoopback: boolean
  /** Whether the client chose the name itself. Nobody has verified such a name. */
  readonly nameIsSelfGiven: boolean
}

const parse = (text: string): URL | undefined => (URL.canParse(text) ? new URL(text) : undefined)

const isWeb = ({ protocol }: URL): boolean => protocol === 'https:' || protocol === 'http:'

/**
 * Returns what a consent page should show about a client: both hosts, whether the name is self-given, and whether to
 * warn about a redirect to the user's own device. Escape every string before you show it. See "OAuth Phishing Attacks" in
 * draft-ietf-oauth-client-id-metadata-document-03.
 *
 * @example
 * ```ts
 * import { describeClient } from 'passport-client-assertion-jwt/cimd'
 *
 * const { name = 'an app', host, redirectHost, isLoopback } = describeClient(transaction.client, transaction.redirectURI)
 * ```
 */
export function describeClient(client: Client, redirectUri: string): ClientDescription {
  const isSelfGiven = isClientDocument(client)
  const id = isSelfGiven ? parse(client.client_id) : undefined
  const target = parse(redirectUri)
  return {
    name: readOptional(client.client_name),
    host: id !== undefined && isWeb(id) ? id.host : undefined,
    redirectHost:
      target === undefined ? `${redirectUri.split(':', 1)[0]}:` : isWeb(target) ? target.host : target.protocol,
    isLoopback: target !== undefined && isLoopbackHost(target),
    nameIsSelfGiven: isSelfGiven,
  }
}

/** The part of an oauth2orize request that `askAgainForDocuments` reads. */
interface RedirectingRequest {
  /** The redirect URI of the request. */
  readonly redirectURI?: string | undefined
}

/**
 * Returns whether to ask users for consent again, although they allowed the client before. Pass it as the option
 * `askAgain` of `createAuthorizationSide`.
 *
 * For a client with a metadata document, consent is remembered only if the code goes, over https, to the host of the
 * document. Any program on the user's device can pose as a client that redirects to the loopback interface (RFC 8252
 * §8.6). Returns `false` for registered clients.
 *
 * @example
 * ```ts
 * import { askAgainForDocuments } from 'passport-client-assertion-jwt/cimd'
 *
 * const authorization = createAuthorizationSide({
 *   issuer,
 *   findClient,
 *   codes,
 *   consents,
 *   resources,
 *   replayRegister,
 *   secret,
 *   askAgain: askAgainForDocuments, // loopback clients are asked each time
 * })
 * ```
 */
export function askAgainForDocuments(client: Client, request: RedirectingRequest): boolean {
  if (!isClientDocument(client)) return false
  const [only, ...others] = redirectUrisOf(client)
  const id = parse(client.client_id)
  const target = parse(request.redirectURI ?? (others.length === 0 && only !== undefined ? only : ''))
  return !(target?.protocol === 'https:' && id?.protocol === 'https:' && target.host === id.host)
}
