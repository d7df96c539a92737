// The kernels as text. Code compresses a fifth better when numbers of one kind stand together: all instructions in one
// stream, all local variables in another, and so on. scripts/kernel-streams.mjs takes a module apart; this puts it together.

export interface Streams {
  /** Bytes of the module. */
  readonly length: number
  /**
   * What the module is made of, separated by blanks: the bytes of an instruction in hexadecimal, a colon, and for each of
   * its operands the letter of the stream that holds it. A capital letter takes a number in the format LEB128, which ends
   * with the first byte below 128; a small letter takes one byte.
   */
  readonly tokens: string
  /** Which token comes next, as text of {@link bytesOf}. */
  readonly order: string
  /** The streams a, b, c ..., as text of {@link bytesOf}. */
  readonly operands: readonly string[]
}

/** Characters of text in order; none that a string or a page would have to escape. */
export const ALPHABET = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
  .filter((character) => !'"\'<\\`'.includes(character))
  .join('')

/** The first characters of the alphabet begin a pair, which stands for a byte that is too large for the others. */
export const PAIRS = 2

/** The bytes that text stands for, one character each as far as the alphabet goes: repetitions of bytes stay visible. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(128)
  for (let i = 0; i < ALPHABET.length; i++) values[ALPHABET.charCodeAt(i)] = i
  const singles = ALPHABET.length - PAIRS
  const bytes = new Uint8Array(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const value = values[text.charCodeAt(i)]!
    bytes[length++] = value >= PAIRS ? value - PAIRS : singles + value * ALPHABET.length + values[text.charCodeAt(++i)]!
  }
  return bytes.subarray(0, length)
}

export function joinStreams({ length, tokens, order, operands }: Streams): Uint8Array<ArrayBuffer> {
  const table = tokens.split(' ').map((token) => {
    const [code = '', letters = ''] = token.split(':')
    return {
      code: (code.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)),
      streams: Array.from(letters, (letter) => Number.parseInt(letter, 36) - 10),
      whole: Array.from(letters, (letter) => letter < 'a'),
    }
  })
  const sources = operands.map(bytesOf)
  const positions = new Uint32Array(operands.length)
  const module = new Uint8Array(length)
  let end = 0
  const indices = bytesOf(order)
  for (let token = 0; token < indices.length; token++) {
    const { code, streams, whole } = table[indices[token]!]!
    for (let i = 0; i < code.length; i++) module[end++] = code[i]!
    for (let i = 0; i < streams.length; i++) {
      const stream = streams[i]!
      const source = sources[stream]!
      let byte: number
      do {
        byte = source[positions[stream]!++]!
        module[end++] = byte
      } while (byte > 127 && whole[i])
    }
  }
  return module
}
