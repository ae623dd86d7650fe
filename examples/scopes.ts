/** The values of a scope string. */
export const scopeValues = (scope: string | undefined): readonly string[] => scope?.split(' ').filter(Boolean) ?? []

/** The words for scope values on the consent page. Other values are shown as they are. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  profile: 'Know your name',
  email: 'Know your e-mail address',
  'notes.read': 'Read your notes',
  'notes.write': 'Write and change your notes',
  offline_access: 'Stay connected while you are away',
}

/** A scope value in words. */
export const describeScope = (value: string): string =>
  Object.hasOwn(DESCRIPTIONS, value) ? (DESCRIPTIONS[value] ?? value) : value
