/** The IDX format: arrays of numbers in a file, as the MNIST images come. Source: Y. LeCun, "The MNIST database". */

import { argumentError, asText, checkOptionNames, FileError, isObject } from '../errors.js'

export type IDXValues = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** What {@link parseIDX} reads: elements of the type that the file names, and their size. */
export interface IDXArray {
  /** Row-major: the last index is the fastest. */
  readonly values: IDXValues
  readonly size: readonly number[]
}

/** Element types by the third byte of a file. */
const elementTypes: Readonly<
  Record<
    number,
    { readonly bytes: number; readonly read: (view: DataView, offset: number, count: number) => IDXValues }
  >
> = {
  8: { bytes: 1, read: (view, offset, count) => new Uint8Array(view.buffer, view.byteOffset + offset, count).slice() },
  9: { bytes: 1, read: (view, offset, count) => new Int8Array(view.buffer, view.byteOffset + offset, count).slice() },
  11: { bytes: 2, read: (view, offset, count) => fill(new Int16Array(count), (i) => view.getInt16(offset + 2 * i)) },
  12: { bytes: 4, read: (view, offset, count) => fill(new Int32Array(count), (i) => view.getInt32(offset + 4 * i)) },
  13: {
    bytes: 4,
    read: (view, offset, count) => fill(new Float32Array(count), (i) => view.getFloat32(offset + 4 * i)),
  },
  14: {
    bytes: 8,
    read: (view, offset, count) => fill(new Float64Array(count), (i) => view.getFloat64(offset + 8 * i)),
  },
}

function fill<A extends IDXValues>(values: A, read: (index: number) => number): A {
  for (let i = 0; i < values.length; i++) values[i] = read(i)
  return values
}

/** Bytes before the sizes: two zeros, the element type, the number of dimensions. */
const HEADER = 4

/**
 * Reads the bytes of an IDX file; `name` stands in messages. All numbers are big-endian. Throws a {@link FileError} for
 * another kind of file and for one that is shorter or longer than its sizes say; sizes are believed only when the bytes
 * are there, so that no file makes it allocate more than the file's own length.
 */
export function parseIDX(bytes: Uint8Array, name = 'IDX data'): IDXArray {
  if (typeof name !== 'string') throw argumentError('parseIDX', 'a name for messages as text', name, 'Leave it out.')
  const damaged = (expects: string, got: string) =>
    new FileError({
      call: 'parseIDX',
      expects: `${name} to be ${expects}`,
      got,
      remedy: 'Get the file again; compressed files are to be unpacked first.',
    })
  if (!(bytes instanceof Uint8Array)) throw damaged('the bytes of a file', asText(bytes))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER || bytes[0] !== 0 || bytes[1] !== 0)
    throw damaged('an IDX file, which begins with two zero bytes', `${bytes.length} bytes beginning ${start(bytes)}`)
  const type = elementTypes[bytes[2]!]
  if (!type) throw damaged('an IDX file with element type 8, 9, 11, 12, 13 or 14', `type ${bytes[2]}`)
  const dimensions = bytes[3]!
  const offset = HEADER + 4 * dimensions
  if (dimensions === 0 || bytes.length < offset)
    throw damaged('an IDX file with sizes', `${dimensions} dimensions in ${bytes.length} bytes`)
  const size = Array.from({ length: dimensions }, (_, d) => view.getUint32(HEADER + 4 * d))
  const count = size.reduce((product, extent) => product * extent, 1)
  if (bytes.length - offset !== count * type.bytes)
    throw damaged(
      `an IDX file of size ${size.join('×')} with ${count * type.bytes} bytes of elements`,
      `${bytes.length - offset}`,
    )
  return { values: type.read(view, offset, count), size }
}

function start(bytes: Uint8Array): string {
  return bytes.length === 0
    ? 'with none'
    : Array.from(bytes.subarray(0, 4), (byte) => `0x${byte.toString(16)}`).join(' ')
}

/** What {@link imagesFromIDX} reads. */
export interface Images {
  /** Column-major pixels, height-by-width-by-channels-by-images. */
  readonly values: Uint8Array
  readonly size: readonly [height: number, width: number, channels: number, images: number]
}

/**
 * Gray images of an IDX file (images-by-height-by-width bytes) as images for networks, the gray value in each of
 * `channels` channels (default 1; 3 for networks that take RGB). `limit` takes only the first images.
 *
 * Throws a {@link FileError} for an IDX array that is not images of bytes.
 */
export function imagesFromIDX(idx: IDXArray, options: { channels?: number; limit?: number } = {}): Images {
  const { values, size } = checkIDX('imagesFromIDX', idx)
  checkOptionNames('imagesFromIDX', options, ['channels', 'limit'])
  const [all = 0, height = 0, width = 0] = size
  if (size.length !== 3 || !(values instanceof Uint8Array))
    throw new FileError({
      call: 'imagesFromIDX',
      expects: 'bytes with three dimensions: images, rows, columns',
      got: `${size.length} dimensions (${size.join('×')})`,
      remedy: 'Give the file of images, not that of labels.',
    })
  const { channels = 1, limit = all } = options
  if (!isCount(channels) || channels === 0 || !isCount(limit))
    throw argumentError(
      'imagesFromIDX',
      'whole numbers for channels and limit, channels at least 1',
      { channels, limit },
      'Leave them out for all images with one channel.',
    )
  const images = Math.min(all, limit)
  const plane = height * width
  const result = new Uint8Array(plane * channels * images)
  for (let image = 0; image < images; image++) {
    const from = image * plane
    const to = image * plane * channels
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++)
        result[to + row + column * height] = values[from + row * width + column]!
    for (let channel = 1; channel < channels; channel++) result.copyWithin(to + channel * plane, to, to + plane)
  }
  return { values: result, size: [height, width, channels, images] }
}

/** Labels of an IDX file (bytes with one dimension). Throws a {@link FileError} for another array. */
export function labelsFromIDX(idx: IDXArray, options: { limit?: number } = {}): Uint8Array {
  const { values, size } = checkIDX('labelsFromIDX', idx)
  checkOptionNames('labelsFromIDX', options, ['limit'])
  if (size.length !== 1 || !(values instanceof Uint8Array))
    throw new FileError({
      call: 'labelsFromIDX',
      expects: 'bytes with one dimension',
      got: `${size.length} dimensions (${size.join('×')})`,
      remedy: 'Give the file of labels, not that of images.',
    })
  const { limit = values.length } = options
  if (!isCount(limit))
    throw argumentError('labelsFromIDX', 'a whole number for limit', limit, 'Leave it out for all labels.')
  return values.subarray(0, limit)
}

function checkIDX(call: string, idx: IDXArray): IDXArray {
  if (isObject(idx) && ArrayBuffer.isView(idx.values) && Array.isArray(idx.size)) return idx
  throw argumentError(call, 'values with their size, as parseIDX gives them', idx, `Write ${call}(parseIDX(bytes)).`)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
