import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { isdlarray } from '../../array/dlarray.js'
import { positionsOf } from '../../array/format.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import { OptionError } from '../../errors.js'
import { type ChannelLayout, checkPerChannel } from '../arrays/layout.js'
import { launchCopy } from '../arrays/movement.js'
import { relabelOperation } from '../arrays/relabel.js'
import { call, callFor, type DataFormatOption, scalar } from '../call.js'
import {
  minusOperation,
  negated,
  plusOperation,
  rdivideOperation,
  scaled,
  timesOperation,
} from '../elementwise/arithmetic.js'
import { sqrtOperation } from '../elementwise/sqrt.js'
import { type GradientContext, operation, type Sample } from '../operation.js'
import { sumOperation } from '../reductions/sum.js'
import { launchGiven, launchGrouped, type NormalizationPlan } from './grouped-normalization.js'
import { statisticsSize } from './normalization.js'
import {
  type Groups,
  momentGradient,
  normalizationGradients,
  normalizationInputs,
  normalizationRule,
  referenceNormalization,
  shapedLike,
} from './normalization-operation.js'

// Batch normalization by the statistics of its input, which it can join to those of a data set, and by statistics given.

/** A channel is one group: observations count as further elements of it. */
function channelGroups({ inner, channels, observations, outer }: ChannelLayout): Groups {
  return { inner, channels, observations: 1, outer: observations * outer, groupChannels: 1, positions: 1 }
}

interface Decays {
  readonly meanDecay: number
  readonly varianceDecay: number
}

interface BatchPlan extends NormalizationPlan, Decays {}

/** The part that new statistics have in what is given back: all of it where there are none of a data set. */
function decayOf(value: number | undefined, name: string, isUpdate: boolean, call: string): number {
  if (value === undefined) return isUpdate ? 0.1 : 1
  if (!(isUpdate && value >= 0 && value <= 1))
    throw new OptionError({
      call,
      expects: isUpdate ? `a ${name} from 0 to 1` : `${name} only with the statistics of a data set`,
      got: String(value),
      remedy: 'It is the part of the new statistics in the updated ones; 0.1 is the default.',
    })
  return value
}

/** Moves between statistics as kernels keep them, and mean and variance. */
export function launchMoments(
  wasm: WasmBackend,
  kernel: 'batchMoments' | 'batchStatistics',
  at: { statistics: number; mu: number; sigmaSq: number; datasetMu?: number; datasetSigmaSq?: number },
  { channels, epsilon, meanDecay, varianceDecay }: Pick<NormalizationPlan, 'channels' | 'epsilon'> & Partial<Decays>,
): void {
  const { statistics, mu, sigmaSq, datasetMu = 0, datasetSigmaSq = 0 } = at
  wasm.launch(
    kernel,
    {
      statistics,
      mu,
      sigmaSq,
      datasetMu,
      datasetSigmaSq,
      epsilon,
      meanDecay: meanDecay ?? 1,
      varianceDecay: varianceDecay ?? 1,
    },
    { items: channels, grain: 4096 },
  )
}

/**
 * What is given back where there is nothing to measure: the statistics of the data set as they are, NaN where there are none.
 * Addresses in the heap.
 */
export function launchNoMoments(
  wasm: WasmBackend,
  at: { statistics: number; mu: number; sigmaSq: number; datasetMu: number; datasetSigmaSq: number },
  plan: Pick<NormalizationPlan, 'channels' | 'epsilon'>,
): void {
  const { channels } = plan
  for (const y of [at.mu, at.sigmaSq]) wasm.launch('fill', { y, value: Number.NaN }, { items: channels, grain: 65536 })
  launchMoments(wasm, 'batchStatistics', at, plan)
  const keep = (x: number, y: number) => {
    if (x !== 0) launchCopy(wasm, x, y, { size: [channels], xSteps: [1], ySteps: [1] })
  }
  keep(at.datasetMu, at.mu)
  keep(at.datasetSigmaSq, at.sigmaSq)
}

