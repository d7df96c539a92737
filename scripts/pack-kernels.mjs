// Takes a WebAssembly module apart into the decisions that kernels/unpacking/unpack.ts reads.
// Source: WebAssembly specification, binary format of modules and instructions; the same of the SIMD, threads and bulk
// memory extensions.

const TYPES = 1
const FUNCTIONS = 3
const CODE = 10

/** The kinds of operands by their numbers in kernels/unpacking/unpack.ts; from 8 on numbers in the format LEB128. */
const REST = 0
const PARAMETERS = 1
const LOCAL = 2
const VECTOR = 3
const SHUFFLE = 4
const REAL = 5
const LANE = 6
const FIRST_NUMBER = 8
const GLOBAL = 8
const OFFSET = 9
const INTEGER = 10
const LABEL = 11
const CALL = 12
const COUNT = 13
/** An operand of one byte that nearly always is the same for its instruction: it becomes part of the code. */
const FIXED = -1
/** What types of local variables are counted down from: i32. */
const FIRST_TYPE = 0x7f

/** The kinds of the operands of an instruction, by its first byte and, behind a prefix, the number that follows. */
function operandsOf(opcode, number) {
  const among = (first, last, value = opcode) => value >= first && value <= last
  if (opcode === 0xfc) {
    if (number <= 7) return []
    if ([8, 10, 12, 14].includes(number)) return [GLOBAL, GLOBAL]
    if (among(9, 17, number)) return [GLOBAL]
  } else if (opcode === 0xfd) {
    const is = (first, last = first) => among(first, last, number)
    if (is(0, 11) || is(92, 93)) return [FIXED, OFFSET]
    if (is(12)) return Array(16).fill(VECTOR)
    if (is(13)) return Array(16).fill(SHUFFLE)
    if (is(21, 34)) return [LANE]
    if (is(84, 91)) return [FIXED, OFFSET, LANE]
    if (is(14, 20) || is(35, 83) || is(94, 255)) return []
  } else if (opcode === 0xfe) {
    if (among(0, 2, number) || among(0x10, 0x4e, number)) return [FIXED, OFFSET]
    if (number === 3) return [FIXED]
  } else {
    if (among(0x02, 0x04)) return [FIXED] // blocks; the kind of their result
    if (among(0x0c, 0x0d)) return [LABEL]
    if (opcode === 0x0e) return [COUNT] // a table of targets follows
    if (opcode === 0x10) return [CALL]
    if (opcode === 0x11) return [CALL, CALL]
    if (among(0x20, 0x22)) return [LOCAL]
    if (among(0x23, 0x24) || among(0x3f, 0x40)) return [GLOBAL]
    if (among(0x28, 0x3e)) return [FIXED, OFFSET]
    if (among(0x41, 0x42)) return [INTEGER]
    if (opcode === 0x43) return Array(4).fill(REAL)
    if (opcode === 0x44) return Array(8).fill(REAL)
    if ([0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b].includes(opcode) || among(0x45, 0xc4)) return []
  }
  throw new Error(`pack-kernels: instruction ${opcode} ${number ?? ''} is unknown`)
}

/** Reads a module from `at` on. */
class Reader {
  constructor(module, at = 0) {
    this.module = module
    this.at = at
  }
  byte() {
    return this.module[this.at++]
  }
  /** A number in the format LEB128. */
  number() {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte()
      value += (byte % 128) * factor
      if (byte < 128) return value
    }
  }
  bytes(count) {
    this.at += count
    return [...this.module.subarray(this.at - count, this.at)]
  }
  /** The bytes of a number. */
  digits() {
    const begin = this.at
    this.number()
    return [...this.module.subarray(begin, this.at)]
  }
}

function digitsOf(number) {
  const digits = []
  let rest = number
  for (; rest > 127; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128)
  return [...digits, rest]
}

