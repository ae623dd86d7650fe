import { BlockList, isIP, isIPv4 } from 'node:net'

/** An address before it is connected to, or that of a connected socket. */
export type IsAllowedAddress = (address: string) => boolean

/** IPv4 blocks that are not the public internet (IANA special-purpose registry, RFC 6890), multicast and reserved. */
const SPECIAL_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/** Blocks inside 2000::/3, the only public part of IPv6, that are not the public internet. */
const SPECIAL_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23], // Teredo, benchmarking, ORCHID and the like
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4: leads to an IPv4 address of the sender's choice
  ['3fff::', 20],
]

/** Prefixes whose last 32 bits are an IPv4 address: IPv4-mapped (RFC 4291), and NAT64's well-known one (RFC 6052). */
const EMBEDDING_IPV4 = ['::ffff:', '64:ff9b::'] as const

const special = new BlockList()
const publicIPv6 = new BlockList()
for (const [address, bits] of SPECIAL_IPV4) {
  special.addSubnet(address, bits, 'ipv4')
  for (const prefix of EMBEDDING_IPV4) special.addSubnet(prefix + address, 96 + bits, 'ipv6')
}
for (const [address, bits] of SPECIAL_IPV6) special.addSubnet(address, bits, 'ipv6')
for (const [address, bits] of [['2000::', 3] as const, ['::ffff:0:0', 96] as const, ['64:ff9b::', 96] as const])
  publicIPv6.addSubnet(address, bits, 'ipv6')

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')
loopback.addAddress('::1', 'ipv6')

/** Whether an IP address is of this machine alone. */
export const isLoopbackAddress: IsAllowedAddress = (address) =>
  isIP(address) !== 0 && loopback.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')

/**
 * Whether an IP address is on the public internet: not loopback, private, link-local, shared, documentation, multicast,
 * reserved, and none of these inside an IPv6 address. Text that is no plain IP address (a zone id, a name) is not.
 */
export const isPublicAddress: IsAllowedAddress = (address) => {
  if (isIP(address) === 0 || address.includes('%')) return false
  if (isIPv4(address)) return !special.check(address, 'ipv4')
  return publicIPv6.check(address, 'ipv6') && !special.check(address, 'ipv6')
}
