import type { ServerResponse } from 'node:http'
import { isPromise } from '../maybe_promise.ts'

/** What happens if a writer fails. */
interface WriterFallback {
  /** How long the writer may take to end the response. */
  readonly milliseconds: number
  /** Receives what the writer threw or rejected with, or an error that says that it took too long. */
  readonly onFault: (fault: unknown) => void
  /** Sends the response of this package. */
  readonly send: () => void
}

/**
 * Calls a function of the application that has to end the response. If it throws, rejects, or does not end it in time, the
 * response of this package is sent instead, unless another one has begun.
 */
export function callWriter(write: () => unknown, response: ServerResponse, fallback: WriterFallback): void {
  const { milliseconds, onFault, send } = fallback
  let hasFailed = false
  const mend = (fault: unknown): void => {
    if (hasFailed) return // it rejects after its time
    hasFailed = true
    clearTimeout(timer)
    onFault(fault)
    if (response.writableEnded) return
    if (response.headersSent)
      response.destroy() // half a response must not look like a whole one
    else send()
  }
  const late = () => mend(new Error(`it did not end the response within ${milliseconds} milliseconds`))
  const timer = setTimeout(late, milliseconds).unref() // the connection keeps the process alive
  response.once('close', () => clearTimeout(timer))
  try {
    const pending = write()
    if (isPromise(pending)) Promise.resolve(pending).catch(mend)
  } catch (fault) {
    mend(fault)
  }
}
