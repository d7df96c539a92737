import * as v from 'valibot'
import { type ArrayInfo, type DlArray, isdlarray } from '../array/dlarray.js'
import { describe, normalized, numel, positionsOf } from '../array/format.js'
import { DimensionError, NetworkError, OptionError } from '../errors.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { label } from '../operations/arrays/relabel.js'
import { callUsers } from '../operations/call.js'
import { minusOperation, rdivideOperation } from '../operations/elementwise/arithmetic.js'
import { constantValue } from './initializers.js'
import { isLayer, type Layer, type LayerOptions, layerLabel, replaceValues, storedValue } from './layer.js'
import {
  accepts,
  type Check,
  derived,
  fixed,
  held,
  type NumericInput,
  numeric,
  type PropertyDefinition,
  shown,
} from './property.js'

// What image, feature and sequence input layers share: checking the data, and normalizing it with statistics of the training
// data. The formulas stand in `normalize`.

export type NormalizationName = 'zerocenter' | 'zscore' | 'rescale-symmetric' | 'rescale-zero-one' | 'none'
/** Normalizes data of the layer's format; may use any operation. */
export type NormalizationFunction = (X: DlArray) => DlArray
/** What an input layer does to the data: one of MATLAB's names, or a function. */
export type Normalization = NormalizationName | NormalizationFunction
/** Over what an input layer's statistics are taken; the option says what each means. */
export type NormalizationDimension = 'auto' | 'channel' | 'element' | 'all'
export type StatisticName = 'mean' | 'standardDeviation' | 'min' | 'max'

/** Options of input layers that normalize the data. */
export interface InputNormalizationOptions extends LayerOptions {
  /**
   * What happens to the data: `'zerocenter'` x - mean, `'zscore'` (x - mean) / standardDeviation, `'rescale-symmetric'` min to
   * max becomes -1 to 1, `'rescale-zero-one'` 0 to 1, `'none'`, or a function of the data.
   */
  readonly normalization?: Normalization
  /**
   * What the statistics are taken over: `'channel'` one for each channel, `'element'` one for each element of an observation,
   * `'all'` one in all; `'auto'` (default) as the statistics given are, otherwise `'channel'`.
   */
  readonly normalizationDimension?: NormalizationDimension
  /** Statistics: a number for all, one for each channel, or one for each element; default empty: training computes them. */
  readonly mean?: NumericInput
  readonly standardDeviation?: NumericInput
  readonly min?: NumericInput
  readonly max?: NumericInput
  /** Only `false`: there are no complex arrays. */
  readonly splitComplexInputs?: false
}

export interface NormalizingLayer extends Layer {
  readonly inputSize: number | readonly number[]
  readonly normalization: Normalization
  readonly normalizationDimension: NormalizationDimension
  get mean(): DlArray | undefined
  set mean(value: NumericInput | undefined)
  get standardDeviation(): DlArray | undefined
  set standardDeviation(value: NumericInput | undefined)
  get min(): DlArray | undefined
  set min(value: NumericInput | undefined)
  get max(): DlArray | undefined
  set max(value: NumericInput | undefined)
  readonly splitComplexInputs: false
}

const used: Record<NormalizationName, readonly StatisticName[]> = {
  zerocenter: ['mean'],
  zscore: ['mean', 'standardDeviation'],
  'rescale-symmetric': ['max', 'min'],
  'rescale-zero-one': ['max', 'min'],
  none: [],
}

/** Statistics with which a normalization changes nothing. */
const neutral: Record<NormalizationName, Partial<Record<StatisticName, number>>> = {
  zerocenter: { mean: 0 },
  zscore: { mean: 0, standardDeviation: 1 },
  'rescale-symmetric': { min: -1, max: 1 },
  'rescale-zero-one': { min: 0, max: 1 },
  none: {},
}

const checkSplit: Check = (value, place) => {
  if (value === false) return value
  throw new OptionError({
    call: place.call,
    expects: 'splitComplexInputs false',
    got: shown(value),
    remedy: 'There are no complex arrays: give real and imaginary parts as channels.',
  })
}

