import { isInstance, messageOf } from '../instance.ts'

/**
 * Why a document could not be fetched:
 *
 * - `address`: no address that may be connected to
 * - `network`: name resolution, connection, TLS, or a response that was cut off
 * - `status`: a status other than 200, in `status`
 * - `content_type`, `encoding`: not the expected media type, or compressed
 * - `size`, `time`: too large, or not complete in time
 * - `busy`: not requested, because too many requests are under way
 */
export type RemoteProblem = 'address' | 'network' | 'status' | 'content_type' | 'encoding' | 'size' | 'time' | 'busy'

/** A document could not be fetched. The message is for operators; never send it to the party that named the URL. */
export class RemoteFailure extends Error {
  readonly problem: RemoteProblem
  /** The status of the response, if there was one. */
  readonly status: number | undefined

  constructor(problem: RemoteProblem, message: string, status?: number) {
    super(message)
    this.name = 'RemoteFailure'
    this.problem = problem
    this.status = status
  }
}

/** The failure for any error of the network. */
export function networkFailure(error: unknown): RemoteFailure {
  if (isInstance(error, RemoteFailure)) return error
  return new RemoteFailure('network', isInstance(error, Error) ? messageOf(error) : 'the request failed')
}
