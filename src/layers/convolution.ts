import * as v from 'valibot'
import type { ArrayInfo } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { DimensionError, OptionError } from '../errors.js'
import type { PaddingValue } from '../operations/arrays/pad.js'
import { dlconvOperation } from '../operations/convolution/convolution.js'
import { product } from '../operations/convolution/convolution-geometry.js'
import { dlconv } from '../operations/convolution/dlconv.js'
import { defineLayer } from './layer-kind.js'
import { accepts, autoCount, derived, fixed, type NameValuePairs, positiveInteger } from './property.js'
import {
  checkWeightsAndBias,
  type WeightsAndBiasLayer,
  type WeightsAndBiasOptions,
  weightsAndBias,
  weightsAndBiasDisplay,
  weightsAndBiasProperties,
} from './weights-and-bias.js'
import {
  bracketText,
  edgesOf,
  listOf,
  type PaddingMode,
  type PaddingSize,
  paddingSizeCheck,
  paddingSizeOf,
  paddingText,
  perDimension,
  type Rank,
  readPadding,
  resolvedSamePadding,
  timesText,
  type WindowPadding,
  type WindowSize,
  windowedInput,
} from './windows.js'

/** Options of the convolution layers. */
export interface ConvolutionOptions extends WeightsAndBiasOptions {
  /** Pixels from one window to the next; default 1. */
  readonly stride?: WindowSize
  /** Pixels from one element of the filter to the next; default 1. */
  readonly dilationFactor?: WindowSize
  /** Pixels added at the edges; default 0. */
  readonly padding?: WindowPadding
  /** What the added pixels hold; default 0. */
  readonly paddingValue?: PaddingValue
  /** Channels of the input; default `'auto'`: taken from the input. */
  readonly numChannels?: 'auto' | number
}

interface ConvolutionLayer extends WeightsAndBiasLayer {
  readonly filterSize: WindowSize
  readonly numFilters: number
  readonly stride: WindowSize
  readonly dilationFactor: WindowSize
  /** `[left, right]`, `[top, bottom, left, right]` or two rows of three; empty until known when padding is `'same'`. */
  readonly paddingSize: PaddingSize | undefined
  readonly paddingMode: PaddingMode
  readonly paddingValue: PaddingValue
  readonly numChannels: 'auto' | number
}

/** What {@link convolution1dLayer} makes. */
export interface Convolution1dLayer extends ConvolutionLayer {
  readonly filterSize: number
  readonly stride: number
  readonly dilationFactor: number
}

/** What {@link convolution2dLayer} makes. */
export interface Convolution2dLayer extends ConvolutionLayer {
  readonly filterSize: readonly number[]
  readonly stride: readonly number[]
  readonly dilationFactor: readonly number[]
}

/** What {@link convolution3dLayer} makes. */
export interface Convolution3dLayer extends ConvolutionLayer {
  readonly filterSize: readonly number[]
  readonly stride: readonly number[]
  readonly dilationFactor: readonly number[]
}

