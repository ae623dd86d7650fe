import { requireVerbs } from '../options.ts'

/** Throws a `TypeError` unless the option `dpop` is absent, or what `createDpop` returned. */
export function checkDpop(dpop: unknown): void {
  if (dpop !== undefined) requireVerbs('dpop', dpop, ['checkProof', 'spendProof', 'getNonce'])
}