type TrainingInput = 'X' | 'offset' | 'scale' | 'datasetMu' | 'datasetSigmaSq'
type TrainingOutput = 'Y' | 'mu' | 'sigmaSq' | 'statistics'
type TrainingSaved = 'X' | 'scale' | 'statistics'

interface TrainingOptions {
  readonly epsilon: number
  /** Default, with statistics of a data set: 0.1. */
  readonly meanDecay?: number | undefined
  readonly varianceDecay?: number | undefined
}

type TrainingContext = GradientContext<
  TrainingInput,
  'datasetMu' | 'datasetSigmaSq',
  TrainingOutput,
  TrainingOptions,
  BatchPlan,
  TrainingSaved
>

/**
 * Normalizes each channel over all other dimensions. Also gives its mean and variance, or those of a data set joined with
 * them, which are constants of the derivative; and the numbers that describe a channel.
 */
function trainingOperation(
  name: string,
  options: TrainingOptions,
  samples: () => readonly Sample<TrainingInput, TrainingOptions>[],
) {
  return operation({
    name,
    inputs: ['X', 'offset', 'scale', 'datasetMu', 'datasetSigmaSq'],
    optional: ['datasetMu', 'datasetSigmaSq'],
    outputs: ['Y', 'mu', 'sigmaSq', 'statistics'],
    options,
    rule({ X, offset, scale, datasetMu, datasetSigmaSq }, { epsilon, meanDecay, varianceDecay }) {
      const { Y, plan } = normalizationRule({ X, offset, scale }, epsilon, name, channelGroups)
      const { channels } = plan
      if (datasetMu) checkPerChannel(datasetMu, 'datasetMu', channels, X, name)
      if (datasetSigmaSq) checkPerChannel(datasetSigmaSq, 'datasetSigmaSq', channels, X, name)
      const { type } = Y
      const moment: ArrayInfo = { size: [channels, 1], dims: '', type }
      return {
        outputs: [Y, moment, moment, { size: statisticsSize(plan), dims: '', type }],
        plan: {
          ...plan,
          meanDecay: decayOf(meanDecay, 'meanDecay', datasetMu !== undefined, name),
          varianceDecay: decayOf(varianceDecay, 'varianceDecay', datasetSigmaSq !== undefined, name),
        } as BatchPlan,
      }
    },
    saves: ['X', 'scale', 'statistics'],
    gradient: {
      X: gradientOfX,
      offset: (context) => normalizationGradients(context).dOffset,
      scale: (context) => normalizationGradients(context).dScale,
      datasetMu: null,
      datasetSigmaSq: null,
    },
    kernels: {
      reference({ inputs: { X, offset, scale, datasetMu, datasetSigmaSq }, outputs, plan }) {
        const { Y, mu, sigmaSq, statistics } = outputs
        referenceNormalization({ X, offset, scale }, { Y, statistics }, plan)
        for (let c = 0; c < plan.channels; c++) {
          const [oldMean, oldVariance] = [datasetMu?.[c], datasetSigmaSq?.[c]]
          const variance = Math.max(0, statistics[3 * c + 2]! ** -2 - plan.epsilon)
          mu[c] = joined(statistics[3 * c]!, oldMean, plan.meanDecay, plan)
          sigmaSq[c] = joined(variance, oldVariance, plan.varianceDecay, plan)
        }
      },
      wasm({ inputs: { X: x, offset, scale, datasetMu, datasetSigmaSq }, outputs, plan, wasm }) {
        const { Y: y, mu, sigmaSq, statistics } = outputs
        const at = { statistics, mu, sigmaSq, datasetMu, datasetSigmaSq }
        if (isEmpty(plan)) {
          launchNoMoments(wasm, at, plan)
          return
        }
        launchGrouped(wasm, { x, y, scale, offset, statistics }, plan)
        launchMoments(wasm, 'batchMoments', at, plan)
      },
    },
    samples,
  })
}

function isEmpty({ inner, outer }: BatchPlan): boolean {
  return inner * outer === 0
}