function convolutionKind<L extends ConvolutionLayer>(rank: Rank, defaultName: string) {
  const functionName = `convolution${rank}dLayer`
  const one = rank === 1 ? 1 : Array<number>(rank).fill(1)
  const noPadding = paddingSizeOf({ before: Array<number>(rank).fill(0), after: Array<number>(rank).fill(0) })

  function channelsOf(layer: L, X: ArrayInfo): number {
    const { image } = windowedInput(X, rank, functionName)
    const channels = image.size[rank]!
    if (layer.numChannels !== 'auto' && layer.numChannels !== channels)
      throw new DimensionError({
        call: functionName,
        expects: `${layer.numChannels} channels (numChannels)`,
        got: `${channels} in ${describe(X)}`,
        remedy: `Give numChannels ${channels} and weights for them, or 'auto'.`,
      })
    return channels
  }

  const windows = (layer: L) => ({
    stride: layer.stride,
    dilationFactor: layer.dilationFactor,
    padding: layer.paddingMode === 'manual' ? edgesOf(layer.paddingSize!) : layer.paddingMode,
  })

  const taps = (layer: L) => product(listOf(layer.filterSize))

  return defineLayer<L>({
    functionName,
    className: `Convolution${rank}DLayer`,
    typeName: `${rank}-D Convolution`,
    defaultName,
    positional: { names: ['filterSize', 'numFilters'], required: 2 },
    description(layer) {
      const channels = layer.numChannels === 'auto' ? '' : `×${layer.numChannels}`
      const dilation = listOf(layer.dilationFactor).some((step) => step !== 1)
        ? `, dilation factor ${bracketText(layer.dilationFactor)}, and`
        : ' and'
      return `${layer.numFilters} ${timesText(layer.filterSize)}${channels} convolutions with stride ${bracketText(layer.stride)}${dilation} ${paddingText(layer.paddingMode, layer.paddingSize)}`
    },
    properties: [
      fixed('filterSize', perDimension(rank, 'It is the extent of each filter in pixels.')),
      fixed('numFilters', accepts(positiveInteger, 'a positive whole number', 'Each filter makes one channel.')),
      fixed('stride', perDimension(rank, 'It is the step from window to window in pixels.'), one),
      fixed('dilationFactor', perDimension(rank, "It is the step between a filter's elements in pixels."), one),
      derived('paddingSize', paddingSizeCheck(rank), noPadding),
      derived(
        'paddingMode',
        accepts(v.picklist(['manual', 'same', 'causal']), "'manual', 'same' or 'causal'", 'Give padding.'),
        'manual',
      ),
      fixed(
        'paddingValue',
        accepts(
          v.union([
            v.pipe(v.number(), v.finite()),
            v.picklist(['replicate', 'symmetric-include-edge', 'symmetric-exclude-edge']),
          ]),
          "a number, 'replicate', 'symmetric-include-edge' or 'symmetric-exclude-edge'",
          'The default is 0.',
        ),
        0,
      ),
      autoCount('numChannels', 'channels'),
      ...weightsAndBiasProperties,
    ],
    arguments: [
      {
        name: 'padding',
        apply(value, given, place) {
          const { mode, edges } = readPadding(value, rank, place, rank === 1)
          const reach = (Number(given.filterSize) - 1) * Number(given.dilationFactor)
          const known = mode === 'causal' ? { before: [reach], after: [0] } : edges
          return { paddingMode: mode, paddingSize: known && paddingSizeOf(known) }
        },
      },
    ],
    display: () => [
      { properties: ['name'] },
      {
        title: 'Hyperparameters',
        properties: [
          'filterSize',
          'numChannels',
          'numFilters',
          'stride',
          'dilationFactor',
          'paddingMode',
          'paddingSize',
          'paddingValue',
        ],
      },
      weightsAndBiasDisplay,
    ],
    learnables: weightsAndBias(
      {
        size: (layer, [X]) => [...listOf(layer.filterSize), channelsOf(layer, X!), layer.numFilters],
        fans: (layer, [X]) => ({ fanIn: taps(layer) * channelsOf(layer, X!), fanOut: taps(layer) * layer.numFilters }),
      },
      (layer) => [...Array<number>(rank).fill(1), layer.numFilters],
    ),
    check(layer, call) {
      if (layer.paddingMode === 'manual' && layer.paddingSize === undefined)
        throw new OptionError({
          call,
          expects: "paddingSize with paddingMode 'manual'",
          got: 'none',
          remedy: 'Give padding.',
        })
      const { filterSize, numChannels, numFilters } = layer
      checkWeightsAndBias(
        layer,
        [...listOf(filterSize), numChannels === 'auto' ? 'channels' : numChannels, numFilters],
        { order: 'filter size by channels by number of filters', outputs: numFilters, output: 'filter' },
        call,
      )
    },
    resolve(layer, [X]) {
      const numChannels = channelsOf(layer, X!)
      if (layer.paddingMode !== 'same') return { numChannels }
      const dilation = listOf(layer.dilationFactor)
      const reach = listOf(layer.filterSize).map((extent, d) => (extent - 1) * dilation[d]! + 1)
      return { numChannels, paddingSize: resolvedSamePadding(X!, rank, reach, listOf(layer.stride), functionName) }
    },
    output(layer, [X], { Weights, Bias }) {
      const { image, restore } = windowedInput(X!, rank, functionName)
      return [restore(dlconvOperation.infer({ X: image, weights: Weights!, bias: Bias! }, windows(layer))[0]!)]
    },
    block: (layer) => (layer.paddingValue === 0 ? { step: 'convolution', rank, options: windows(layer) } : undefined),
    compute(layer, [X], { Weights, Bias }) {
      const { over } = windowedInput(X!, rank, functionName)
      const weightsFormat = over.includes('T') ? `${over}CU` : undefined
      return [dlconv(X!, Weights!, Bias!, { ...windows(layer), paddingValue: layer.paddingValue, weightsFormat })]
    },
  })
}

