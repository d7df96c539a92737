import { type ArrayInfo, type DlArray, isdlarray, type Nested } from '../array/dlarray.js'
import { numel, positionsOf } from '../array/format.js'
import { NetworkError } from '../errors.js'
import { inputInfo, isInputLayer, type Layer, layerLabel } from '../layers/layer.js'
import type { FlatData } from '../operations/arrays/array-data.js'
import { dlarray } from '../operations/arrays/dlarray.js'

/** Flat elements, column-major, with their size. */
export interface SizedData {
  readonly values: FlatData
  readonly size: readonly number[]
}

/** What `predict` and `forward` take: a dlarray, or numbers in the layout of the input layer. */
export type NetworkInput = DlArray | FlatData | Nested | SizedData

export function isSizedData(value: unknown): value is SizedData {
  return typeof value === 'object' && value !== null && 'values' in value && 'size' in value && !isdlarray(value)
}

/**
 * An input of a network as an array: without labels, which the input layer gives it, unless it came with some. A flat list has
 * as many observations as it has elements for. Errors: a {@link NetworkError} that names the layer.
 */
export function inputArray(given: unknown, layer: Layer, type: 'single' | 'double', call: string): DlArray {
  if (isdlarray(given)) return given
  const info = isInputLayer(layer) ? inputInfo(layer) : undefined
  try {
    if (isInputLayer(layer)) {
      if (isSizedData(given)) return dlarray(given.values, given.size, { type })
      if (ArrayBuffer.isView(given) || isFlatList(given)) {
        const flat = given as FlatData
        return dlarray(flat, flatSize(flat.length, layer, info), { type })
      }
      if (Array.isArray(given) || typeof given === 'number') return dlarray(given as Nested, { type })
    }
  } catch (error) {
    throw unfit(given, layer, info, call, error)
  }
  throw unfit(given, layer, info, call)
}

function unfit(given: unknown, layer: Layer, info: ArrayInfo | undefined, call: string, cause?: unknown): NetworkError {
  const layout = plainLayout(layer, info)
  const size = info && [...layout].map((name, d) => `${knownExtent(info, layout, d) ?? 'any'}(${name})`).join(' × ')
  return new NetworkError(
    {
      call: `${call}: ${layerLabel(layer)}`,
      expects: isInputLayer(layer)
        ? `a dlarray, or numbers${size ? ` of size ${size}` : ' with their size'}`
        : 'a dlarray: no input layer says what the dimensions of plain numbers mean',
      got: words(given),
      remedy: `Label the dimensions: dlarray(values, size, '${info?.dims || 'SSCB'}').`,
    },
    cause === undefined ? undefined : { cause },
  )
}

/**
 * The order of labels that plain numbers have for an input layer: that of its format, but observations come first for
 * features (`BC`), and time comes first for vector sequences (`TCB`) and after the channels for sequences of images
 * (`SSCTB`). Source: MATLAB, `trainnet`.
 */
export function plainLayout(layer: Layer, info: ArrayInfo | undefined): string {
  if (layer.className === 'FeatureInputLayer') return 'BC'
  if ('inputFormat' in layer && typeof layer.inputFormat === 'string') return layer.inputFormat
  const dims = info?.dims ?? ''
  if (layer.className !== 'SequenceInputLayer') return dims
  return dims.startsWith('S') ? dims.replace('CBT', 'CTB') : 'TCB'
}

/** The size of `count` elements without one: as many observations (time steps of one, where there is time) as they make. */
export function flatSize(count: number, layer: Layer, info: ArrayInfo | undefined): number[] {
  const layout = plainLayout(layer, info)
  if (!info || layout === '') throw new RangeError('no size is known')
  const open = layout.includes('T') ? 'T' : 'B'
  const known = [...layout].map((name, d) => knownExtent(info, layout, d) ?? (name === open ? undefined : 1))
  const observations = count / numel(known.map((extent) => extent ?? 1))
  if (!Number.isInteger(observations)) throw new RangeError('a fraction of an observation')
  return known.map((extent) => extent ?? observations)
}

/** The extent of a dimension of `layout`, unless it is the number of observations or time steps. */
function knownExtent({ size, dims }: ArrayInfo, layout: string, position: number): number | undefined {
  const name = layout[position]!
  if (name === 'B' || name === 'T') return undefined
  const count = positionsOf(layout.slice(0, position), name).length
  return size[positionsOf(dims, name)[count]!]
}

function isFlatList(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'number')
}

function words(value: unknown): string {
  if (isSizedData(value)) return `numbers of size ${Array.from(value.size).join('×')}`
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `a list of ${(value as ArrayLike<unknown>).length}`
  return value === null ? 'null' : typeof value
}
