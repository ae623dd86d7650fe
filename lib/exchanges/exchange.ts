import type { Client, ClientAuthentication, RequestContext } from '../client.ts'
import type { FormParameters } from '../parameters.ts'
import type { TokenSet } from '../token/token_set.ts'

/** The body of a successful token response, as RFC 6749 §5.1 spells it. */
export type TokenResponse = TokenSet

/** A token request whose client is authenticated and whose parameters are sound. */
export interface ExchangeRequest {
  readonly client: Client
  /** How the client was authenticated; absent where the application authenticated it by means of its own. */
  readonly authentication?: ClientAuthentication | undefined
  readonly parameters: FormParameters
  /** The one reading of the clock for this request, epoch seconds. */
  readonly now: number
  readonly context: RequestContext
}

/**
 * What serves one `grant_type`. It refuses by rejecting with an `OAuthError`; anything else it rejects with is a fault.
 * It knows no framework: `oauth2orize/exchange` makes an oauth2orize exchange of it.
 */
export interface Exchange {
  readonly grantType: string
  /** Serves one request of an authenticated client. */
  run(request: ExchangeRequest): Promise<TokenResponse>
}
