import * as v from 'valibot'
import type { ArrayInfo } from '../array/dlarray.js'
import { canonical, checkFormat, describe, normalized, storedOrder } from '../array/format.js'
import { DimensionError, OptionError } from '../errors.js'
import { label } from '../operations/arrays/relabel.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer } from './layer-kind.js'
import { accepts, type Check, fixed, type NameValuePairs, nonnegativeInteger, optionError } from './property.js'

/** What {@link inputLayer} makes. */
export interface InputLayer extends Layer {
  /** Extents in the order of `inputFormat`; NaN where any extent may come. */
  readonly inputSize: readonly number[]
  /** Labels; `''` for unformatted data. */
  readonly inputFormat: string
}

const functionName = 'inputLayer'

const checkLabels: Check = (value, place) => {
  if (typeof value !== 'string')
    throw optionError(place, 'text of labels', value, "Write inputLayer([28, 28, 3, NaN], 'SSCB').")
  checkFormat(value, place.call)
  return value
}

/** Extents and labels in the order in which arrays store them. */
function stored({ inputSize, inputFormat }: InputLayer): { size: number[]; dims: string } {
  if (inputFormat === '') return normalized(inputSize, '')
  const order = storedOrder(inputFormat)
  return normalized(
    order.map((d) => inputSize[d] ?? 1),
    canonical(inputFormat),
  )
}

function check(layer: InputLayer, X: ArrayInfo): ArrayInfo {
  const { size, dims } = stored(layer)
  const labelled = X.dims === '' && dims !== '' ? relabelled(layer, X) : X
  const fits =
    labelled.dims === dims && size.every((extent, d) => Number.isNaN(extent) || extent === (labelled.size[d] ?? 1))
  if (!fits || labelled.size.length > size.length)
    throw new DimensionError({
      call: functionName,
      expects: `data of ${describe({ size, dims })}`,
      got: describe(X),
      remedy: 'NaN in the size of the input layer stands for any extent.',
    })
  return labelled
}

/** Unformatted data in the order of the layer's format. */
function relabelled({ inputFormat }: InputLayer, X: ArrayInfo): ArrayInfo {
  if (X.size.length > inputFormat.length) return X
  const order = storedOrder(inputFormat)
  return {
    ...normalized(
      order.map((d) => X.size[d] ?? 1),
      canonical(inputFormat),
    ),
    type: X.type,
  }
}

const kind = defineLayer<InputLayer>({
  functionName,
  className: 'InputLayer',
  typeName: 'Input',
  defaultName: 'input',
  inputNames: [],
  positional: { names: ['inputSize', 'inputFormat'], required: 1 },
  description: ({ inputSize, inputFormat }) =>
    `${inputSize.join('×')} ${inputFormat === '' ? 'unformatted input' : `input with format '${inputFormat}'`}`,
  properties: [
    fixed(
      'inputSize',
      accepts(
        v.pipe(v.array(v.union([nonnegativeInteger, v.nan()])), v.minLength(1)),
        'a list of whole numbers, or NaN for any extent',
        "Write inputLayer([28, 28, 3, NaN], 'SSCB').",
      ),
    ),
    fixed('inputFormat', checkLabels, ''),
  ],
  display: () => [{ properties: ['name', 'inputSize', 'inputFormat'] }],
  check({ inputSize, inputFormat }, call) {
    if (inputFormat !== '' && inputFormat.length !== inputSize.length)
      throw new OptionError({
        call,
        expects: `as many extents as the format '${inputFormat}' has labels (${inputFormat.length})`,
        got: `${inputSize.length} ([${inputSize.join(', ')}])`,
        remedy: 'Give the extent of each dimension; NaN for the batch.',
      })
  },
  inputInfo(layer) {
    const { size, dims } = stored(layer)
    // Any number of observations and any length will do; other open extents decide sizes.
    const known = size.map((extent, d) => (Number.isNaN(extent) && 'BT'.includes(dims[d] || '-') ? 1 : extent))
    return known.some(Number.isNaN) ? undefined : { size: known, dims, type: 'single' }
  },
  output: (layer, [X]) => [check(layer, X!)],
  compute(layer, [X]) {
    check(layer, X!)
    return [X!.dims === '' && layer.inputFormat !== '' ? label(X!, layer.inputFormat, functionName) : X!]
  },
})

/**
 * Input layer for data of any format: `inputLayer([28, 28, 3, NaN], 'SSCB')`. `inputSize` has the extent of every dimension in
 * the order of `inputFormat`, NaN where any extent may come; without a format the data stays unformatted. Unformatted data is
 * taken in the order of the format.
 *
 * Option: `name`. Errors: an {@link OptionError} when sizes and format do not fit. Source: MATLAB, `inputLayer`.
 */
export function inputLayer(inputSize: readonly number[], options?: LayerOptions): InputLayer
export function inputLayer(inputSize: readonly number[], inputFormat: string, options?: LayerOptions): InputLayer
export function inputLayer(inputSize: readonly number[], inputFormat: string, ...pairs: NameValuePairs): InputLayer
export function inputLayer(inputSize: readonly number[], ...name: readonly [name: string, value: string]): InputLayer
export function inputLayer(...given: unknown[]): InputLayer {
  return kind.create(given)
}

export { kind as inputKind }
