import type { Client } from '../client.ts'
import type { OAuthError } from '../errors.ts'
import type { Oauth2orizeRequest } from './authorization_parameters.ts'

/** The form of a pushed request, as the browser sent it. */
export interface SentForm {
  /** The sealed transaction: as long as the form is the same, it is the same. */
  readonly sealed: string
  readonly id: string
  readonly subject: string
  /** Epoch seconds. */
  readonly expiresAt: number
  readonly transaction: {
    readonly client: Client
    readonly redirectURI: string
    readonly req: Oauth2orizeRequest
  }
}

const sent = new WeakMap<Oauth2orizeRequest, SentForm>()
const repeated = new WeakMap<OAuthError, SentForm>()

/** Remembers which form a request was decided by. */
export function setSentForm(request: Oauth2orizeRequest, form: SentForm): void {
  sent.set(request, form)
}

/** The form of a pushed request that the user has decided on just now; `undefined` if nobody was asked. */
export const sentFormOf = (request: Oauth2orizeRequest): SentForm | undefined => sent.get(request)

/** The error of a form whose request was used up before, with the form. */
export function withRepeatedForm(error: OAuthError, form: SentForm): OAuthError {
  repeated.set(error, form)
  return error
}

/** The form that an error belongs to, if its request was used up before. */
export const repeatedFormOf = (error: unknown): SentForm | undefined => repeated.get(error as OAuthError)
