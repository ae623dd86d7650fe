/**
 * Measures up to three times, until a measurement passes: another process may disturb one of them. Work that grows faster
 * than its input fails every time.
 */
export async function inOneOfThree(measure: () => Promise<void>): Promise<void> {
  for (let left = 2; ; left -= 1) {
    try {
      await measure()
      return
    } catch (error) {
      if (left === 0) throw error
    }
  }
}
