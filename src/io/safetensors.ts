import { crc32 } from './checksum.js'
import { damaged, parseStrictJSON, type Reading } from './strict-json.js'

// The safetensors format: eight bytes with the length of the header (little-endian), the header in JSON, then the tensors'
// elements one after the other without gaps. Source: the format's description in the safetensors project.

/** Element types written here: float32, float64, and one byte per element holding 0 or 1. */
export type TensorType = 'F32' | 'F64' | 'BOOL'

const bytesPerElement: Readonly<Record<TensorType, number>> = { F32: 4, F64: 8, BOOL: 1 }

export type TensorElements = Float32Array | Float64Array | Uint8Array

/** A tensor as the format sees it: row-major, the last extent fastest. */
export interface Tensor {
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly elements: TensorElements
}

export interface TensorFile {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: ReadonlyMap<string, string>
}

const METADATA = '__metadata__'
const CHECKSUM = 'checksum'
/** The format's own limit. */
const LONGEST_HEADER = 100_000_000
const MOST_DIMENSIONS = 64
/** The header is padded with blanks so that the elements, widest type first, are aligned. */
const ALIGNMENT = 8
const LENGTH_BYTES = 8

interface Entry extends Tensor {
  readonly name: string
}

/** Bytes of a file with these tensors; a checksum of all of it is added to the metadata. */
export function encodeSafetensors({ tensors, metadata }: TensorFile): Uint8Array {
  const entries = [...tensors].map(([name, tensor]): Entry => ({ name, ...tensor }))
  const ordered = (['F64', 'F32', 'BOOL'] as const).flatMap((type) => entries.filter((entry) => entry.type === type))
  const header: [string, unknown][] = [
    [METADATA, Object.fromEntries([...metadata, [CHECKSUM, contentChecksum(entries, metadata)]])],
  ]
  let position = 0
  for (const { name, type, shape, elements } of ordered) {
    const end = position + elements.byteLength
    header.push([name, { dtype: type, shape, data_offsets: [position, end] }])
    position = end
  }
  // Pairs, not an object: JavaScript moves keys such as '7' to the front.
  const text = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
  const unpadded = new TextEncoder().encode(text)
  const headerLength = Math.ceil(unpadded.length / ALIGNMENT) * ALIGNMENT
  const bytes = new Uint8Array(LENGTH_BYTES + headerLength + position)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true)
  bytes.set(unpadded, LENGTH_BYTES)
  bytes.fill(0x20, LENGTH_BYTES + unpadded.length, LENGTH_BYTES + headerLength)
  let offset = LENGTH_BYTES + headerLength
  for (const { elements } of ordered) {
    bytes.set(littleEndian(elements), offset)
    offset += elements.byteLength
  }
  return bytes
}

/**
 * The tensors and metadata in some bytes. Everything is checked before anything is allocated: lengths, types, offsets
 * without gap or overlap, and the checksum. Throws a {@link FileError}.
 */
export function decodeSafetensors(bytes: Uint8Array, reading: Reading): TensorFile {
  const dataStart = LENGTH_BYTES + headerLengthOf(bytes, reading)
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart), reading)
  const metadata = new Map<string, string>()
  const ranges: { name: string; type: TensorType; shape: readonly number[]; begin: number; end: number }[] = []
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) readMetadata(value, metadata, reading)
    else ranges.push({ name, ...readEntry(name, value, reading) })
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let position = 0
  for (const { name, begin, end } of ranges) {
    if (begin !== position)
      throw damaged(
        reading,
        `tensor '${name}' to begin at byte ${position}, where the one before ends`,
        `byte ${begin}`,
      )
    position = end
  }
  if (position !== bytes.length - dataStart)
    throw damaged(reading, `${position} bytes of tensors`, `${bytes.length - dataStart}`)
  const tensors = new Map<string, Tensor>()
  for (const { name, type, shape, begin, end } of ranges)
    tensors.set(name, { type, shape, elements: elementsOf(bytes, dataStart + begin, dataStart + end, type) })
  verify(tensors, metadata, reading)
  return { tensors, metadata }
}