/** How many parameters each function of the module takes. */
function parameterCounts(module) {
  const reader = new Reader(module, 8)
  const types = []
  const functions = []
  while (reader.at < module.length) {
    const section = reader.byte()
    const size = reader.number()
    const end = reader.at + size
    if (section === TYPES)
      for (let n = reader.number(); n > 0; n--) {
        reader.byte()
        types.push(reader.bytes(reader.number()).length)
        reader.bytes(reader.number())
      }
    if (section === FUNCTIONS) for (let n = reader.number(); n > 0; n--) functions.push(types[reader.number()])
    reader.at = end
  }
  return functions
}

/** An operand: its bytes in the module, and what is predicted: symbols, which are bytes except for local variables. */
const operand = (kind, bytes, symbols = bytes) => ({ kind, bytes, symbols })

/**
 * A function with its local variables numbered as they first occur, after the parameters: its bytes, and its instructions.
 */
function readFunction(reader, parameters) {
  const size = reader.number()
  const end = reader.at + size
  const declared = []
  for (let runs = reader.number(); runs > 0; runs--) {
    const count = reader.number()
    const type = reader.byte()
    for (let i = 0; i < count; i++) declared.push(type)
  }
  const numbers = new Map(Array.from({ length: parameters }, (_, i) => [i, i]))
  const types = []
  const recent = [...numbers.keys()]
  const local = () => {
    const old = reader.number()
    if (numbers.has(old)) {
      const index = numbers.get(old)
      const rank = recent.indexOf(index)
      recent.splice(rank, 1)
      recent.unshift(index)
      return operand(LOCAL, [index], [rank + 1])
    }
    const index = numbers.size
    const type = declared[old - parameters]
    numbers.set(old, index)
    recent.unshift(index)
    types.push(type)
    return operand(LOCAL, [index], [0, FIRST_TYPE - type])
  }
  const instructions = [{ code: [], operands: [operand(PARAMETERS, [], [parameters])] }]
  while (reader.at < end) {
    const begin = reader.at
    const opcode = reader.byte()
    const prefixed = opcode >= 0xfc ? reader.number() : undefined
    const kinds = operandsOf(opcode, prefixed)
    if (kinds[0] === FIXED) reader.byte()
    const code = [...reader.module.subarray(begin, reader.at)]
    const operands = kinds
      .filter((kind) => kind !== FIXED)
      .map((kind) => {
        if (kind === LOCAL) return local()
        return operand(kind, kind < FIRST_NUMBER ? [reader.byte()] : reader.digits())
      })
    instructions.push({ code, operands })
    if (kinds[0] !== COUNT) continue
    for (let targets = operands[0].bytes[0]; targets >= 0; targets--)
      instructions.push({ code: [], operands: [operand(LABEL, reader.digits())] })
  }
  if (reader.at !== end) throw new Error('pack-kernels: a function ends in the middle of an instruction')
  const runs = []
  for (const type of types) {
    if (runs.at(-1)?.type === type) runs.at(-1).count++
    else runs.push({ type, count: 1 })
  }
  if (numbers.size > 127 || runs.length > 127) throw new Error('pack-kernels: a function with too many local variables')
  const written = instructions.flatMap(({ code, operands }) => [...code, ...operands.flatMap(({ bytes }) => bytes)])
  const head = [runs.length, ...runs.flatMap(({ type, count }) => [count, type])]
  return { instructions, bytes: [...digitsOf(head.length + written.length), ...head, ...written] }
}

