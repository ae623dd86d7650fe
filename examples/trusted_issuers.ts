import { createTrustedIssuers, type TrustedIssuer } from 'passport-client-assertion-jwt/federated'
import { readJsonArray } from './users.ts'

/** What tokens of an issuer may be used for. */
export type TrustedUse = (typeof USES)[number]

export interface TrustedIssuerSetting {
  readonly issuer: TrustedIssuer
  readonly use: readonly TrustedUse[]
}

const USES = ['client_assertion', 'jwt_bearer'] as const
const MEMBERS = [
  'issuer',
  'jwks',
  'jwks_uri',
  'discovery',
  'algorithms',
  'max_lifetime_seconds',
  'replay',
  'spiffe',
  'use',
]

const isUse = (value: unknown): value is TrustedUse => (USES as readonly unknown[]).includes(value)

/**
 * Reads a file of trusted issuers: a JSON array in member names like those of clients. Rejects if it cannot be used.
 *
 * @param options.allowHttpLoopback Whether keys may be fetched by `http:` from a loopback address.
 */
export async function readTrustedIssuers(
  path: string,
  { allowHttpLoopback }: { readonly allowHttpLoopback: boolean },
): Promise<readonly TrustedIssuerSetting[]> {
  const settings = (await readJsonArray(path)).map((row, index) => {
    const unknown = Object.keys(row).find((name) => !MEMBERS.includes(name))
    if (unknown !== undefined)
      throw new Error(`has the unknown member ${JSON.stringify(unknown)} (issuer ${index + 1})`)
    const { use = ['client_assertion'], jwks_uri: jwksUri, max_lifetime_seconds: maxLifetimeSeconds, ...same } = row
    if (!Array.isArray(use) || use.length === 0 || !use.every(isUse))
      throw new Error(`has a use other than ${USES.join(', ')} (issuer ${index + 1})`)
    const issuer = { ...same, jwksUri, maxLifetimeSeconds, remote: { allowHttpLoopback } } as unknown as TrustedIssuer
    return { issuer, use }
  })
  const issuers = settings.map(({ issuer }) => issuer)
  try {
    if (issuers.length > 0) createTrustedIssuers(issuers) // throws for what cannot be used
  } catch (error) {
    const { message } = error as Error
    throw new Error(
      message.replaceAll('jwksUri', 'jwks_uri').replaceAll('maxLifetimeSeconds', 'max_lifetime_seconds'), // as in the file
    )
  }
  return settings
}

/** The issuers whose tokens may be used for this. */
export const issuersFor = (settings: readonly TrustedIssuerSetting[], use: TrustedUse): readonly TrustedIssuer[] =>
  settings.filter((each) => each.use.includes(use)).map(({ issuer }) => issuer)
