// Points of the Edwards curves of RFC 8032 that are no public keys. OpenSSL accepts them: for a point of small order
// some signatures verify for (nearly) every message, so that anybody can sign.

interface Curve {
  readonly p: bigint
  readonly bytes: number
  /** Whether the compressed `y` is that of a point of small order. */
  readonly isSmallOrder: (y: bigint) => boolean
}

const P25519 = 2n ** 255n - 19n
const P448 = 2n ** 448n - 2n ** 224n - 1n

/** `y` of the points of order 8 on edwards25519; the negative of each is one as well. */
const ORDER_EIGHT = 0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n

const ED25519: Curve = {
  p: P25519,
  bytes: 32,
  isSmallOrder: (y) => y === 0n || y === 1n || y === P25519 - 1n || y === ORDER_EIGHT || y === P25519 - ORDER_EIGHT,
}

/** The cofactor of edwards448 is 4: the neutral element, (0, -1), and the two points with `y` 0. */
const ED448: Curve = {
  p: P448,
  bytes: 57,
  isSmallOrder: (y) => y === 0n || y === 1n || y === P448 - 1n,
}

const CURVES: ReadonlyMap<unknown, Curve> = new Map([
  ['Ed25519', ED25519],
  ['Ed448', ED448],
])

/**
 * Says what is wrong with a public key on Ed25519 or Ed448: its length, a `y` that is not below the prime, or small
 * order. Returns `undefined` for keys that have none of that, and for other curves.
 */
export function findPointProblem(crv: unknown, key: Uint8Array): string | undefined {
  const curve = CURVES.get(crv)
  if (curve === undefined) return undefined
  if (key.length !== curve.bytes) return `x must have ${curve.bytes} bytes`
  const littleEndian = Buffer.from(key).reverse()
  littleEndian[0] = (littleEndian[0] ?? 0) & 0x7f // the sign of the other coordinate
  const y = BigInt(`0x${littleEndian.toString('hex')}`)
  if (y >= curve.p) return 'x is not a point of the curve'
  return curve.isSmallOrder(y) ? 'the key is a point of small order, for which anybody can sign' : undefined
}
