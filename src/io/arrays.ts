import { type DlArray, isdlarray, type UnderlyingType } from '../array/dlarray.js'
import { canonical, checkFormat, normalized } from '../array/format.js'
import { asText, FileError, isObject, OptionError } from '../errors.js'
import { scope } from '../memory/scope.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { readFileBytes, writeFileAtomically } from './file.js'
import { decodeSafetensors, encodeSafetensors, type Tensor, type TensorType } from './safetensors.js'
import { damaged, forbiddenKeys, parseStrictJSON, type Reading } from './strict-json.js'

// Arrays in a safetensors file. The format is row-major and arrays are column-major, so a tensor's shape is the array's size
// turned round: the same bytes in the same order. Labels stand in the metadata.

/** Arrays by name, and texts about them. */
export interface ArrayFile {
  readonly arrays: Readonly<Record<string, DlArray>>
  readonly metadata: Readonly<Record<string, string>>
}

const FORMAT = 'dlnet'
const FORMAT_VERSION = '1'
const DIMS = 'dims'
const reserved = [FORMAT, DIMS, 'checksum']

const tensorTypes: Readonly<Record<UnderlyingType, TensorType>> = { single: 'F32', double: 'F64', logical: 'BOOL' }
const arrayTypes: Readonly<Record<TensorType, UnderlyingType>> = { F32: 'single', F64: 'double', BOOL: 'logical' }

/** The bytes of a safetensors file with these arrays, exactly: their bits, sizes, formats and types. */
export function serializeArrays(
  arrays: Readonly<Record<string, DlArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return encodeArrays(arrays, metadata, 'serializeArrays')
}

/** {@link serializeArrays} for others, which messages name. */
export function encodeArrays(
  arrays: Readonly<Record<string, DlArray>>,
  metadata: Readonly<Record<string, string>>,
  call: string,
): Uint8Array {
  const tensors = new Map<string, Tensor>()
  const labels: Record<string, string> = {}
  if (!isObject(arrays) || isdlarray(arrays) || !isObject(metadata))
    throw new OptionError({
      call,
      expects: 'arrays by name, and texts by name',
      got: asText(isObject(arrays) && !isdlarray(arrays) ? metadata : arrays),
      remedy: "Write { weights: W, bias: b } and, where there is more to say, { note: 'text' }.",
    })
  for (const [name, array] of Object.entries(arrays)) {
    if (!isdlarray(array) || name === '__metadata__' || forbiddenKeys.includes(name))
      throw new OptionError({
        call,
        expects: 'arrays by name, the name not a reserved word',
        got: isdlarray(array) ? `the name '${name}'` : `${typeof array} as '${name}'`,
        remedy: 'Give dlarrays, under other names.',
      })
    const type = tensorTypes[array.underlyingType]
    const values = array.values()
    tensors.set(name, {
      type,
      shape: [...array.size].reverse(),
      elements: type === 'BOOL' ? Uint8Array.from(values) : values,
    })
    if (array.dims !== '') labels[name] = array.dims
  }
  for (const [key, text] of Object.entries(metadata))
    if (typeof text !== 'string' || reserved.includes(key) || forbiddenKeys.includes(key))
      throw new OptionError({
        call,
        expects: `metadata of texts, under names other than ${reserved.join(', ')}`,
        got: typeof text === 'string' ? `the name '${key}'` : `${typeof text} as '${key}'`,
        remedy: 'Turn values into texts, for instance with JSON.stringify.',
      })
  const texts = new Map([[FORMAT, FORMAT_VERSION], [DIMS, JSON.stringify(labels)], ...Object.entries(metadata)])
  return encodeSafetensors({ tensors, metadata: texts })
}

/**
 * The arrays and texts in bytes that {@link serializeArrays} made. Errors: a {@link FileError} for anything else: cut short,
 * altered, made up.
 */
