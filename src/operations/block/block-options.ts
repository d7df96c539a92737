import type { ArrayInfo } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { asText, DimensionError, OptionError } from '../../errors.js'
import { channelLayout } from '../arrays/layout.js'
import { dlconvOperation } from '../convolution/convolution.js'
import {
  type ConvolutionGeometry,
  convolutionGeometry,
  imageLayout,
  type Padding,
  type PerDimension,
  weightsLayout,
} from '../convolution/convolution-geometry.js'
import { batchnormGivenOperation } from '../normalization/batchnorm-given.js'
import { batchnormWithStatisticsOperation } from '../normalization/batchnorm-training.js'
import { groupnormOperation, type NumGroups } from '../normalization/groupnorm.js'
import { epsilonFor } from '../normalization/normalization.js'
import { resultType } from '../operation.js'
import { type PoolingGeometry, type PoolingOptions, poolingGeometry } from '../pooling/pooling-geometry.js'

// What a block is: convolution, normalization, activation, pooling, in this order, each of which may be missing.

export interface BlockOptions {
  /** Of the convolution, which is there when weights are given; as in `dlconv`. */
  readonly stride: PerDimension
  readonly dilationFactor: PerDimension
  readonly padding: Padding
  /**
   * Of the normalization, which is there when offset and scale are given: how many groups of channels are normalized in each
   * observation, as in `groupnorm`; `'batch'`: each channel across all observations, as in `batchnormWithStatistics`, where mu
   * and sigmaSq are those of the data set; `'given'`: each channel by mu and sigmaSq, as in `batchnorm`.
   */
  readonly numGroups: NumGroups | 'batch' | 'given'
  readonly epsilon: number
  readonly meanDecay: number
  readonly varianceDecay: number
  readonly activation: 'none' | 'relu' | 'leakyrelu'
  /** Factor of negative elements for `'leakyrelu'`, 0 or more. */
  readonly leak: number
  readonly pooling: 'none' | 'max' | 'average'
  /** Of the pooling, over all S. */
  readonly poolSize: PoolingOptions['poolSize']
  readonly poolStride: PoolingOptions['stride']
  readonly poolPadding: PoolingOptions['padding']
  /** Of average pooling: 0, or `'mean'` to leave padding out. */
  readonly paddingValue: 0 | 'mean'
  /** Whether to keep what the backward pass reads. */
  readonly keep: boolean
}

/** What one layer is in a block. */
export interface BlockPart {
  readonly step: 'convolution' | 'normalization' | 'activation' | 'pooling'
  /** S dimensions of its inputs, where it asks for a number of them. */
  readonly rank?: number
  readonly options: Partial<BlockOptions>
  /** Of batch normalization, the state parameters that hold mean and variance: used in prediction, joined to in training. */
  readonly state?: { readonly mu: string; readonly sigmaSq: string }
}

export const defaultBlock: BlockOptions = {
  stride: 1,
  dilationFactor: 1,
  padding: 0,
  numGroups: 'channel-wise',
  epsilon: 1e-5,
  meanDecay: 0.1,
  varianceDecay: 0.1,
  activation: 'none',
  leak: 0.01,
  pooling: 'none',
  poolSize: 1,
  poolStride: 1,
  poolPadding: 0,
  paddingValue: 0,
  keep: true,
}

/** The arrays of a block: X, and what its steps need. */
export interface BlockInputs<T> {
  readonly X: T
  readonly weights?: T
  readonly bias?: T
  readonly offset?: T
  readonly scale?: T
  /** Mean and variance of each channel, for the normalizations that use them. */
  readonly mu?: T
  readonly sigmaSq?: T
}

/** Inputs of a block that have a gradient, besides X. */
export type BlockParameter = 'weights' | 'bias' | 'offset' | 'scale'