/** A new value joined to an old one, if there is any; nothing was measured of an array without elements. */
function joined(value: number, old: number | undefined, decay: number, plan: BatchPlan): number {
  if (old === undefined) return value
  return isEmpty(plan) ? old : old + decay * (value - old)
}

/** By the statistics of X. */
export const batchnormOperation = trainingOperation('batchnorm', { epsilon: 1e-5 }, () => [
  { inputs: normalizationInputs([5, 3, 4, 2], 'SSCB', 4) },
  { inputs: normalizationInputs([9, 2, 2, 3], 'SSCB', 2), options: { epsilon: 0.1 } },
  { inputs: normalizationInputs([6, 3, 2], 'SCB', 3) },
  { inputs: normalizationInputs([3, 4], 'CB', 3) },
  { inputs: normalizationInputs([3, 2, 7], 'CBT', 3) },
  { inputs: normalizationInputs([2, 3, 2, 3, 2, 2], 'SSSCBT', 3) },
  { inputs: normalizationInputs([7, 3], 'SC', 3) },
])

/** The same, where those of a data set may be joined with them. */
export const batchnormWithStatisticsOperation = trainingOperation(
  'batchnormWithStatistics',
  { epsilon: 1e-5, meanDecay: undefined, varianceDecay: undefined },
  () => [
    { inputs: normalizationInputs([4, 3, 2], 'SCB', 3), options: { epsilon: 0.1 } },
    ...[3, 0].map((observations) => ({
      inputs: {
        ...normalizationInputs([2, 3, observations], 'SCB', 3),
        datasetMu: { size: [3, 1] },
        datasetSigmaSq: { size: [3], format: 'C', values: (i: number) => 0.5 + i },
      },
      options: { meanDecay: 0.3, varianceDecay: 0.6 },
    })),
  ],
)

function gradientOfX(context: TrainingContext): DlArray {
  const { gradients, plan, saved, inputs } = context
  const { dX } = normalizationGradients(context)
  const { mu, sigmaSq } = gradients
  if (!mu && !sigmaSq) return dX
  const info = { size: [plan.channels, 1], dims: '', type: inputs.X.type }
  const through = (gradient: DlArray | undefined, decay: number) =>
    gradient && scaled(shapedLike(gradient, info), decay)
  const more = momentGradient(saved.X, through(mu, plan.meanDecay), through(sigmaSq, plan.varianceDecay), plan)
  return plusOperation.run({ A: dX, B: more })
}

type GivenInput = 'X' | 'offset' | 'scale' | 'mu' | 'sigmaSq'

interface GivenPlan extends NormalizationPlan {
  /** The dimensions that a channel has all of, from 1. */
  readonly rest: readonly number[]
}

type GivenContext = GradientContext<
  GivenInput,
  never,
  'Y',
  { epsilon: number },
  GivenPlan,
  Exclude<GivenInput, 'offset'>
>

