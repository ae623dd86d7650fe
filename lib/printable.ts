// Control, format, unassigned and private characters, lone surrogates, and the two line separators of Unicode.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu
const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/g

const escaped = (character: string): string => {
  let text = ''
  for (let at = 0; at < character.length; at += 1)
    text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  return text
}

/**
 * Escapes what could break a line, move a cursor, colour a terminal or reverse the direction of text. Inside a JSON
 * document the result is the same JSON.
 */
export const escapeUnprintable = (text: string): string => text.replace(UNPRINTABLE, escaped)

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 3)}...` : text)

/** One printable line of at most `most` characters. */
export const toPrintable = (text: string, most: number): string =>
  cut(escapeUnprintable(text.length > most ? text.slice(0, most + 1) : text), most)

/** An identifier in the form in which one can be registered: printable ASCII, at most 1,024 characters. */
export const toPrintableId = (id: string): string =>
  cut((id.length > 1024 ? id.slice(0, 1025) : id).replace(NOT_PRINTABLE_ASCII, escaped), 1024)
