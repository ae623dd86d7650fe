import type { Client } from './client.ts'

/**
 * Marks a client record that describes itself. The symbol is the same in every copy of this package, JSON cannot carry it,
 * and object spread copies it.
 */
const CLIENT_DOCUMENT = Symbol.for('passport-client-assertion-jwt:client-document')

/** Returns the record with the mark. */
export const markClientDocument = <C extends Client>(client: C): C => ({ ...client, [CLIENT_DOCUMENT]: true })

/**
 * Whether a client record was made from metadata that the client wrote itself: a Client ID Metadata Document, or a dynamic
 * registration that `readClientMetadata` judged. No administrator has vetted it.
 */
export const isClientDocument = (client: Client): boolean =>
  (client as { readonly [CLIENT_DOCUMENT]?: unknown })[CLIENT_DOCUMENT] === true

/** The member under which the metadata of a resolver carries the methods it offers. JSON leaves it out. */
export const DOCUMENT_METHODS = Symbol.for('passport-client-assertion-jwt:client-document-methods')

/**
 * The document of a client cannot be read at the moment. The message is fixed: the party that named the URL must not learn
 * what is at it. Details are in the event `client_document.unreachable`.
 */
export class ClientDocumentUnreachable extends Error {
  /** Whether the host says that there is no document (404). Hosts also say that during an outage. */
  readonly isMissing: boolean

  constructor(isMissing = false) {
    super('the client ID metadata document cannot be read at the moment')
    this.name = 'ClientDocumentUnreachable'
    this.isMissing = isMissing
  }
}