export interface BlockPlan {
  readonly convolution: ConvolutionGeometry | undefined
  /** Groups of channels within an observation, or a channel across all: by the batch's own statistics, or by given ones. */
  readonly normalization: 'none' | 'within' | 'across' | 'given'
  /** Channels that are normalized together; 1 without normalization and across observations. */
  readonly groupChannels: number
  readonly epsilon: number
  readonly meanDecay: number
  readonly varianceDecay: number
  readonly activation: BlockOptions['activation']
  readonly leak: number
  readonly pooling: { readonly kind: 'max' | 'average'; readonly geometry: PoolingGeometry } | undefined
  readonly keep: boolean
  /** Elements of a plane after the convolution, channels and observations of it. */
  readonly inner: number
  readonly channels: number
  readonly observations: number
  /** What the convolution makes; X without one. */
  readonly Z: ArrayInfo
  readonly Y: ArrayInfo
}

/** Planes that are pooled are held in the working memory of a thread, up to three times. */
const LARGEST_POOLED_PLANE = 131072
/** Fewer and larger groups than this are better shared between threads part by part, as `instancenorm` does. */
const FEW_GROUPS = 16
const LARGE_GROUP = 16384
/** Groups of no more elements are normalized faster many together, as `instancenorm` and `batchnorm` do. */
const TINY_GROUP = 64
/** So much smaller may a plane become by the convolution and its step. */
const LARGEST_STEP = 8

/** Checks a block and describes what it does. */
export function blockPlan(inputs: BlockInputs<ArrayInfo>, options: BlockOptions, call: string): BlockPlan {
  const { X, weights, bias, offset, scale, mu, sigmaSq } = inputs
  const { activation, leak, pooling, paddingValue, keep, epsilon } = options
  if (!['none', 'relu', 'leakyrelu'].includes(activation) || !['none', 'max', 'average'].includes(pooling))
    throw new OptionError({
      call,
      expects: "the activation 'none', 'relu' or 'leakyrelu' and the pooling 'none', 'max' or 'average'",
      got: asText({ activation, pooling }),
      remedy: 'Leave out what the block does not have.',
    })
  if (!(leak >= 0 && Number.isFinite(leak)))
    throw new OptionError({
      call,
      expects: 'a leak of 0 or more',
      got: String(leak),
      remedy: 'Compute the steps one by one for a negative factor.',
    })
  if (!isFormat(X))
    throw new DimensionError({
      call,
      expects: 'an array with one to three S dimensions, C, and at most a B',
      got: describe(X),
      remedy: 'Compute the steps one by one for other formats.',
    })
  const type = resultType([X, weights, bias, offset, scale, mu, sigmaSq])
  let Z: ArrayInfo = { size: X.size, dims: X.dims, type }
  let convolution: ConvolutionGeometry | undefined
  if (weights) {
    // checks channels and bias as well
    Z = dlconvOperation.infer(bias ? { X, weights, bias } : { X, weights }, windowsOf(options))[0]!
    const image = imageLayout(X, call)
    const filters = weightsLayout(weights, image.extents.length, 'channels per group, filters per group', call)
    convolution = convolutionGeometry(image, filters, windowsOf(options), call)
  }
  const { inner, channels, observations } = channelLayout(Z, call)
  const { normalization, groupChannels } = normalizationOf({ ...inputs, X: Z }, options, channels)
  let Y: ArrayInfo = { ...Z, type }
  let pool: BlockPlan['pooling']
  if (pooling !== 'none') {
    const { geometry, size } = poolingGeometry(Z, poolingOf(options), paddingValue === 'mean', call)
    pool = { kind: pooling, geometry }
    Y = { size, dims: Z.dims, type }
    if (numel(geometry.image) > LARGEST_POOLED_PLANE || numel(geometry.output) > LARGEST_POOLED_PLANE)
      throw new DimensionError({
        call,
        expects: `planes of at most ${LARGEST_POOLED_PLANE} elements to pool`,
        got: describe(Z),
        remedy: 'Compute the steps one by one for larger ones.',
      })
  }
  return {
    convolution,
    normalization,
    groupChannels,
    epsilon: epsilonFor(type, epsilon),
    meanDecay: options.meanDecay,
    varianceDecay: options.varianceDecay,
    activation,
    leak,
    pooling: pool,
    keep,
    inner,
    channels,
    observations,
    Z: { ...Z, type },
    Y,
  }
}