function headerLengthOf(bytes: Uint8Array, reading: Reading): number {
  if (bytes.length < LENGTH_BYTES) throw damaged(reading, 'a safetensors file', `${bytes.length} bytes`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  if (length > BigInt(Math.min(LONGEST_HEADER, bytes.length - LENGTH_BYTES)))
    throw damaged(reading, 'a header that fits into the file', `a header of ${length} bytes in ${bytes.length} bytes`)
  return Number(length)
}

function parseHeader(bytes: Uint8Array, reading: Reading): Record<string, unknown> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw damaged(reading, 'a header in UTF-8', 'bytes that are not', error)
  }
  const header = parseStrictJSON(text, 'a header', reading)
  if (!isRecord(header)) throw damaged(reading, 'a header that is a JSON object', describeJSON(header))
  return header
}

function readMetadata(value: unknown, metadata: Map<string, string>, reading: Reading): void {
  if (!isRecord(value)) throw damaged(reading, 'metadata that is a JSON object', describeJSON(value))
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw damaged(reading, `text as metadata '${key}'`, describeJSON(text))
    metadata.set(key, text)
  }
}

function readEntry(name: string, value: unknown, reading: Reading) {
  const fail = (expects: string, got: unknown) =>
    damaged(reading, `${expects} of tensor '${name}'`, typeof got === 'string' ? got : describeJSON(got))
  if (!isRecord(value)) throw fail('the description', value)
  const { dtype, shape, data_offsets: offsets, ...rest } = value
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) throw fail('dtype, shape and data_offsets and nothing else', `'${unknown}'`)
  if (dtype !== 'F32' && dtype !== 'F64' && dtype !== 'BOOL') throw fail('dtype F32, F64 or BOOL', dtype)
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS || !shape.every(isCount))
    throw fail(`a shape of at most ${MOST_DIMENSIONS} whole numbers`, shape)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw fail('two data_offsets, whole numbers,', offsets)
  const [begin, end] = offsets as [number, number]
  let bytes = bytesPerElement[dtype]
  for (const extent of shape as number[]) bytes *= extent
  // A product beyond 2^53 is not exact, but then it is no length of a range either.
  if (end - begin !== bytes) throw fail(`${bytes} bytes`, `${end - begin}`)
  return { type: dtype as TensorType, shape: shape as readonly number[], begin, end }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0)
}

function elementsOf(bytes: Uint8Array, begin: number, end: number, type: TensorType): TensorElements {
  // Not slice: on Node's Buffer it makes a view.
  const copy = new Uint8Array(bytes.subarray(begin, end))
  if (type === 'BOOL') return copy
  toHostOrder(copy, bytesPerElement[type])
  return type === 'F64' ? new Float64Array(copy.buffer) : new Float32Array(copy.buffer)
}

function verify(tensors: ReadonlyMap<string, Tensor>, metadata: Map<string, string>, reading: Reading): void {
  const written = metadata.get(CHECKSUM)
  metadata.delete(CHECKSUM)
  if (written === undefined) throw damaged(reading, 'a checksum in the metadata', 'none')
  const entries = [...tensors].map(([name, tensor]): Entry => ({ name, ...tensor }))
  const found = contentChecksum(entries, metadata)
  if (found !== written) throw damaged(reading, `content with checksum ${written}`, found)
}

/** Of the content, not of the bytes: whoever copies it with another tool, keys in another order, keeps it valid. */
function contentChecksum(entries: readonly Entry[], metadata: ReadonlyMap<string, string>): string {
  const sorted = [...entries].sort((a, b) => compare(a.name, b.name))
  const texts = [...metadata].filter(([key]) => key !== CHECKSUM).sort((a, b) => compare(a[0], b[0]))
  const description = JSON.stringify([texts, sorted.map(({ name, type, shape }) => [name, type, shape])])
  let crc = crc32(new TextEncoder().encode(description))
  for (const { elements } of sorted) crc = crc32(littleEndian(elements), crc)
  return `crc32:${crc.toString(16).padStart(8, '0')}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const hostIsLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** The elements' bytes as the file has them: themselves on nearly every machine, a turned copy on the others. */
function littleEndian(elements: TensorElements): Uint8Array {
  const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)
  if (hostIsLittleEndian) return bytes
  const copy = new Uint8Array(bytes)
  toHostOrder(copy, elements.BYTES_PER_ELEMENT)
  return copy
}

function toHostOrder(bytes: Uint8Array, width: number): void {
  if (hostIsLittleEndian) return
  for (let i = 0; i < bytes.length; i += width) bytes.subarray(i, i + width).reverse()
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const LONGEST_SHOWN = 60

function describeJSON(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text
}