/** The properties that input layers with normalization share; `normalization` is the kind's default. */
export function normalizationProperties(normalization: NormalizationName): PropertyDefinition[] {
  const names = Object.keys(used) as NormalizationName[]
  return [
    fixed(
      'normalization',
      accepts(
        v.union([v.picklist(names), v.function()]),
        `${names.map((name) => `'${name}'`).join(', ')} or a function of the data`,
        `The default is '${normalization}'.`,
      ),
      normalization,
    ),
    fixed(
      'normalizationDimension',
      accepts(
        v.picklist(['auto', 'channel', 'element', 'all']),
        "'auto', 'channel', 'element' or 'all'",
        "The default, 'auto', normalizes each channel.",
      ),
      'auto',
    ),
    numeric('mean'),
    numeric('standardDeviation'),
    numeric('min'),
    numeric('max'),
    fixed('splitComplexInputs', checkSplit, false),
    {
      ...derived('neutralStatistics', accepts(v.boolean(), 'true or false', 'Leave it out.'), false),
      hidden: true,
    },
  ]
}

/** Hyperparameters to print: the normalization, and only the statistics it uses. */
export function normalizationDisplay(layer: NormalizingLayer): string[] {
  return ['normalization', 'normalizationDimension', ...statisticsOf(layer)]
}

/** ` with 'zerocenter' normalization`, or nothing. */
export function normalizationText({ normalization }: NormalizingLayer): string {
  if (normalization === 'none') return ''
  return typeof normalization === 'function' ? ' with custom normalization' : ` with '${normalization}' normalization`
}

function statisticsOf({ normalization }: NormalizingLayer): readonly StatisticName[] {
  return typeof normalization === 'function' ? [] : used[normalization]
}

/** Sizes of an observation's statistics: for `[28, 28, 3]`, 28-by-28-by-3 by element, 1-by-1-by-3 by channel. */
function statisticSizes({ inputSize }: NormalizingLayer): Record<'element' | 'channel' | 'all', number[]> {
  const element = typeof inputSize === 'number' ? [inputSize, 1] : [...inputSize]
  const channel = typeof inputSize === 'number' ? element : element.map((n, d) => (d === element.length - 1 ? n : 1))
  return { element, channel, all: [1, 1] }
}

/** Brings a statistic to one of the sizes it may have; undefined when it has none of them. */
function fitted(layer: NormalizingLayer, value: DlArray): DlArray | undefined {
  const sizes = Object.values(statisticSizes(layer)).map((size) => normalized(size, '').size)
  if (sizes.some((size) => size.join() === value.size.join())) return value
  const isVector = value.size.filter((extent) => extent !== 1).length <= 1
  const { channel } = statisticSizes(layer)
  return isVector && value.numel === numel(channel) ? held(value, channel) : undefined
}

/** Throws unless every statistic given has a size for this input. */
export function checkStatistics(layer: NormalizingLayer, call: string): void {
  for (const name of ['mean', 'standardDeviation', 'min', 'max'] as const) {
    const value = layer[name]
    if (!value) continue
    const fits = fitted(layer, value)
    if (!fits) {
      const { element, channel } = statisticSizes(layer)
      throw new OptionError({
        call,
        expects: `${[...new Set([channel.join('×'), element.join('×')])].join(', ')} or one number for ${name}`,
        got: value.size.join('×'),
        remedy: 'Give one number for each channel, or for each element of an observation.',
      })
    }
    if (fits === value) continue
    replaceValues(layer, { [name]: fits })
    value.dispose()
  }
}

// --- Statistics from training data -----------------------------------------------------------------------------------

/** What training has to compute for an input layer. */
export interface StatisticsNeed {
  readonly statistics: readonly StatisticName[]
  readonly dimension: 'channel' | 'element' | 'all'
  /** Size of each statistic: 1-by-1-by-3 for the channels of 28-by-28-by-3 images. */
  readonly size: readonly number[]
}

function isNormalizing(layer: Layer): layer is NormalizingLayer {
  return 'normalization' in layer && 'normalizationDimension' in layer
}

/**
 * The statistics of the training data that a layer's normalization uses: those it lacks, or with `reset` all of them; undefined
 * when there are none, as for layers that normalize nothing.
 */
