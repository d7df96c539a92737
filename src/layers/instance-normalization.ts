import * as v from 'valibot'
import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe, positionsOf } from '../array/format.js'
import { DimensionError, OptionError } from '../errors.js'
import { instancenorm, instancenormOperation } from '../operations/instancenorm.js'
import { type InitializerFunction, type VectorInitializerName, vectorInitializer } from './initializers.js'
import { defineLayer, type Layer, type LayerOptions } from './layer.js'
import { accepts, autoCount, factor, type NameValuePairs, type NumericInput, numeric, settable } from './property.js'

export interface InstanceNormalizationOptions extends LayerOptions {
  /** Added to the variance, positive; default 1e-5. */
  readonly epsilon?: number
  /** Channels of the input; default `'auto'`: taken from the input. */
  readonly numChannels?: 'auto' | number
  /** Used while `scale` is empty; default `'ones'`. */
  readonly scaleInitializer?: VectorInitializerName | InitializerFunction
  /** Used while `offset` is empty; default `'zeros'`. */
  readonly offsetInitializer?: VectorInitializerName | InitializerFunction
  /** Initial scale, one number for each channel; default empty. */
  readonly scale?: NumericInput
  /** Initial offset, one number for each channel; default empty. */
  readonly offset?: NumericInput
  /** Multiplies the learn rate of the scale; default 1. */
  readonly scaleLearnRateFactor?: number
  /** Multiplies the learn rate of the offset; default 1. */
  readonly offsetLearnRateFactor?: number
  /** Multiplies the L2 regularization of the scale; default 1. */
  readonly scaleL2Factor?: number
  /** Multiplies the L2 regularization of the offset; default 1. */
  readonly offsetL2Factor?: number
}

export interface InstanceNormalizationLayer extends Layer {
  epsilon: number
  readonly numChannels: 'auto' | number
  scaleInitializer: VectorInitializerName | InitializerFunction
  offsetInitializer: VectorInitializerName | InitializerFunction
  get scale(): DlArray | undefined
  set scale(value: NumericInput | undefined)
  get offset(): DlArray | undefined
  set offset(value: NumericInput | undefined)
  scaleLearnRateFactor: number
  offsetLearnRateFactor: number
  scaleL2Factor: number
  offsetL2Factor: number
}

/** One leading singleton for each S, then the channels: 1-by-1-by-C for `SSCB`, C-by-1 for `CB`. */
function parameterSize(layer: InstanceNormalizationLayer, [X]: readonly ArrayInfo[]): number[] {
  const { spatial, channels } = channelsOf(X!)
  if (layer.numChannels !== 'auto' && layer.numChannels !== channels)
    throw new DimensionError({
      call: 'instanceNormalizationLayer',
      expects: `${layer.numChannels} channels (numChannels)`,
      got: `${channels} in ${describe(X!)}`,
      remedy: `Give numChannels ${channels}, or 'auto'.`,
    })
  return spatial === 0 ? [channels, 1] : [...Array<number>(spatial).fill(1), channels]
}

function channelsOf(X: ArrayInfo): { spatial: number; channels: number } {
  const channel = X.dims.indexOf('C')
  if (channel < 0)
    throw new DimensionError({
      call: 'instanceNormalizationLayer',
      expects: 'an input with a channel dimension (C)',
      got: describe(X),
      remedy: 'Label the channel dimension C.',
    })
  return { spatial: positionsOf(X.dims, 'S').length, channels: X.size[channel]! }
}

