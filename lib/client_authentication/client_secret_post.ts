import type { BuiltInMethod } from './method.ts'

/** The client's identifier and secret in the body (RFC 6749 §2.3.1). */
export const clientSecretPost: BuiltInMethod = {
  method: 'client_secret_post',
  presents: 'client_secret',
  strategy: 'clientPassword',
  isDefault: true,
  authenticate({ parameters, context }, { verifySecret }) {
    const { client_id: clientId = '', client_secret: clientSecret = '' } = parameters
    return verifySecret(clientSecretPost, [{ clientId, clientSecret }], context)
  },
}