export function needsStatistics(layer: Layer, { reset = false } = {}): StatisticsNeed | undefined {
  if (!isLayer(layer) || !isNormalizing(layer)) return undefined
  const statistics = statisticsOf(layer).filter((name) => reset || layer[name] === undefined || isNeutral(layer, name))
  if (statistics.length === 0) return undefined
  const sizes = statisticSizes(layer)
  const { normalizationDimension } = layer
  if (normalizationDimension !== 'auto')
    return { statistics, dimension: normalizationDimension, size: sizes[normalizationDimension] }
  const given = statisticsOf(layer).map((name) => (isNeutral(layer, name) ? undefined : layer[name]))
  const size = reset ? undefined : given.find((value) => value !== undefined)?.size.join()
  const dimension = (['channel', 'element', 'all'] as const).find(
    (candidate) => normalized(sizes[candidate], '').size.join() === size,
  )
  return { statistics, dimension: dimension ?? 'channel', size: sizes[dimension ?? 'channel'] }
}

/** True for a statistic that initialization put there so that the network runs before training. */
function isNeutral(layer: NormalizingLayer, name: StatisticName): boolean {
  const value = layer[name]
  const { normalization } = layer
  if (value?.numel !== 1 || typeof normalization === 'function') return false
  return storedValue(layer, 'neutralStatistics') === true && value.item() === neutral[normalization][name]
}

/** Gives an input layer statistics of the training data. Sizes as in {@link needsStatistics}. */
export function setStatistics(layer: Layer, values: Partial<Readonly<Record<StatisticName, NumericInput>>>): void {
  if (!isLayer(layer) || !isNormalizing(layer))
    throw new OptionError({
      call: 'setStatistics',
      expects: 'an input layer with normalization',
      got: isLayer(layer) ? layerLabel(layer) : shown(layer),
      remedy: 'Ask needsStatistics first.',
    })
  for (const name of ['mean', 'standardDeviation', 'min', 'max'] as const)
    if (values[name] !== undefined) layer[name] = values[name]
  replaceValues(layer, { neutralStatistics: false })
}

/** Statistics that change nothing, for those that are missing at initialization. */
export function neutralStatistics(layer: NormalizingLayer): Record<string, unknown> {
  const { normalization } = layer
  const missing = statisticsOf(layer).filter((name) => layer[name] === undefined)
  if (typeof normalization === 'function' || missing.length === 0) return {}
  const values = missing.map((name) => [
    name,
    constantValue(neutral[normalization][name]!, [1, 1], { call: layer.className, name }),
  ])
  return { ...Object.fromEntries(values), neutralStatistics: true }
}

// --- Data -----------------------------------------------------------------------------------------------------------------

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

/** Data as it comes in under the labels of the layer; throws when formats or sizes differ. */
export function checkInput(X: ArrayInfo, shape: InputShape, call: string): ArrayInfo {
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
 * The data as a layer passes it on: labelled, then normalized. With mean m, standard deviation s, minimum a and maximum b:
 * zerocenter x - m; zscore (x - m) / s; rescale-symmetric (x - (a + b) / 2) / ((b - a) / 2); rescale-zero-one (x - a) / (b - a).
 * Where a divisor is 0, that is where the training data was constant, it counts as 1.
 */
export function normalize(layer: NormalizingLayer, data: DlArray, shape: InputShape): DlArray {
  const X = data.dims === '' ? label(data, shape.format, layer.className) : data
  checkInput(X, shape, layer.className)
  const { normalization } = layer
  if (normalization === 'none') return X
  if (typeof normalization === 'function') {
    const result = callUsers(() => normalization(X))
    return likeData(layer, result, X)
  }
  const combine = (names: readonly StatisticName[], value: (...statistics: number[]) => number) =>
    combined(
      names.map((name) => statistic(layer, name)),
      X,
      value,
    )
  const divisor = (x: number) => (x === 0 ? 1 : x)
  switch (normalization) {
    case 'zerocenter':
      return minusOperation.run({ A: X, B: combine(['mean'], (m) => m) })
    case 'zscore':
      return rdivideOperation.run({
        A: minusOperation.run({ A: X, B: combine(['mean'], (m) => m) }),
        B: combine(['standardDeviation'], divisor),
      })
    case 'rescale-symmetric':
      return rdivideOperation.run({
        A: minusOperation.run({ A: X, B: combine(['min', 'max'], (a, b) => (a + b) / 2) }),
        B: combine(['min', 'max'], (a, b) => divisor((b - a) / 2)),
      })
    case 'rescale-zero-one':
      return rdivideOperation.run({
        A: minusOperation.run({ A: X, B: combine(['min'], (a) => a) }),
        B: combine(['min', 'max'], (a, b) => divisor(b - a)),
      })
  }
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
