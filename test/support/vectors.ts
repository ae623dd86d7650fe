import { readFileSync } from 'node:fs'

/** A signed JWT of somebody else, and the key that verifies it. */
export interface Vector {
  readonly name: string
  readonly alg: string
  readonly jwk: Readonly<Record<string, unknown>>
  readonly jws: string
}

/** The vectors of a file in test/fixtures. */
export const readVectors = (name: string): readonly Vector[] =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
