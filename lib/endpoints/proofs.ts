import type { Dpop } from '../dpop/dpop.ts'
import { type OAuthError, refusal } from '../errors.ts'
import type { CorsOptions } from '../http/cors.ts'
import { isDemanded } from '../optional.ts'
import type { Authenticated, EndpointAuthentication, Turn } from './turn.ts'

const NONCE = 'DPoP-Nonce'

const proofMissing = (clientId: string | undefined, nonce: string | undefined): OAuthError =>
  refusal('dpop_proof_missing', {
    clientId,
    description: 'The header DPoP is missing.',
    detail: clientId === undefined ? 'every request needs a DPoP proof' : 'the client has dpop_bound_access_tokens',
    ...(nonce === undefined ? {} : { headers: { [NONCE]: nonce } }),
  })

/** How an endpoint takes proofs. */
interface ProofUse {
  /** The URL of the endpoint, from configuration. */
  readonly url: string
  /** Whether it requires a proof where `dpop` or the client's record does. */
  readonly mayRequire: boolean
}

/**
 * Client authentication with DPoP proofs (RFC 9449 §5), for an endpoint of this URL. A wrong proof spends nothing: the proof
 * is checked before the client is authenticated, which spends the assertion, and is used up after it, before the endpoint does
 * anything. Requests without a proof are authenticated as ever.
 */
export function withProofs(
  authentication: EndpointAuthentication,
  dpop: Dpop,
  { url, mayRequire }: ProofUse,
): EndpointAuthentication {
  const { checkProof, spendProof, getNonce } = dpop
  const isRequired = mayRequire && dpop.isRequired

  async function authenticate(turn: Turn): Promise<Authenticated> {
    const { request, response, now } = turn
    const header = request.headers['dpop']
    if (header === undefined) {
      if (isRequired) throw proofMissing(undefined, getNonce(now))
      const authenticated = await authentication.authenticate(turn)
      const { client } = authenticated
      if (mayRequire && client !== undefined && isDemanded(client.dpop_bound_access_tokens))
        throw proofMissing(client.client_id, getNonce(now))
      return authenticated
    }
    const nonce = getNonce(now)
    if (nonce !== undefined) response.setHeader(NONCE, nonce)
    const proof = await checkProof(header, { method: request.method ?? '', url, now })
    const authenticated = await authentication.authenticate(turn)
    await spendProof(proof)
    turn.proof = { thumbprint: proof.thumbprint }
    return authenticated
  }
  return { ...authentication, authenticate, setsHeaders: true }
}

/** The option `cors` of an endpoint that takes proofs: browsers may send them, whatever other headers are allowed. */
export function withProofHeader(cors: CorsOptions | false | undefined): CorsOptions | false | undefined {
  if (typeof cors !== 'object' || !Array.isArray(cors?.headers)) return cors
  return { ...cors, headers: [...cors.headers, 'DPoP'] }
}
