// Takes a WebAssembly module apart into the streams that src/backends/wasm/streams.ts joins again.
// Source: WebAssembly specification, binary format of modules and instructions; the same of the SIMD, threads and bulk
// memory extensions.

const CODE_SECTION = 10

/** Streams by what they hold; letters in that order. */
const kinds = [
  'rest',
  'size',
  'count',
  'type',
  'local',
  'global',
  'align',
  'offset',
  'integer',
  'real',
  'vector',
  'label',
  'call',
  'lane',
  'shuffle',
]
const letter = (kind) => (10 + kinds.indexOf(kind)).toString(36)
/** A number in the format LEB128. */
const leb = (kind) => letter(kind).toUpperCase()
const bytes = (kind, count) => letter(kind).repeat(count)

const address = leb('align') + leb('offset')

/** The operands of an instruction, by its first byte and, behind a prefix, the number that follows. */
function operandsOf(opcode, number) {
  const among = (first, last, value = opcode) => value >= first && value <= last
  if (opcode === 0xfc) {
    if (number <= 7) return ''
    if ([8, 10, 12, 14].includes(number)) return leb('global').repeat(2)
    if (among(9, 17, number)) return leb('global')
  } else if (opcode === 0xfd) {
    const is = (first, last = first) => among(first, last, number)
    if (is(0, 11) || is(92, 93)) return address
    if (is(12)) return bytes('vector', 16)
    if (is(13)) return bytes('shuffle', 16)
    if (is(21, 34)) return bytes('lane', 1)
    if (is(84, 91)) return address + bytes('lane', 1)
    if (is(14, 20) || is(35, 83) || is(94, 255)) return ''
  } else if (opcode === 0xfe) {
    if (among(0, 2, number) || among(0x10, 0x4e, number)) return address
    if (number === 3) return bytes('lane', 1)
  } else {
    if (among(0x02, 0x04)) return leb('label') // blocks; the kind of their result
    if (among(0x0c, 0x0d)) return leb('label')
    if (opcode === 0x10) return leb('call')
    if (opcode === 0x11) return leb('call').repeat(2)
    if (among(0x20, 0x22)) return leb('local')
    if (among(0x23, 0x24) || among(0x3f, 0x40)) return leb('global')
    if (among(0x28, 0x3e)) return address
    if (among(0x41, 0x42)) return leb('integer')
    if (opcode === 0x43) return bytes('real', 4)
    if (opcode === 0x44) return bytes('real', 8)
    if ([0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b].includes(opcode) || among(0x45, 0xc4)) return ''
  }
  throw new Error(`kernel-streams: instruction ${opcode} ${number ?? ''} is unknown`)
}

const REST = `:${bytes('rest', 1)}`
const FUNCTION = `:${leb('size')}${leb('count')}`
const LOCALS = `:${leb('count')}${bytes('type', 1)}`
const TARGET = `:${leb('label')}`

/** The tokens of a module in order, and the content of each stream. */
function takeApart(module) {
  const order = []
  const streams = new Map(kinds.map((kind) => [letter(kind), []]))
  let at = 0
  const number = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = module[at++]
      value += (byte % 128) * factor
      if (byte < 128) return value
    }
  }
  /** Notes a token, and moves over its operands. Gives the last one that is a whole number. */
  const take = (token) => {
    order.push(token)
    let last
    for (const operand of token.slice(token.indexOf(':') + 1)) {
      const begin = at
      if (operand === operand.toUpperCase()) last = number()
      else at++
      streams.get(operand.toLowerCase()).push(...module.subarray(begin, at))
    }
    return last
  }
  const rest = (end) => {
    while (at < end) take(REST)
  }
  const body = () => {
    const begin = at
    const size = number()
    const end = at + size
    at = begin
    for (let locals = take(FUNCTION); locals > 0; locals--) take(LOCALS)
    while (at < end) {
      const begin = at
      const opcode = module[at++]
      const prefixed = opcode >= 0xfc ? number() : undefined
      const code = Buffer.from(module.subarray(begin, at)).toString('hex')
      if (opcode === 0x0e) {
        // a table of targets and the default one
        for (let targets = take(`${code}:${leb('count')}`); targets >= 0; targets--) take(TARGET)
      } else take(`${code}:${operandsOf(opcode, prefixed)}`)
    }
    if (at !== end) throw new Error('kernel-streams: a function ends in the middle of an instruction')
  }
  rest(8)
  while (at < module.length) {
    const begin = at
    const section = module[at++]
    const size = number()
    const end = at + size
    if (section === CODE_SECTION) {
      const functions = number()
      const first = at
      at = begin
      rest(first)
      for (let i = 0; i < functions; i++) body()
    } else {
      at = begin
      rest(end)
    }
  }
  return { order, streams }
}

/** `alphabet` and `pairs` are those of src/backends/wasm/streams.ts. */
function textOf(values, { ALPHABET: alphabet, PAIRS: pairs }) {
  const singles = alphabet.length - pairs
  return Array.from(values, (value) => {
    if (value < singles) return alphabet[pairs + value]
    const large = value - singles
    return alphabet[Math.floor(large / alphabet.length)] + alphabet[large % alphabet.length]
  }).join('')
}

/** `joining` is src/backends/wasm/streams.ts, which has to give the module back. */
export function kernelStreams(module, joining) {
  const { order, streams } = takeApart(module)
  const counts = new Map()
  for (const token of order) counts.set(token, (counts.get(token) ?? 0) + 1)
  const tokens = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || (a < b ? -1 : 1))
  if (tokens.length > 256) throw new Error(`kernel-streams: ${tokens.length} different instructions, at most 256`)
  const indices = new Map(tokens.map((token, index) => [token, index]))
  const result = {
    length: module.length,
    tokens: tokens.map((token) => token.replace(/:$/, '')).join(' '),
    order: textOf(
      order.map((token) => indices.get(token)),
      joining,
    ),
    operands: [...streams.values()].map((values) => textOf(values, joining)),
  }
  if (Buffer.compare(joining.joinStreams(result), module) !== 0)
    throw new Error('kernel-streams: the streams do not give the module back')
  return result
}