export function deserializeArrays(bytes: Uint8Array | ArrayBuffer): ArrayFile {
  return decodeArrays(bytes, { call: 'deserializeArrays', source: 'the bytes' })
}

/** {@link deserializeArrays} for others, which messages name. */
export function decodeArrays(bytes: Uint8Array | ArrayBuffer, reading: Reading): ArrayFile {
  const elements = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes
  if (!(elements instanceof Uint8Array))
    throw new FileError({
      call: reading.call,
      expects: 'bytes, a Uint8Array or an ArrayBuffer',
      got: asText(bytes),
      remedy: 'Give what serializing returned, or what fetch(address) answered: await response.arrayBuffer().',
    })
  const { tensors, metadata } = decodeSafetensors(elements, reading)
  const version = metadata.get(FORMAT)
  if (version !== FORMAT_VERSION)
    throw new FileError({
      call: reading.call,
      expects: `a file of dlnet's format ${FORMAT_VERSION} in ${reading.source}`,
      got: version === undefined ? 'a safetensors file of another program' : `format ${version}`,
      remedy: 'Load it with the version of the program that wrote it.',
    })
  const labels = readLabels(metadata.get(DIMS), reading)
  // Checked before any array is made, so that a bad file leaves none behind.
  const checked = [...tensors].map(([name, tensor]) => ({ name, tensor, ...checkArray(name, tensor, labels, reading) }))
  const arrays = scope(() =>
    Object.fromEntries(
      checked.map(({ name, tensor: { type, elements }, size, dims }) => {
        const options = { type: arrayTypes[type] }
        return [name, dims === '' ? dlarray(elements, size, options) : dlarray(elements, size, dims, options)]
      }),
    ),
  )
  const texts = [...metadata].filter(([key]) => !reserved.includes(key))
  return { arrays, metadata: Object.fromEntries(texts) }
}

function readLabels(text: string | undefined, reading: Reading): ReadonlyMap<string, unknown> {
  if (text === undefined) throw damaged(reading, 'the formats of the arrays', 'none')
  const labels = parseStrictJSON(text, 'the formats of the arrays', reading)
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels))
    throw damaged(reading, 'the formats of the arrays as an object', text.slice(0, 60))
  return new Map(Object.entries(labels))
}

function checkArray(name: string, { shape }: Tensor, labels: ReadonlyMap<string, unknown>, reading: Reading) {
  const size = [...shape].reverse()
  const dims = labels.get(name) ?? ''
  const isFormat = typeof dims === 'string' && (dims === '' || isStoredFormat(dims, reading))
  const whole = isFormat ? normalized(size, dims) : undefined
  if (whole === undefined || whole.dims !== dims || whole.size.length !== size.length)
    throw damaged(reading, `size and format that fit together for '${name}'`, `[${size}] and ${JSON.stringify(dims)}`)
  return { size, dims: whole.dims }
}

function isStoredFormat(dims: string, reading: Reading): boolean {
  try {
    checkFormat(dims, reading.call)
    return canonical(dims) === dims
  } catch {
    return false
  }
}

/**
 * Writes arrays into one safetensors file, exactly, whole or not at all. `metadata` are texts to keep with them.
 *
 * Errors: a {@link FileError} when it cannot be written; a file of that name is then as it was. An {@link OptionError} for
 * names and texts that cannot be kept.
 */
export async function saveArrays(
  file: string,
  arrays: Readonly<Record<string, DlArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const bytes = encodeArrays(arrays, metadata, 'saveArrays')
  await writeFileAtomically(file, bytes, 'saveArrays', 'serializeArrays')
}

/** Reads what {@link saveArrays} wrote. Errors: a {@link FileError} for a file that is missing, damaged or of another kind. */
export async function loadArrays(file: string): Promise<ArrayFile> {
  const bytes = await readFileBytes(file, 'loadArrays', 'deserializeArrays')
  return decodeArrays(bytes, { call: 'loadArrays', source: `'${file}'` })
}