const kind = defineLayer<InstanceNormalizationLayer>({
  functionName: 'instanceNormalizationLayer',
  className: 'InstanceNormalizationLayer',
  typeName: 'Instance Normalization',
  defaultName: 'instancenorm',
  description: ({ numChannels }) =>
    numChannels === 'auto' ? 'Instance normalization' : `Instance normalization with ${numChannels} channels`,
  properties: [
    settable(
      'epsilon',
      accepts(
        v.pipe(v.number(), v.finite(), v.gtValue(0)),
        'a positive finite number',
        'It is added to the variance; the default is 1e-5.',
      ),
      1e-5,
    ),
    autoCount('numChannels', 'channels'),
    vectorInitializer('scaleInitializer', 'ones'),
    vectorInitializer('offsetInitializer', 'zeros'),
    numeric('scale'),
    numeric('offset'),
    factor('scaleLearnRateFactor'),
    factor('offsetLearnRateFactor'),
    factor('scaleL2Factor'),
    factor('offsetL2Factor'),
  ],
  display: () => [
    { properties: ['name', 'numChannels'] },
    { title: 'Hyperparameters', properties: ['epsilon'] },
    { title: 'Learnable Parameters', properties: ['offset', 'scale'] },
  ],
  learnables: [
    {
      name: 'Offset',
      property: 'offset',
      initializer: 'offsetInitializer',
      learnRateFactor: 'offsetLearnRateFactor',
      l2Factor: 'offsetL2Factor',
      size: parameterSize,
    },
    {
      name: 'Scale',
      property: 'scale',
      initializer: 'scaleInitializer',
      learnRateFactor: 'scaleLearnRateFactor',
      l2Factor: 'scaleL2Factor',
      size: parameterSize,
    },
  ],
  check(layer, call) {
    for (const name of ['offset', 'scale'] as const) {
      const value = layer[name]
      if (!value) continue
      const spread = value.size.filter((extent) => extent !== 1).length > 1
      const channels = layer.numChannels
      if (spread || (channels !== 'auto' && value.numel !== channels))
        throw new OptionError({
          call,
          expects: `${channels === 'auto' ? 'one element for each channel' : `${channels} elements, one for each channel`}, for ${name}`,
          got: `${value.numel} (${value.size.join('×')})`,
          remedy: 'Give a vector; the network brings it to the size for its kind of input.',
        })
    }
    const { offset, scale } = layer
    if (offset && scale && offset.numel !== scale.numel)
      throw new OptionError({
        call,
        expects: 'one element for each channel in offset and in scale',
        got: `${offset.numel} in offset and ${scale.numel} in scale`,
        remedy: 'Give both as many; assign [] to one first to change both.',
      })
  },
  resolve: (_, [X]) => ({ numChannels: channelsOf(X!).channels }),
  output: (layer, [X], { Offset, Scale }) =>
    instancenormOperation.infer({ X: X!, offset: Offset!, scale: Scale! }, { epsilon: layer.epsilon }).slice(0, 1),
  block: ({ epsilon }) => ({ step: 'normalization', options: { epsilon } }),
  compute: (layer, [X], { Offset, Scale }) => [instancenorm(X!, Offset!, Scale!, { epsilon: layer.epsilon })],
})

/**
 * Layer that normalizes each channel of each observation over its spatial and time dimensions, then scales and shifts it:
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance. In training and prediction alike.
 *
 * Options as one object, or as MATLAB's pairs: `instanceNormalizationLayer('Name', 'norm', 'Epsilon', 1e-3)`. Input and output
 * have the same format: `SCB`, `SSCB`, `SSSCB`, each also with T or without B, `CBT` and `CB` (there, with nothing to average
 * over, the output is the offset). Scale and offset become 1-by-...-by-C, with a leading singleton for each S, or C-by-1.
 *
 * Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB, `instanceNormalizationLayer`; Ulyanov,
 * Vedaldi, Lempitsky, "Instance Normalization", 2016.
 */
export function instanceNormalizationLayer(options?: InstanceNormalizationOptions): InstanceNormalizationLayer
export function instanceNormalizationLayer(...pairs: NameValuePairs): InstanceNormalizationLayer
export function instanceNormalizationLayer(...given: unknown[]): InstanceNormalizationLayer {
  return kind.create(given)
}

export { kind as instanceNormalizationKind }