/** Normalizes each channel by the mean and variance given. */
export const batchnormGivenOperation = operation({
  name: 'batchnorm',
  inputs: ['X', 'offset', 'scale', 'mu', 'sigmaSq'],
  outputs: ['Y'],
  options: { epsilon: 1e-5 },
  rule({ X, offset, scale, mu, sigmaSq }, { epsilon }) {
    const { Y, plan } = normalizationRule({ X, offset, scale }, epsilon, 'batchnorm', channelGroups)
    checkPerChannel(mu, 'mu', plan.channels, X, 'batchnorm')
    checkPerChannel(sigmaSq, 'sigmaSq', plan.channels, X, 'batchnorm')
    return { outputs: [Y], plan: { ...plan, rest: positionsOf(X.dims, 'SBTU').map((d) => d + 1) } }
  },
  saves: ['X', 'scale', 'mu', 'sigmaSq'],
  gradient: {
    X: (context) => timesOperation.run({ A: context.gradient, B: given(context).factor }),
    offset: (context) => shapedLike(given(context).dOffset, context.inputs.offset),
    scale: (context) => shapedLike(given(context).dScale, context.inputs.scale),
    mu: (context) => {
      const { factor, dOffset } = given(context)
      return shapedLike(negated(timesOperation.run({ A: dOffset, B: factor })), context.inputs.mu)
    },
    sigmaSq: (context) => {
      const { factor, dScale, deviation } = given(context)
      const product = timesOperation.run({ A: dScale, B: factor })
      return shapedLike(scaled(rdivideOperation.run({ A: product, B: deviation }), -0.5), context.inputs.sigmaSq)
    },
  },
  kernels: {
    reference({ inputs: { X, offset, scale, mu, sigmaSq }, outputs: { Y }, plan }) {
      const { inner, channels, outer, epsilon } = plan
      for (let i = 0; i < inner * channels * outer; i++) {
        const c = Math.floor(i / inner) % channels
        Y[i] = (scale[c]! * (X[i]! - mu[c]!)) / Math.sqrt(sigmaSq[c]! + epsilon) + offset[c]!
      }
    },
    wasm({ inputs: { X: x, offset, scale, mu, sigmaSq }, outputs: { Y: y }, plan, wasm }) {
      wasm.withTemporary(12 * plan.channels, (statistics) => {
        launchMoments(wasm, 'batchStatistics', { statistics, mu, sigmaSq }, plan)
        launchGiven(wasm, { x, y, scale, offset, statistics }, plan)
      })
    },
  },
  samples: () =>
    (
      [
        [[5, 3, 4, 2], 'SSCB', 4],
        [[2, 3], 'CB', 2],
        [[17, 3, 2], 'SCB', 3],
        [[2, 3, 2, 3], 'SCBT', 3],
        [[1, 2, 2, 2], 'SSCB', 2],
      ] as const
    ).map(([size, format, channels]) => ({
      inputs: {
        ...normalizationInputs(size, format, channels),
        mu: { size: [channels, 1] },
        sigmaSq: { size: [channels], format: 'C', values: (i: number) => 0.4 + i },
      },
      options: { epsilon: 0.01 },
    })),
})

/**
 * With xhat = (x - mu) / deviation: factor = scale / deviation, dx = dy * factor, doffset = sum(dy), dscale = sum(dy * xhat),
 * dmu = -doffset * factor, dsigmaSq = -dscale * scale / (2 deviation²). Made of differentiable operations.
 */
function given({ gradient, saved: { X, scale, mu, sigmaSq }, plan, shared }: GivenContext) {
  return shared(() => {
    const perChannel = (array: DlArray) => relabelOperation.run({ X: array }, { size: [plan.channels], dims: 'C' })
    const summed = (array: DlArray) => perChannel(sumOperation.run({ X: array }, { over: plan.rest }))
    const shifted = plusOperation.run({ A: perChannel(sigmaSq), B: scalar(plan.epsilon, sigmaSq.underlyingType) })
    const deviation = sqrtOperation.run({ X: shifted })
    const centred = minusOperation.run({ A: X, B: perChannel(mu) })
    const product = timesOperation.run({ A: gradient, B: centred })
    return {
      deviation,
      factor: rdivideOperation.run({ A: perChannel(scale), B: deviation }),
      dOffset: summed(gradient),
      dScale: rdivideOperation.run({ A: summed(product), B: deviation }),
    }
  })
}

/** Options of {@link batchnorm}. */
export interface BatchnormOptions extends DataFormatOption {
  /** Added to the variance, positive; default 1e-5. */
  readonly epsilon?: number
}

/**
 * Batch normalization: normalizes each channel over the B, S, T and U dimensions, then scales and shifts it,
 * y = scale * (x - mu) / sqrt(sigmaSq + epsilon) + offset. In training by the mean and the biased variance of X itself; in
 * prediction by those given as `mu` and `sigmaSq`.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `offset`, `scale` | one element per channel, unformatted along one dimension or labelled C |
 * | `mu`, `sigmaSq` | mean and variance of each channel, in the same form; without them those of X |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * {@link batchnormWithStatistics} gives the statistics too. Errors: a {@link DimensionError} without C or with parameters of
 * another length, an {@link OptionError} for epsilon. Source: MATLAB, `batchnorm`; Ioffe, Szegedy, "Batch Normalization", 2015.
 */