/** The module with the local variables of each function in the order of their first use, and what it is made of. */
function takeApart(original) {
  const counts = parameterCounts(original)
  const instructions = []
  const written = []
  const rest = (bytes) => {
    for (const byte of bytes) instructions.push({ code: [], operands: [operand(REST, [byte])] })
    written.push(...bytes)
  }
  const reader = new Reader(original)
  rest(reader.bytes(8))
  while (reader.at < original.length) {
    const section = reader.byte()
    const size = reader.number()
    const end = reader.at + size
    if (section === CODE) {
      const functions = Array.from({ length: reader.number() }, (_, i) => readFunction(reader, counts[i]))
      const count = digitsOf(functions.length)
      const bytes = functions.reduce((sum, { bytes }) => sum + bytes.length, count.length)
      rest([section, ...digitsOf(bytes), ...count])
      for (const read of functions) {
        for (const instruction of read.instructions) instructions.push(instruction)
        for (const byte of read.bytes) written.push(byte)
      }
    } else rest([section, ...digitsOf(size), ...reader.bytes(size)])
    if (reader.at !== end) throw new Error('pack-kernels: a section does not end where it says')
  }
  instructions.push({ code: [], operands: [] })
  return { instructions, module: Uint8Array.from(written) }
}

/** The decisions of a symbol: how many binary digits follow the first one of the number that comes after it, and these. */
function decisionsOf(symbol) {
  const digits = (symbol + 1).toString(2).slice(1)
  return [...'1'.repeat(digits.length), ...(digits.length < 8 ? '0' : ''), ...digits].map(Number)
}

/** All decisions of the module, as kernels/unpacking/unpack.ts makes them. */
function allDecisions(instructions) {
  const names = instructions.map(({ code, operands }) => `${code}:${operands.map(({ kind }) => kind)}`)
  const described = new Map()
  names.forEach((name, i) => {
    described.set(name, { ...instructions[i], count: (described.get(name)?.count ?? 0) + 1 })
  })
  const table = [...described].sort((a, b) => b[1].count - a[1].count || (a[0] < b[0] ? -1 : 1))
  if (table.length > 255) throw new Error(`pack-kernels: ${table.length} different instructions, at most 255`)
  const numbers = new Map(table.map(([name], number) => [name, number]))

  const head = table.flatMap(([, { code, operands }]) => [
    code.length,
    ...code,
    operands.length,
    ...operands.map(({ kind }) => kind),
  ])
  const decisions = [table.length, ...head].flatMap(decisionsOf)
  instructions.forEach(({ operands }, i) => {
    decisions.push(...decisionsOf(numbers.get(names[i])))
    operands.forEach(({ kind, symbols }, position) => {
      for (const symbol of symbols) {
        let value = symbol
        if (kind === VECTOR && position > 3) value ^= operands[position - 4].symbols[0]
        if (kind === SHUFFLE && position > 0) value = (symbol - operands[position - 1].symbols[0] - 1) & 255
        decisions.push(...decisionsOf(value))
      }
    })
  })
  return decisions
}

const bytesOf = ({ memory }, begin, end) => new Uint8Array(memory.buffer).slice(begin, end)

/**
 * The module packed. Its local variables are numbered anew: `module` is what comes out. `unpacker` is
 * kernels/unpacking/unpack.ts compiled, `packer` the same with ENCODING.
 */
export function packKernels(original, { packer, unpacker }) {
  const { instructions, module } = takeApart(original)
  if (!WebAssembly.validate(module))
    throw new Error('pack-kernels: the module with its variables renumbered is not valid')
  const decisions = allDecisions(instructions)

  const encoding = new WebAssembly.Instance(new WebAssembly.Module(packer)).exports
  const { memory } = encoding
  const missing = encoding.decisionsBegin() + decisions.length - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / 65536))
  new Uint8Array(memory.buffer).set(decisions, encoding.decisionsBegin())
  const packed = bytesOf(encoding, encoding.packedBegin(), encoding.unpack())

  const decoding = new WebAssembly.Instance(new WebAssembly.Module(unpacker)).exports
  const capacity = decoding.moduleBegin() - decoding.packedBegin()
  if (packed.length > capacity) throw new Error(`pack-kernels: ${packed.length} bytes packed, at most ${capacity}`)
  new Uint8Array(decoding.memory.buffer).set(packed, decoding.packedBegin())
  if (Buffer.compare(bytesOf(decoding, decoding.moduleBegin(), decoding.unpack()), module) !== 0)
    throw new Error('pack-kernels: what was packed does not give the module back')
  return { packed, module }
}
