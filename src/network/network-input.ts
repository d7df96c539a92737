import { type ArrayInfo, type DlArray, isdlarray, type Nested } from '../array/dlarray.js'
import { describe, numel } from '../array/format.js'
import { NetworkError } from '../errors.js'
import { inputInfo, isInputLayer, type Layer, layerLabel } from '../layers/layer.js'
import { dlarray, type FlatData } from '../operations/dlarray.js'

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
 * The order of labels that plain numbers have for an input layer: that of its format, but observations come first for
 * features (`BC`), and time comes first for vector sequences (`TCB`) and after the channels for sequences of images
 * (`SSCTB`). Source: MATLAB, `trainnet`.
 */
export function plainLayout(layer: Layer, dims: string): string {
  if (layer.className === 'FeatureInputLayer') return 'BC'
  if (layer.className !== 'SequenceInputLayer') return dims
  return dims.startsWith('S') ? dims.replace('CBT', 'CTB') : 'TCB'
}

/**
 * An input of a network as an array. Formatted arrays pass as they are; everything else gets the format of the input layer,
 * a flat list being as many observations as it has elements for. Errors: a {@link NetworkError} that names the layer.
 */
export function inputArray(given: unknown, layer: Layer, type: 'single' | 'double', call: string): DlArray {
  if (isdlarray(given) && given.dims !== '') return given
  const info = isInputLayer(layer) ? inputInfo(layer) : undefined
  if (!info || info.dims === '') {
    if (isdlarray(given)) return given
    throw unfit(given, layer, info, call)
  }
  const layout = plainLayout(layer, info.dims)
  try {
    if (isdlarray(given)) return dlarray(given, layout)
    if (isSizedData(given)) return dlarray(given.values, given.size, layout, { type })
    if (ArrayBuffer.isView(given) || isFlatList(given)) {
      const flat = given as FlatData
      return dlarray(flat, flatSize(flat.length, info, layout), layout, { type })
    }
    if (Array.isArray(given) || typeof given === 'number') return dlarray(given as Nested, layout, { type })
  } catch (error) {
    throw unfit(given, layer, info, call, error)
  }
  throw unfit(given, layer, info, call)
}

function unfit(given: unknown, layer: Layer, info: ArrayInfo | undefined, call: string, cause?: unknown): NetworkError {
  return new NetworkError(
    {
      call: `${call}: ${layerLabel(layer)}`,
      expects: info?.dims
        ? `a dlarray, or numbers of size ${sizeWords(info, plainLayout(layer, info.dims))}`
        : 'a dlarray: no input layer says what the dimensions of plain numbers mean',
      got: words(given),
      remedy: `Label the dimensions: dlarray(values, size, '${info?.dims || 'SSCB'}').`,
    },
    cause === undefined ? undefined : { cause },
  )
}

/** The size of `count` elements without one: as many observations (time steps of one, where there is time) as they make. */
function flatSize(count: number, info: ArrayInfo, layout: string): number[] {
  const open = layout.includes('T') ? 'T' : 'B'
  const known = [...layout].map((name, d) => extentOf(info, layout, d) ?? (name === open ? undefined : 1))
  const observations = count / numel(known.map((extent) => extent ?? 1))
  if (!Number.isInteger(observations)) throw new RangeError('a fraction of an observation')
  return known.map((extent) => extent ?? observations)
}

function isFlatList(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'number')
}

/** The extent of an S or C dimension of `layout`; the layout has its S in the order of the format. */
function extentOf(info: ArrayInfo, layout: string, position: number): number | undefined {
  const name = layout[position]!
  if (name === 'C') return info.size[info.dims.indexOf('C')]
  return name === 'S' ? info.size[position] : undefined
}

function sizeWords(info: ArrayInfo, layout: string): string {
  return [...layout].map((name, d) => `${extentOf(info, layout, d) ?? 'any'}(${name})`).join(' × ')
}

function words(value: unknown): string {
  if (isdlarray(value)) return describe(value)
  if (isSizedData(value)) return `numbers of size ${[...value.size].join('×')}`
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `a list of ${(value as ArrayLike<unknown>).length}`
  return value === null ? 'null' : typeof value
}
