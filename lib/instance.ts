/** `instanceof` for a value of the application: a proxy may throw when it is asked, and is then no instance. */
export function isInstance<T>(value: unknown, type: abstract new (...given: never[]) => T): value is T {
  try {
    return value instanceof type
  } catch {
    return false
  }
}

/** The message of an error of the application: it may be a getter that throws, or no string. */
export function messageOf(error: Error): string {
  try {
    return String(error.message)
  } catch {
    return 'the message cannot be read'
  }
}