/** What is normalized together, after a check of what it needs. `X` is what the convolution makes. */
function normalizationOf(
  { X, offset, scale, mu, sigmaSq }: BlockInputs<ArrayInfo>,
  { numGroups, epsilon, meanDecay, varianceDecay }: BlockOptions,
  channels: number,
): Pick<BlockPlan, 'normalization' | 'groupChannels'> {
  if (!offset || !scale) return { normalization: 'none', groupChannels: 1 }
  if (numGroups === 'given') {
    batchnormGivenOperation.infer({ X, offset, scale, mu: mu!, sigmaSq: sigmaSq! }, { epsilon })
    return { normalization: 'given', groupChannels: 1 }
  }
  if (numGroups === 'batch') {
    const dataset = mu && sigmaSq && { datasetMu: mu, datasetSigmaSq: sigmaSq }
    const decays = dataset && { meanDecay, varianceDecay }
    batchnormWithStatisticsOperation.infer({ X, offset, scale, ...dataset }, { epsilon, ...decays })
    return { normalization: 'across', groupChannels: 1 }
  }
  groupnormOperation.infer({ X, offset, scale }, { numGroups, epsilon })
  return { normalization: 'within', groupChannels: groupSize(numGroups, channels) }
}

/** Channels of a group, of so many. */
function groupSize(numGroups: BlockOptions['numGroups'], channels: number): number {
  if (numGroups === 'channel-wise' || numGroups === 'batch' || numGroups === 'given') return 1
  return numGroups === 'all-channels' ? Math.max(channels, 1) : Math.max(channels / numGroups, 1)
}

/** What of an array the decision looks at. */
type Shape = Pick<ArrayInfo, 'size' | 'dims'>

function isFormat({ dims }: Shape): boolean {
  return /^S{1,3}CB?$/.test(dims)
}

/** Whether the steps can run as one block, and gain by it. Inputs that do not fit one another may throw. */
export function blockPays({ X, weights, offset }: BlockInputs<Shape>, options: BlockOptions): boolean {
  if (!isFormat(X) || !(options.leak >= 0)) return false
  if (options.pooling === 'none' && !offset && !weights) return false
  // With as many observations planes are many, and small ones stay small: no closer look is needed.
  const channel = X.dims.indexOf('C')
  const observations = X.dims.endsWith('B') ? X.size[channel + 1]! : 1
  const plane = numel(X.size.slice(0, channel))
  if (observations >= FEW_GROUPS && plane <= LARGE_GROUP && plane > LARGEST_STEP * TINY_GROUP) return true
  const info = (array: Shape) => ({ size: array.size, dims: array.dims, type: 'single' }) as const
  const Z = weights ? dlconvOperation.infer({ X: info(X), weights: info(weights) }, windowsOf(options))[0]! : info(X)
  const { inner, channels } = channelLayout(Z, 'block')
  const together = offset ? groupSize(options.numGroups, channels) : 1
  if ((channels / together) * observations < FEW_GROUPS && inner * together > LARGE_GROUP) return false
  if (offset && options.numGroups !== 'given' && together === 1 && inner <= TINY_GROUP) return false
  if (options.pooling === 'none') return true
  if (inner > LARGEST_POOLED_PLANE) return false
  const pooled = poolingGeometry(Z, poolingOf(options), false, 'block')
  return numel(pooled.geometry.output) <= LARGEST_POOLED_PLANE
}

/** The options of the convolution. */
export function windowsOf({ stride, dilationFactor, padding }: BlockOptions) {
  return { stride, dilationFactor, padding }
}

/** The options of the pooling. */
export function poolingOf({ poolSize, poolStride, poolPadding }: BlockOptions): PoolingOptions {
  return { poolSize, stride: poolStride, padding: poolPadding, poolFormat: '' }
}
