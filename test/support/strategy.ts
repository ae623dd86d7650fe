/** What a strategy did with a request. */
export interface StrategyOutcome {
  readonly action: 'success' | 'fail' | 'error' | 'pass' | 'redirect'
  readonly argument: unknown
  readonly second: unknown
}

/** Runs a strategy as Passport does for one that is registered by name, and waits for what it ends in. */
export function runStrategy(
  strategy: { authenticate(request: never, options?: never): void },
  request: object,
  options?: object,
): Promise<StrategyOutcome> {
  return new Promise((resolve) => {
    const run = Object.create(strategy) as Record<string, unknown>
    for (const action of ['success', 'fail', 'error', 'pass', 'redirect'] as const)
      run[action] = (argument: unknown, second: unknown) => resolve({ action, argument, second })
    ;(run as unknown as { authenticate(request: object, options?: object): void }).authenticate(request, options)
  })
}
