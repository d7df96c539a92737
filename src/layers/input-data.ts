import { type ArrayInfo, type DlArray, isdlarray } from '../array/dlarray.js'
import { describe, numel, positionsOf } from '../array/format.js'
import { DimensionError, NetworkError } from '../errors.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { label } from '../operations/arrays/relabel.js'
import { callUsers } from '../operations/call.js'
import { minusOperation, rdivideOperation } from '../operations/elementwise/arithmetic.js'
import {
  checkStatistics,
  type NormalizingLayer,
  neutralStatistics,
  normalizationRules,
  type StatisticName,
  statisticsOf,
} from './input-normalization.js'
import { layerLabel } from './layer.js'
import type { LayerDefinition } from './layer-definition.js'
import { shown } from './property.js'

// What input layers that normalize do with the data.

/** The data an input layer takes: extents of S and C in order, whether time is there, the order of unformatted data. */
export interface InputShape {
  readonly spatial: readonly number[]
  readonly channels: number
  readonly time: boolean
  /** Smallest number of time steps. */
  readonly minLength?: number
  /** Labels that unformatted data gets. */
  readonly format: string
}

/** The parts of a definition that are the same for each input layer that normalizes. */
export function normalizingInput<L extends NormalizingLayer>(
  functionName: string,
  shape: (layer: L) => InputShape,
): Pick<LayerDefinition<L>, 'functionName' | 'inputNames' | 'positional' | 'check' | 'resolve' | 'output' | 'compute'> {
  return {
    functionName,
    inputNames: [],
    positional: { names: ['inputSize'], required: 1 },
    check: checkStatistics,
    resolve: neutralStatistics,
    output: (layer, [X]) => [checkInput(X!, shape(layer), functionName)],
    compute: (layer, [X]) => [normalize(layer, X!, shape(layer))],
  }
}

/** Data as it comes in under the labels of the layer; throws when formats or sizes differ. */
function checkInput(X: ArrayInfo, shape: InputShape, call: string): ArrayInfo {
  const { spatial, channels, time, format, minLength = 1 } = shape
  const labels = `${'S'.repeat(spatial.length)}CB${time ? 'T' : ''}`
  const expected = `data labelled ${labels} (B may be missing) of ${[...spatial, channels].join('×')}`
  const mismatch = (expects: string, got: string, remedy: string) =>
    new DimensionError({ call, expects, got: `${got} in ${describe(X)}`, remedy })
  if (X.dims === '') {
    if (X.size.length > format.length)
      throw mismatch(expected, `${X.size.length} dimensions`, `Label the data ${labels}.`)
    const size = [...format].map((_, d) => X.size[d] ?? 1)
    const order = [...labels].map((name, i) => nth(format, name, labels.slice(0, i).split(name).length - 1))
    return checkInput({ size: order.map((d) => size[d]!), dims: labels, type: X.type }, shape, call)
  }
  const count = positionsOf(X.dims, 'S').length
  if (count !== spatial.length)
    throw mismatch(
      `${spatial.length} spatial dimension${spatial.length === 1 ? '' : 's'} (S)`,
      String(count),
      `Label the data ${labels}.`,
    )
  const sized = X.dims.includes('U') || X.dims.includes('T') !== time || !X.dims.includes('C')
  if (sized) throw mismatch(expected, `format ${X.dims}`, `Label the data ${labels}.`)
  const got = X.size.slice(0, spatial.length + 1)
  if (got.join() !== [...spatial, channels].join())
    throw mismatch(
      spatial.length === 0
        ? `${channels} channel${channels === 1 ? '' : 's'}`
        : `observations of ${[...spatial, channels].join('×')}`,
      spatial.length === 0 ? String(got[0]) : got.join('×'),
      'Resize the data, or give the layer the size of the data.',
    )
  const steps = X.size[X.dims.indexOf('T')]
  if (time && steps! < minLength)
    throw mismatch(`at least ${minLength} time steps (minLength)`, String(steps), 'Pad short sequences.')
  return X
}

/** Position of the `count`-th (from 0) `name` in `format`. */
function nth(format: string, name: string, count: number): number {
  return positionsOf(format, name)[count]!
}

/**
 * The data as a layer passes it on: labelled, then normalized by its rule. Where a divisor is 0, that is where the training data
 * was constant, it counts as 1.
 */
function normalize(layer: NormalizingLayer, data: DlArray, shape: InputShape): DlArray {
  const X = data.dims === '' ? label(data, shape.format, layer.className) : data
  checkInput(X, shape, layer.className)
  const { normalization } = layer
  if (typeof normalization === 'function') {
    const result = callUsers(() => normalization(X))
    return likeData(layer, result, X)
  }
  const nonzero = (x: number) => (x === 0 ? 1 : x)
  const { shift, divisor } = normalizationRules[normalization]
  const of = (value: (...statistics: number[]) => number) =>
    combined(
      statisticsOf(layer).map((name) => statistic(layer, name)),
      X,
      value,
    )
  const shifted = shift ? minusOperation.run({ A: X, B: of(shift) }) : X
  return divisor ? rdivideOperation.run({ A: shifted, B: of((...values) => nonzero(divisor(...values))) }) : shifted
}

/** What a user's function made of the data. */
function likeData(layer: NormalizingLayer, Y: unknown, X: DlArray): DlArray {
  if (isdlarray(Y) && Y.dims === X.dims && Y.size.join() === X.size.join()) return Y
  throw new DimensionError({
    call: layerLabel(layer),
    expects: 'a normalization function that returns a dlarray of the size and format of its input',
    got: `${shown(Y)} for ${describe(X)}`,
    remedy: 'Write the function with operations such as minus and rdivide, and return what they give.',
  })
}

function statistic(layer: NormalizingLayer, name: StatisticName): DlArray {
  const value = layer[name]
  if (value) return value
  throw new NetworkError({
    call: layerLabel(layer),
    expects: `${name} for its normalization`,
    got: 'an empty one',
    remedy: 'Train or initialize the network, or give the layer its statistics.',
  })
}

/** A function of statistics, element by element, in the class of the data; statistics of one number suit any size. */
function combined(statistics: readonly DlArray[], X: DlArray, value: (...values: number[]) => number): DlArray {
  const largest = statistics.reduce((a, b) => (b.numel > a.numel ? b : a))
  const views = statistics.map((one) => one.values())
  const spread = statistics.map((one) => elementOf(one.size, largest.size))
  const elements = Float64Array.from({ length: largest.numel }, (_, i) =>
    value(...views.map((view, k) => view[spread[k]!(i)]!)),
  )
  return dlarray(elements, [...largest.size], { type: X.underlyingType === 'double' ? 'double' : 'single' })
}

/** For an element of an array of size `to`, the element of one of size `from`, whose other extents are 1. */
function elementOf(from: readonly number[], to: readonly number[]): (index: number) => number {
  if (numel(from) === numel(to)) return (index) => index
  if (numel(from) === 1) return () => 0
  return (index) => {
    let rest = index
    let position = 0
    let step = 1
    for (let d = 0; d < to.length; d++) {
      const subscript = rest % to[d]!
      rest = Math.floor(rest / to[d]!)
      const extent = from[d] ?? 1
      if (extent > 1) position += subscript * step
      step *= extent
    }
    return position
  }
}
