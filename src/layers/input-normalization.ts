import * as v from 'valibot'
import type { DlArray } from '../array/dlarray.js'
import { normalized, numel } from '../array/format.js'
import { OptionError } from '../errors.js'
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

// How image, feature and sequence input layers normalize: their properties, the formulas, and the statistics of the training
// data that these need.

export type NormalizationName = 'zerocenter' | 'zscore' | 'rescale-symmetric' | 'rescale-zero-one' | 'none'
/** Normalizes data of the layer's format; may use any operation. */
export type NormalizationFunction = (X: DlArray) => DlArray
/** What an input layer does to the data: one of MATLAB's names, or a function. */
export type Normalization = NormalizationName | NormalizationFunction
/** Over what an input layer's statistics are taken; the option says what each means. */
export type NormalizationDimension = 'auto' | 'channel' | 'element' | 'all'
export type StatisticName = (typeof statisticNames)[number]

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

/** What a normalization does, as functions of its statistics in their order. */
interface NormalizationRule {
  /** The statistics it uses, in the order in which they print, with the values that change nothing. */
  readonly neutral: Partial<Readonly<Record<StatisticName, number>>>
  /** What is subtracted. */
  readonly shift?: (...statistics: number[]) => number
  /** What is divided by. */
  readonly divisor?: (...statistics: number[]) => number
}

/**
 * With mean m, standard deviation s, minimum a and maximum b: zerocenter x - m; zscore (x - m) / s; rescale-symmetric
 * (x - (a + b) / 2) / ((b - a) / 2); rescale-zero-one (x - a) / (b - a).
 */
export const normalizationRules: Readonly<Record<NormalizationName, NormalizationRule>> = {
  zerocenter: { neutral: { mean: 0 }, shift: (m) => m! },
  zscore: { neutral: { mean: 0, standardDeviation: 1 }, shift: (m) => m!, divisor: (_, s) => s! },
  'rescale-symmetric': {
    neutral: { max: 1, min: -1 },
    shift: (b, a) => (a! + b!) / 2,
    divisor: (b, a) => (b! - a!) / 2,
  },
  'rescale-zero-one': { neutral: { max: 1, min: 0 }, shift: (_, a) => a!, divisor: (b, a) => b! - a! },
  none: { neutral: {} },
}

const statisticNames = ['mean', 'standardDeviation', 'min', 'max'] as const

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
  const names = Object.keys(normalizationRules) as NormalizationName[]
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
    ...statisticNames.map(numeric),
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

/** The statistics that a layer's normalization uses. */
export function statisticsOf({ normalization }: NormalizingLayer): readonly StatisticName[] {
  if (typeof normalization === 'function') return []
  return Object.keys(normalizationRules[normalization].neutral) as StatisticName[]
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
  for (const name of statisticNames) {
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
  return (
    storedValue(layer, 'neutralStatistics') === true && value.item() === normalizationRules[normalization].neutral[name]
  )
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
  for (const name of statisticNames) if (values[name] !== undefined) layer[name] = values[name]
  replaceValues(layer, { neutralStatistics: false })
}

/** Statistics that change nothing, for those that are missing at initialization. */
export function neutralStatistics(layer: NormalizingLayer): Record<string, unknown> {
  const { normalization } = layer
  const missing = statisticsOf(layer).filter((name) => layer[name] === undefined)
  if (typeof normalization === 'function' || missing.length === 0) return {}
  const values = missing.map((name) => [
    name,
    constantValue(normalizationRules[normalization].neutral[name]!, [1, 1], { call: layer.className, name }),
  ])
  return { ...Object.fromEntries(values), neutralStatistics: true }
}
