import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { OptionError } from '../../errors.js'
import { checkPerChannel } from '../arrays/layout.js'
import { plusOperation, scaled } from '../elementwise/arithmetic.js'
import { type GradientContext, operation, type Sample } from '../operation.js'
import { type Decays, launchMoments, launchNoMoments } from './batch-moments-launch.js'
import { launchGrouped, type NormalizationPlan } from './grouped-normalization.js'
import { statisticsSize } from './normalization.js'
import {
  channelGroups,
  momentGradient,
  normalizationGradients,
  normalizationInputs,
  normalizationRule,
  referenceNormalization,
  shapedLike,
} from './normalization-operation.js'

// Batch normalization by the statistics of its input, which it can join to those of a data set.

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
