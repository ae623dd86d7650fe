import { createHmac, hkdfSync } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { CodeStore } from '../code/code_store.ts'
import { createCodes } from '../code/codes.ts'
import { refusal } from '../errors.ts'
import { timeOf } from '../hooks.ts'
import type { Verbosity } from '../http/error_response.ts'
import { isFirstUse, type ReplayRegister } from '../replay_register.ts'
import { readServerSecrets } from '../server_secrets.ts'
import { askStore, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { type AuthorizationResponse, redirectError, sendToClient } from './authorization_response.ts'
import { repeatedFormOf, type SentForm } from './sent_form.ts'

const PURPOSE = 'passport-client-assertion-jwt code of a form'

/** What the forms of pushed requests need to be repeatable. */
interface RepeatedFormsOptions extends TimeLimitOptions {
  readonly issuer: string
  readonly codes: CodeStore
  readonly replayRegister: ReplayRegister
  readonly secret: string | Uint8Array | readonly (string | Uint8Array)[]
  readonly verbosity?: Verbosity | undefined
  readonly clock?: Clock | undefined
}

/** Gives a form that is sent twice (a double click) the response of the first time, which the browser has dropped. */
export interface RepeatedForms {
  /** The code for a form. Nobody without the server's secret can compute it. */
  codeOf(form: SentForm): string
  /** Remembers that the user has denied the request by this form. */
  recordDenial(form: SentForm): Promise<void>
  /**
   * Repeats the redirect of the form that an error belongs to: the same code, as long as it is neither redeemed nor
   * expired, or the same denial. Returns false if there is nothing to repeat.
   */
  repeat(error: unknown, request: object, response: AuthorizationResponse): Promise<boolean>
}

/** Milliseconds before each look for the code: the first request with the form may still be at work. */
const PAUSES = [0, 100, 300, 600]

const isDenial = ({ body }: { readonly body?: unknown }): boolean =>
  typeof body === 'object' && body !== null && Object.hasOwn(body, 'cancel')

export function createRepeatedForms(options: RepeatedFormsOptions): RepeatedForms {
  const { issuer, replayRegister, verbosity = 'normal', clock = systemClock } = options
  const milliseconds = timeLimitOf(options)
  const codes = createCodes({ store: options.codes, issuer })
  const [first, ...others] = readServerSecrets('secret', options.secret)
  const keyOf = (secret: Uint8Array): Buffer => Buffer.from(hkdfSync('sha256', secret, '', PURPOSE, 32))
  const key = keyOf(first)
  const otherKeys = others.map(keyOf)
  const codeBy = (by: Buffer, sealed: string): string => createHmac('sha256', by).update(sealed).digest('base64url')

  /** Whether this is the first denial by the form. */
  const isFirstDenial = ({ id, subject, expiresAt }: SentForm): Promise<boolean> =>
    askStore(milliseconds, () => isFirstUse(replayRegister, `${issuer}#denied`, subject, id, expiresAt))

  /** The code of a form, if there is one, and whether it can still be redeemed. */
  async function readCode({ sealed }: SentForm): Promise<{ code: string; isUnused: boolean } | undefined> {
    for (const by of [key, ...otherKeys]) {
      const code = codeBy(by, sealed)
      const state = await askStore(milliseconds, () => codes.stateOf(code, timeOf(clock)))
      if (state !== 'unknown') return { code, isUnused: state === 'unused' }
    }
    return undefined
  }

  async function findCode(form: SentForm): Promise<string | undefined> {
    for (const pause of PAUSES) {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
      const found = await readCode(form)
      if (found !== undefined) return found.isUnused ? found.code : undefined
    }
    return undefined
  }

  /** Whether the user has denied the request by this form. To ask leaves a mark, so a form with a code is not asked for. */
  const isDenied = async (form: SentForm): Promise<boolean> =>
    (await readCode(form)) === undefined && !(await isFirstDenial(form))

  return {
    codeOf: ({ sealed }) => codeBy(key, sealed),
    async recordDenial(form) {
      await isFirstDenial(form)
    },
    async repeat(error, request, response) {
      const form = repeatedFormOf(error)
      if (form === undefined || response.headersSent) return false
      const { transaction } = form
      if (isDenial(request)) {
        if (!(await isDenied(form))) return false
        const denied = refusal('user_denied', {
          clientId: transaction.client.client_id,
          description: 'The user has denied the request.',
        })
        return redirectError(denied, transaction, response, { issuer, verbosity })
      }
      const code = await findCode(form)
      if (code === undefined) return false
      const state = transaction.req.parameters?.values['state']
      sendToClient(response, transaction.redirectURI, { code, state, iss: issuer })
      return true
    },
  }
}
