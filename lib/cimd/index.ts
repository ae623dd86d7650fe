// `passport-client-assertion-jwt/cimd`: clients that describe themselves (draft-ietf-oauth-client-id-metadata-document-03).

export { isClientDocument } from '../client_document.ts'
export { type ClientMetadata, type ClientMetadataOptions, readClientMetadata } from './client_metadata.ts'
export { askAgainForDocuments, type ClientDescription, describeClient } from './description.ts'
export { type ClientDocumentOptions, type ClientDocuments, createClientDocuments } from './documents.ts'