export function batchnorm<F extends string>(
  X: DlArray<F>,
  offset: DlArray,
  scale: DlArray,
  options?: BatchnormOptions,
): DlArray<F>
export function batchnorm<F extends string>(
  X: DlArray<F>,
  offset: DlArray,
  scale: DlArray,
  mu: DlArray,
  sigmaSq: DlArray,
  options?: BatchnormOptions,
): DlArray<F>
export function batchnorm(
  X: DlArray,
  offset: DlArray,
  scale: DlArray,
  ...more: readonly (DlArray | BatchnormOptions | undefined)[]
): DlArray {
  const { first, second, options } = statisticsAndOptions(more, 'batchnorm')
  if (!first) return call(batchnormOperation, { X, offset, scale }, options)
  return call(batchnormGivenOperation, { X, offset, scale, mu: first, sigmaSq: second! }, options)
}

/** Options of {@link batchnormWithStatistics}. */
export interface BatchnormUpdateOptions extends BatchnormOptions {
  /** The part of the mean of X in the updated mean of the data set, 0 to 1; default 0.1. */
  readonly meanDecay?: number
  /** The part of the variance of X in the updated variance of the data set, 0 to 1; default 0.1. */
  readonly varianceDecay?: number
}

/** The result of {@link batchnormWithStatistics}: statistics are C-by-1, without labels. */
export interface BatchNormalized<F extends string = string> {
  readonly Y: DlArray<F>
  /** Mean of each channel; where statistics of a data set were given, theirs after the update. */
  readonly mu: DlArray
  /** Variance of each channel, likewise. */
  readonly sigmaSq: DlArray
}

/**
 * Batch normalization as in training, with its statistics: `[Y, mu, sigmaSq] = batchnorm(X, offset, scale)`. Given the
 * statistics of a data set, it gives them updated: `[Y, datasetMu, datasetSigmaSq] = batchnorm(X, offset, scale, datasetMu,
 * datasetSigmaSq)`, each decay * that of X + (1 - decay) * the old one; Y does not depend on them. X without elements leaves
 * them as they are, and has statistics of NaN itself.
 *
 * Other arguments and errors as in {@link batchnorm}. Source: MATLAB, `batchnorm`.
 */
export function batchnormWithStatistics<F extends string>(
  X: DlArray<F>,
  offset: DlArray,
  scale: DlArray,
  options?: BatchnormOptions,
): BatchNormalized<F>
export function batchnormWithStatistics<F extends string>(
  X: DlArray<F>,
  offset: DlArray,
  scale: DlArray,
  datasetMu: DlArray,
  datasetSigmaSq: DlArray,
  options?: BatchnormUpdateOptions,
): BatchNormalized<F>
export function batchnormWithStatistics(
  X: DlArray,
  offset: DlArray,
  scale: DlArray,
  ...more: readonly (DlArray | BatchnormUpdateOptions | undefined)[]
): BatchNormalized {
  const { first, second, options } = statisticsAndOptions(more, 'batchnormWithStatistics')
  const dataset = first && { datasetMu: first, datasetSigmaSq: second! }
  return callFor(batchnormWithStatisticsOperation, { X, offset, scale, ...dataset }, options, ['Y', 'mu', 'sigmaSq'])
}

/** Both statistics, or none, and the options behind them. */
function statisticsAndOptions(
  more: readonly (DlArray | BatchnormUpdateOptions | undefined)[],
  call: string,
): { first?: DlArray; second?: DlArray; options: BatchnormUpdateOptions } {
  const [first, second] = more
  if (!isdlarray(first)) return { options: first ?? {} }
  if (!isdlarray(second))
    throw new OptionError({
      call,
      expects: 'a mean and a variance, or neither',
      got: 'a mean alone',
      remedy: 'Give the variance as the argument behind the mean.',
    })
  return { first, second, options: (more[2] ?? {}) as BatchnormUpdateOptions }
}
