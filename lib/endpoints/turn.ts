import type { Client, ClientAuthentication } from '../client.ts'
import type { KeyProof } from '../exchanges/exchange.ts'
import type { Request, Response } from '../http/message.ts'
import type { FormParameters } from '../parameters.ts'

/** A request on its way through an endpoint. */
export interface Turn {
  readonly request: Request
  readonly response: Response
  readonly parameters: FormParameters
  /** The CORS headers of the response. */
  readonly cors: Readonly<Record<string, string>>
  /** The CORS headers of a response of this package that is no refusal: it exposes nothing, unless `setsHeaders`. */
  readonly plainCors: Readonly<Record<string, string>>
  /** The one reading of the clock for this request, epoch seconds. */
  now: number
  /** Whether the client is authenticated. */
  isAuthenticated: boolean
  /** Whether the time limit ended it. */
  isOver: boolean
  /** The key of the DPoP proof, which was checked. */
  proof: KeyProof | undefined
}

/** What an endpoint says about itself, for the metadata document. */
export interface EndpointFacts {
  /** The client authentication methods it accepts. */
  readonly methods: readonly string[]
  /** The JOSE algorithms it accepts for assertions. */
  readonly signingAlgorithms: readonly string[]
}

/** The client of a request, and how it was authenticated. `client` is absent if the user of a strategy is none. */
export interface Authenticated {
  readonly client: Client | undefined
  readonly authentication?: ClientAuthentication | undefined
}

/** Authenticates the client of a request. */
export interface EndpointAuthentication extends EndpointFacts {
  /** Whether responses that are no refusals may have headers that scripts of other origins have to read. */
  readonly setsHeaders?: boolean
  authenticate(turn: Turn): Promise<Authenticated>
}
