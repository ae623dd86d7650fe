import type { TokenResponse } from '../exchanges/exchange.ts'
import { answerJson } from './json_response.ts'
import type { Response } from './message.ts'
import { NO_STORE } from './no_store.ts'

/** Answers with tokens (RFC 6749 §5.1). The body is what the exchange made and nothing else. */
export function answerTokens(
  response: Response,
  tokens: TokenResponse,
  extra?: Readonly<Record<string, string>>,
): void {
  answerJson(response, 200, tokens, extra === undefined ? NO_STORE : { ...NO_STORE, ...extra })
}
