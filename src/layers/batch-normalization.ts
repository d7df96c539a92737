import * as v from 'valibot'
import type { DlArray } from '../array/dlarray.js'
import { withoutRecording } from '../autodiff/record.js'
import { OptionError } from '../errors.js'
import { castOperation } from '../operations/arrays/cast.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { batchnorm, batchnormWithStatistics } from '../operations/normalization/batchnorm.js'
import { batchnormWithStatisticsOperation } from '../operations/normalization/batchnorm-training.js'
import { defineLayer } from './layer-kind.js'
import {
  checkVectors,
  epsilonProperty,
  factorProperties,
  type NormalizationLayer,
  type NormalizationOptions,
  normalizationParts,
  normalizationText,
  numChannelsProperty,
  parameterProperties,
  perChannelSize,
} from './normalization.js'
import { accepts, type NameValuePairs, type NumericInput, numeric, type Place, settable } from './property.js'

/** Options of {@link batchNormalizationLayer}. */
export interface BatchNormalizationOptions extends NormalizationOptions {
  /** Mean of each channel, used in prediction; default empty: 0 before training. */
  readonly trainedMean?: NumericInput
  /** Variance of each channel, used in prediction; default empty: 1 before training. */
  readonly trainedVariance?: NumericInput
  /** Part of a mini-batch's mean in the mean kept for prediction, 0 to 1; default 0.1. */
  readonly meanDecay?: number
  /** Part of a mini-batch's variance in the variance kept for prediction, 0 to 1; default 0.1. */
  readonly varianceDecay?: number
}

/** What {@link batchNormalizationLayer} makes. */
export interface BatchNormalizationLayer extends NormalizationLayer {
  get trainedMean(): DlArray | undefined
  set trainedMean(value: NumericInput | undefined)
  get trainedVariance(): DlArray | undefined
  set trainedVariance(value: NumericInput | undefined)
  meanDecay: number
  varianceDecay: number
}

const functionName = 'batchNormalizationLayer'

const decay = (name: string) =>
  settable(
    name,
    accepts(
      v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
      'a number from 0 to 1',
      'It is the part of each mini-batch in the statistics kept for prediction; the default is 0.1.',
    ),
    0.1,
  )

function checkMean(value: DlArray, { call, name }: Place): void {
  const wrong = value.values().find(Number.isNaN)
  if (wrong !== undefined)
    throw new OptionError({
      call,
      expects: `numbers for ${name}`,
      got: String(wrong),
      remedy: 'Give the mean of each channel.',
    })
}

function checkVariance(value: DlArray, { call, name }: Place): void {
  const wrong = value.values().find((variance) => !(variance >= 0))
  if (wrong !== undefined)
    throw new OptionError({
      call,
      expects: `variances of 0 or more for ${name}`,
      got: String(wrong),
      remedy: 'Give the variance of each channel.',
    })
}

/** A new value of a state parameter, in its size and class. */
function stateLike(value: DlArray, before: DlArray): DlArray {
  return withoutRecording(() => {
    const type = before.underlyingType === 'double' ? 'double' : 'single'
    const X = value.underlyingType === type ? value : castOperation.run({ X: value }, { type })
    return relabelOperation.run({ X }, { size: before.size, dims: '' })
  })
}

const kind = defineLayer<BatchNormalizationLayer>({
  ...normalizationParts(functionName),
  className: 'BatchNormalizationLayer',
  typeName: 'Batch Normalization',
  defaultName: 'batchnorm',
  description: (layer) => normalizationText('Batch normalization', layer),
  properties: [
    numeric('trainedMean'),
    numeric('trainedVariance'),
    epsilonProperty,
    numChannelsProperty,
    ...parameterProperties,
    decay('meanDecay'),
    decay('varianceDecay'),
    ...factorProperties,
  ],
  display: () => [
    { properties: ['name', 'numChannels', 'trainedMean', 'trainedVariance'] },
    { title: 'Hyperparameters', properties: ['meanDecay', 'varianceDecay', 'epsilon'] },
    { title: 'Learnable Parameters', properties: ['offset', 'scale'] },
  ],
  state: [
    {
      name: 'TrainedMean',
      property: 'trainedMean',
      size: (layer, inputs) => perChannelSize(layer, inputs, functionName),
      initial: 0,
      check: checkMean,
    },
    {
      name: 'TrainedVariance',
      property: 'trainedVariance',
      size: (layer, inputs) => perChannelSize(layer, inputs, functionName),
      initial: 1,
      check: checkVariance,
    },
  ],
  check(layer, call) {
    const { offset, scale, trainedMean, trainedVariance } = layer
    checkVectors(layer, { offset, scale, trainedMean, trainedVariance }, call)
    if (trainedMean) checkMean(trainedMean, { call, name: 'trainedMean' })
    if (trainedVariance) checkVariance(trainedVariance, { call, name: 'trainedVariance' })
  },
  output: (layer, [X], { Offset, Scale }) =>
    batchnormWithStatisticsOperation
      .infer({ X: X!, offset: Offset!, scale: Scale! }, { epsilon: layer.epsilon })
      .slice(0, 1),
  block: ({ epsilon, meanDecay, varianceDecay }) => ({
    step: 'normalization',
    options: { numGroups: 'batch', epsilon, meanDecay, varianceDecay },
    state: { mu: 'TrainedMean', sigmaSq: 'TrainedVariance' },
  }),
  compute: ({ epsilon }, [X], { Offset, Scale, TrainedMean, TrainedVariance }) => [
    batchnorm(X!, Offset!, Scale!, TrainedMean!, TrainedVariance!, { epsilon }),
  ],
  train({ epsilon, meanDecay, varianceDecay }, [X], { Offset, Scale, TrainedMean, TrainedVariance }) {
    const decays = { epsilon, meanDecay, varianceDecay }
    const { Y, mu, sigmaSq } = batchnormWithStatistics(X!, Offset!, Scale!, TrainedMean!, TrainedVariance!, decays)
    return {
      outputs: [Y],
      state: { TrainedMean: stateLike(mu, TrainedMean!), TrainedVariance: stateLike(sigmaSq, TrainedVariance!) },
    }
  },
})

/**
 * Layer that normalizes each channel over all observations of a mini-batch and over the spatial and time dimensions, then
 * scales and shifts it: y = scale * (x - mean) / sqrt(variance + epsilon) + offset.
 *
 * In training, mean and biased variance are those of the mini-batch; the layer's state follows them, each
 * decay * that of the mini-batch + (1 - decay) * the one before. In prediction they are the state: `trainedMean` and
 * `trainedVariance`, 0 and 1 before training.
 *
 * Options as one object, or as MATLAB's pairs. Input and output have the same format, any with C. Scale, offset and state become
 * 1-by-...-by-C, with a leading singleton for each S, or C-by-1. `forward` of a network returns the new state; `trainnet` keeps it.
 *
 * Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB, `batchNormalizationLayer`; Ioffe, Szegedy,
 * "Batch Normalization", 2015.
 */
export function batchNormalizationLayer(options?: BatchNormalizationOptions): BatchNormalizationLayer
export function batchNormalizationLayer(...pairs: NameValuePairs): BatchNormalizationLayer
export function batchNormalizationLayer(...given: unknown[]): BatchNormalizationLayer {
  return kind.create(given)
}

export { kind as batchNormalizationKind }
