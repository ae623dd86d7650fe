import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Client, FindClient } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { redirectTarget } from '../code/authorization_request.ts'
import { isSilent } from '../code/prompt.ts'
import { checkRedirectUriRules, type RedirectUriRules } from '../code/redirect_uri.ts'
import { asError, OAuthError, refusal } from '../errors.ts'
import { timeOf } from '../hooks.ts'
import { parserFault, readUserProperty } from '../hosts/passport.ts'
import { requireIssuer } from '../issuer.ts'
import { badOption, checkOptions, optionNames, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import type { PushedRequestMark, PushedRequests } from '../pushed/pushed_requests.ts'
import { isFirstUse, type ReplayRegister } from '../replay_register.ts'
import { readServerSecrets } from '../server_secrets.ts'
import { askStore, requireOptionalFunctions, type TimeLimitOptions, timeLimitOf } from './application.ts'
import {
  type Oauth2orizeRequest,
  type ParametersRequest,
  parametersOf,
  queryPairs,
  toOauth2orizeRequest,
} from './authorization_parameters.ts'
import { findRequestedClient } from './authorize.ts'
import { pathOf, restartOf, setRestart, withRetry } from './retry.ts'
import { type SentForm, setSentForm, withRepeatedForm } from './sent_form.ts'
import { type SubjectOf, subjectOfUser } from './user.ts'

/** The state of an authorization request that oauth2orize keeps while the user decides (`req.oauth2`). */
export interface Oauth2orizeTransaction {
  /** The client that sent the request. */
  client?: Client
  /** The redirect URI that receives the response. */
  redirectURI?: string
  /** The authorization request. */
  req?: Oauth2orizeRequest
  /** The user who is logged in. */
  user?: unknown
  /** What the `immediate` function of `server.authorization()` passed to its callback. */
  info?: unknown
  /** The value of the form field that your consent page must send back. */
  transactionID?: string
  /** The decision of the user. */
  res?: {
    /** Whether the user allowed the request. */
    allow?: boolean
    /** The scope that the user allowed. Absent: the requested scope. */
    scope?: unknown
    /** Whether the decision was remembered from an earlier request, so that the user was not asked. */
    remembered?: unknown
  }
}

/** A request that has passed your login middleware. */
export type TransactionRequest = ParametersRequest & {
  /** The user who is logged in, as set by Passport. */
  readonly user?: unknown
}

/**
 * The options of `createSealedTransactions`. The options for redirect URIs are the same as in `validateAuthorization`.
 *
 * @inline
 */
export interface SealedTransactionsOptions<User = unknown> extends RedirectUriRules, TimeLimitOptions {
  /**
   * The issuer identifier of this server. It separates the entries in the replay register from those of other servers.
   */
  readonly issuer: string
  /**
   * A random secret of at least 32 bytes, the same in all processes. With an array, the first secret encrypts, and all
   * of them decrypt (rotation).
   */
  readonly secret: string | Uint8Array | readonly (string | Uint8Array)[]
  /**
   * Looks up a client. It is called again after the user has decided, because the client may have been removed
   * meanwhile.
   */
  readonly findClient: FindClient
  /** Remembers which transactions were used. You can pass the replay register that client assertions use. */
  readonly replayRegister: ReplayRegister
  /** Returns the subject identifier of a user. Default: `user.sub`, or `user.id` if there is no `sub`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /** Seconds that the user has to decide, 30 to 86400. Default 600. */
  readonly transactionLifetimeSeconds?: number | undefined
  /** The name of the form field. Default `transaction_id`, as in oauth2orize. */
  readonly transactionField?: string | undefined
  /**
   * The property of the request that contains the user. Default: the `userProperty` of `passport.initialize()`, or else
   * `user`. Set it if you use Passport's `assignProperty` or oauth2orize's `userProperty`. Then also pass
   * `userProperty` to `server.authorization()` and `server.decision()`.
   */
  readonly userProperty?: string | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The names of the options, for the constructors that have them all. */
export const TRANSACTION_OPTIONS = optionNames<SealedTransactionsOptions>({
  issuer: true,
  secret: true,
  findClient: true,
  replayRegister: true,
  subjectOf: true,
  transactionLifetimeSeconds: true,
  transactionField: true,
  userProperty: true,
  clock: true,
  privateUseSchemes: true,
  timeoutMilliseconds: true,
})

/** A transaction store for `oauth2orize.createServer({ store })`. */
export interface TransactionStore {
  /** Loads the transaction that the request continues. */
  load(request: TransactionRequest, done: (error: Error | null, transaction?: Oauth2orizeTransaction) => void): void
  /** Stores a new transaction, and calls back with its id. */
  store(
    request: TransactionRequest,
    transaction: Oauth2orizeTransaction,
    done: (error: Error | null, transactionId?: string) => void,
  ): void
  /** Stores a changed transaction, and calls back with its id, which may be a new one. */
  update(
    request: TransactionRequest,
    transactionId: string,
    transaction: Oauth2orizeTransaction,
    done: (error: Error | null, transactionId?: string) => void,
  ): void
  /** Removes a transaction. */
  remove(request: TransactionRequest, transactionId: string, done: (error: Error | null) => void): void
}

/** What is sealed. */
interface Content {
  readonly id: string
  readonly subject: string
  readonly expiresAt: number
  readonly values: FormParameters
  /** As it was judged; the parameters have it as it was sent, or not at all. */
  readonly scope: readonly string[]
  readonly info?: unknown
  /** The path of the authorization endpoint, as the browser knows it. */
  readonly path?: string | undefined
  /** The resources as they were judged: those that the user is shown. */
  readonly resources?: readonly string[] | undefined
  /** The pushed request that the user decides on. */
  readonly pushed?: PushedRequestMark | undefined
  /** The parameters that load the pushed request again. */
  readonly restart?: FormParameters | undefined
}

const IV_OCTETS = 12
const TAG_OCTETS = 16
const ID_OCTETS = 16
const PURPOSE = 'passport-client-assertion-jwt authorization transaction'
const SEALED = /^[A-Za-z0-9_-]{64,200000}$/

/**
 * Creates a transaction store for oauth2orize that keeps each transaction in the form itself: the value of
 * `transaction_id` is the request, encrypted with AES-256-GCM. Any process can handle the decision, you do not need
 * express-session, and unfinished transactions use no memory. No string that a browser sends is used as a property
 * name.
 *
 * A transaction expires, and it is bound to the user who received the form. Loading it uses it up, in one atomic step
 * of the replay register, before anything is issued. So a form that is sent twice yields one code. Refusals are
 * `OAuthError`s with a reason `transaction_…`.
 *
 * Apart from the binding to the user, the store does not protect the form against cross-site requests.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createSealedTransactions } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * const transactions = createSealedTransactions({ issuer, findClient, replayRegister, secret })
 * const server = oauth2orize.createServer({ store: transactions })
 * ```
 */
export function createSealedTransactions<User = unknown>(options: SealedTransactionsOptions<User>): TransactionStore {
  checkOptions('createSealedTransactions', options, TRANSACTION_OPTIONS)
  checkRedirectUriRules(options)
  return createTransactionStore(options)
}

/** The lifetime among the options, checked. */
export const transactionLifetimeOf = ({ transactionLifetimeSeconds }: SealedTransactionsOptions<never>): number =>
  wholeNumber('transactionLifetimeSeconds', transactionLifetimeSeconds, 600, 30, 86_400)

/** What the authorization side adds. */
interface TransactionSide {
  readonly pushed?: PushedRequests | undefined
}

/** `createSealedTransactions` for options that may have more names. */
export function createTransactionStore<User>(
  options: SealedTransactionsOptions<User> & TransactionSide,
): TransactionStore {
  const {
    issuer,
    findClient,
    replayRegister,
    subjectOf,
    clock = systemClock,
    transactionField = 'transaction_id',
    pushed,
  } = options
  requireIssuer(issuer)
  requireFunction('findClient', findClient)
  requireVerbs('replayRegister', replayRegister, ['remember'])
  requireOptionalFunctions({ subjectOf })
  requireFunction('clock', clock)
  if (typeof transactionField !== 'string' || transactionField === '')
    throw badOption('transactionField', 'a non-empty string', transactionField)
  const propertyOf = readUserProperty(options.userProperty)
  const userOf = (request: TransactionRequest): unknown =>
    (request as Readonly<Record<string, unknown>>)[propertyOf(request)]
  const lifetime = transactionLifetimeOf(options)
  const milliseconds = timeLimitOf(options)
  const keys = keysOf(options.secret)
  const namespace = `${issuer}#transaction`
  const aad = Buffer.from(issuer)

  function seal(content: Content): string {
    const iv = randomBytes(IV_OCTETS)
    const cipher = createCipheriv('aes-256-gcm', keys[0], iv).setAAD(aad)
    const text = Buffer.concat([cipher.update(JSON.stringify(content)), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url')
  }

  function open(sealed: string): Content | undefined {
    const octets = Buffer.from(sealed, 'base64url')
    const text = octets.subarray(IV_OCTETS + TAG_OCTETS)
    for (const key of keys) {
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, octets.subarray(0, IV_OCTETS), {
          authTagLength: TAG_OCTETS,
        })
        decipher.setAAD(aad).setAuthTag(octets.subarray(IV_OCTETS, IV_OCTETS + TAG_OCTETS))
        return JSON.parse(Buffer.concat([decipher.update(text), decipher.final()]).toString()) as Content
      } catch {
        // Another key, or nothing of ours.
      }
    }
    return undefined
  }

  async function sealTransaction(request: TransactionRequest, transaction: Oauth2orizeTransaction): Promise<string> {
    const { req = {}, info } = transaction
    const { values } = parametersOf(req)
    const user = transaction.user ?? userOf(request)
    const subject = await subjectOfUser(user, { subjectOf }, values, milliseconds)
    if (isSilent(values)) {
      const detail = 'the request has prompt=none, but the application would show a page'
      throw refusal('silent_interaction', { clientId: values['client_id'], detail })
    }
    return seal({
      id: randomBytes(ID_OCTETS).toString('base64url'),
      subject,
      expiresAt: timeOf(clock) + lifetime,
      values,
      scope: Array.isArray(req.scope) ? req.scope : [],
      ...(info === undefined ? {} : { info }),
      path: pathOf(request),
      ...(req.resources === undefined ? {} : { resources: req.resources }),
      ...(req.pushedRequest === undefined ? {} : { pushed: req.pushedRequest, restart: restartOf(values) }),
    })
  }

  async function load(request: TransactionRequest): Promise<Oauth2orizeTransaction> {
    const sealed = fieldOf(request, transactionField)
    if (sealed === undefined) {
      const description = `The parameter ${transactionField} is missing.`
      throw parserFault(request) ?? refusal('transaction_missing', { description })
    }
    const content = SEALED.test(sealed) ? open(sealed) : undefined
    if (content === undefined) {
      throw refusal('transaction_unknown', {
        description: 'The form is not valid. Go back to the application and start again.',
        detail: `${transactionField} was not created by this server, or with a secret that was removed since`,
      })
    }
    if (content.restart !== undefined) setRestart(content.values, content.restart)
    const clientId = content.values['client_id'] ?? ''
    const user = userOf(request)
    if ((await subjectOfUser(user, { subjectOf }, content.values, milliseconds)) !== content.subject) {
      throw refusal('transaction_of_another_user', {
        clientId,
        description: 'The form was made for another user. Go back to the application and start again.',
        detail: 'the user who is logged in is not the user who received the form',
      })
    }
    const now = timeOf(clock)
    if (content.expiresAt <= now) {
      throw retriable(
        refusal('transaction_expired', {
          clientId,
          description: 'The form has expired. Please try again.',
          detail: `it expired ${now - content.expiresAt} s ago`,
        }),
        content,
      )
    }
    const client = await findRequestedClient(clientId, findClient, milliseconds)
    const req = toOauth2orizeRequest({ values: content.values, unsound: [] })
    const target = redirectTarget({ values: content.values, unsound: [] }, client, options)
    if ('refused' in target) throw target.refused
    const transaction = {
      client,
      redirectURI: target.redirectUri,
      req: {
        ...req,
        scope: [...content.scope],
        ...(content.resources === undefined ? {} : { resources: content.resources }),
      },
      user,
      info: content.info,
      transactionID: sealed,
    }
    if (content.pushed === undefined) await spendTransaction(content, clientId)
    else {
      const { id, subject, expiresAt } = content
      await spendPushed(content.pushed, { id, subject, expiresAt, sealed, transaction })
    }
    return transaction
  }

  async function spendTransaction(content: Content, clientId: string): Promise<void> {
    const isFirst = await askStore(milliseconds, () =>
      isFirstUse(replayRegister, namespace, content.subject, content.id, content.expiresAt),
    )
    if (!isFirst) {
      throw retriable(
        refusal('transaction_spent', { clientId, description: 'The form was sent before. Please try again.' }),
        content,
      )
    }
  }

  /** The forms of one pushed request are used up together: whichever the user sends first. */
  async function spendPushed(mark: PushedRequestMark, form: SentForm): Promise<void> {
    const { transaction } = form
    const clientId = transaction.client.client_id
    if (pushed === undefined) {
      throw refusal('misconfigured', {
        clientId,
        detail: "the form belongs to a pushed request, but the option 'pushed' is not set",
      })
    }
    await askStore(milliseconds, () => pushed.spend(mark, clientId)).catch((error: unknown) => {
      const isSpent = error instanceof OAuthError && error.reason === 'request_uri_invalid'
      throw isSpent ? withRepeatedForm(error, form) : error
    })
    setSentForm(transaction.req, form)
  }

  return {
    load(request, done) {
      callBack(load(request), done)
    },
    store(request, transaction, done) {
      callBack(sealTransaction(request, transaction), done)
    },
    update(request, _transactionId, transaction, done) {
      callBack(sealTransaction(request, transaction), done)
    },
    remove(_request, _transactionId, done) {
      done(null) // it was used up when it was loaded
    },
  }
}

/** The error of a form, with the request to start again. A pushed request can only be pushed again, by the client. */
const retriable = (error: OAuthError, { values, path, pushed }: Content): OAuthError =>
  pushed === undefined ? withRetry(error, values, path) : error

/** Calls back with what a promise settles as. */
function callBack<T>(promise: Promise<T>, done: (error: Error | null, value?: T) => void): void {
  promise.then(
    (value) => done(null, value),
    (error: unknown) => done(asError(error) as Error),
  )
}

/** A field of the form, or of the query; only a property of its own, and only a string. */
function fieldOf(request: ParametersRequest, field: string): string | undefined {
  const { body } = request
  if (typeof body === 'object' && body !== null && Object.hasOwn(body, field)) {
    const value: unknown = (body as Record<string, unknown>)[field]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const sent: unknown[] = []
  for (const [name, value] of queryPairs(request)) if (name === field) sent.push(value)
  const [value] = sent
  return sent.length === 1 && typeof value === 'string' && value !== '' ? value : undefined
}

function keysOf(secret: SealedTransactionsOptions['secret']): readonly [Buffer, ...Buffer[]] {
  const [first, ...others] = readServerSecrets('secret', secret)
  const keyOf = (each: Uint8Array): Buffer => Buffer.from(hkdfSync('sha256', each, '', PURPOSE, 32))
  return [keyOf(first), ...others.map(keyOf)]
}