const kind1d = convolutionKind<Convolution1dLayer>(1, 'conv1d')
const kind2d = convolutionKind<Convolution2dLayer>(2, 'conv')
const kind3d = convolutionKind<Convolution3dLayer>(3, 'conv3d')

/**
 * Convolution layer over one dimension: the S of `SCB`, the T of `CBT`. Each of `numFilters` filters of `filterSize` pixels makes
 * one output channel, extent floor((extent + padding - reach) / stride) + 1 with reach = (filterSize - 1) dilationFactor + 1.
 * Weights are filterSize-by-channels-by-filters, the bias 1-by-filters.
 *
 * Options as one object or as name-value pairs; `padding` also `'causal'`. Errors: an {@link OptionError} for options outside
 * what is accepted. Source: MATLAB, `convolution1dLayer`.
 */
export function convolution1dLayer(
  filterSize: WindowSize,
  numFilters: number,
  options?: ConvolutionOptions,
): Convolution1dLayer
export function convolution1dLayer(
  filterSize: WindowSize,
  numFilters: number,
  ...pairs: NameValuePairs
): Convolution1dLayer
export function convolution1dLayer(...given: unknown[]): Convolution1dLayer {
  return kind1d.create(given)
}

/**
 * Convolution layer over two dimensions: the S of `SSCB` and `SSCBT`, S and T of `SCBT`. Each of `numFilters` filters of
 * `filterSize` pixels (one number, or [height, width]) makes one output channel; weights are height-by-width-by-channels-by-
 * filters, the bias 1-by-1-by-filters. Extents as for {@link convolution1dLayer}.
 *
 * Options as one object or as name-value pairs. Errors: an {@link OptionError} for options outside what is accepted.
 * Source: MATLAB, `convolution2dLayer`.
 */
export function convolution2dLayer(
  filterSize: WindowSize,
  numFilters: number,
  options?: ConvolutionOptions,
): Convolution2dLayer
export function convolution2dLayer(
  filterSize: WindowSize,
  numFilters: number,
  ...pairs: NameValuePairs
): Convolution2dLayer
export function convolution2dLayer(...given: unknown[]): Convolution2dLayer {
  return kind2d.create(given)
}

/**
 * Convolution layer over three dimensions: the S of `SSSCB`, S and T of `SSCBT`; otherwise as {@link convolution2dLayer}, with
 * [height, width, depth]. Source: MATLAB, `convolution3dLayer`.
 */
export function convolution3dLayer(
  filterSize: WindowSize,
  numFilters: number,
  options?: ConvolutionOptions,
): Convolution3dLayer
export function convolution3dLayer(
  filterSize: WindowSize,
  numFilters: number,
  ...pairs: NameValuePairs
): Convolution3dLayer
export function convolution3dLayer(...given: unknown[]): Convolution3dLayer {
  return kind3d.create(given)
}

export const convolutionKinds = [kind1d, kind2d, kind3d]
