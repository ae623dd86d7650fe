import type { AuthenticatedClient, Client, RequestContext } from '../client.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from '../errors.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, checkOptions, optionNames, requireFunction } from '../options.ts'
import type { Check } from './attempt.ts'

/**
 * Your own check of an assertion that passed all others. It runs after the signature is verified and before the `jti` is
 * marked as used, so the client may send a refused assertion again.
 */
export interface AssertionCheck<C extends Client = Client> {
  /** The name of the check, for operators. The `detail` of a refusal contains it. */
  readonly name: string
  /**
   * Returns, or resolves with, `true` to accept. `false`, or a string with the reason, refuses the client with the reason
   * `client_rejected`; an `OAuthError` that it returns or throws refuses with that error. If it throws or rejects with
   * anything else, or takes longer than 30 seconds, the request fails with 503; any other value is a 500. `facts` has the
   * client's record, how it authenticated (method, algorithm, key id, `jti`, claims and header) and the request's context.
   */
  check(
    facts: AuthenticatedClient<C> & {
      /** The request: the `context` that was passed to the verifier. */
      readonly context: RequestContext
    },
  ): boolean | string | OAuthError | Promise<boolean | string | OAuthError>
}

const NAMES = optionNames<AssertionCheck>({ name: true, check: true })

const isRefusal = (value: unknown): value is OAuthError => value instanceof OAuthError

/** The checks of the option `checks` in the form of the verifier's own. Throws a `TypeError` for what is none. */
export function readChecks(checks: unknown): readonly Check[] {
  if (checks === undefined) return []
  if (!Array.isArray(checks)) throw badOption('checks', 'an array of { name, check }', checks)
  // spread, because `map` skips what an array leaves out
  return [...(checks as readonly AssertionCheck[])].map((own, index) => {
    checkOptions(`checks[${index}]`, own, NAMES)
    if (typeof own.name !== 'string' || own.name === '')
      throw badOption(`checks[${index}].name`, 'a non-empty string', own.name)
    requireFunction(`checks[${index}].check`, own.check)
    return toCheck(own)
  })
}

function toCheck(own: AssertionCheck): Check {
  const said = `the check '${own.name}' of the application`
  const judge = (answer: unknown, clientId: string): void => {
    if (answer === true) return
    if (isRefusal(answer)) throw answer
    if (answer === false || typeof answer === 'string')
      throw refusal('client_rejected', { clientId, detail: `${said} refused${answer ? `: ${answer}` : ''}` })
    throw refusal('misconfigured', { clientId, detail: `${said} returned neither true, false nor a string` })
  }
  const failed = (thrown: unknown): unknown =>
    isRefusal(thrown) ? thrown : unavailable(new Error(`${said} failed`, { cause: thrown }))
  return {
    name: own.name,
    title: `The application's check '${own.name}'`,
    needs: ['client', 'authentication'],
    run({ client, authentication, context }) {
      let answer: unknown
      try {
        answer = own.check({ client, authentication, context })
      } catch (thrown) {
        throw failed(thrown)
      }
      if (!isPromise(answer)) return judge(answer, client.client_id)
      return awaitAnswer(
        answer,
        (value: unknown) => judge(value, client.client_id),
        undefined,
        (thrown) => {
          throw failed(thrown)
        },
      )
    },
  }
}
