import * as v from 'valibot'
import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe, positionsOf } from '../array/format.js'
import { DimensionError, OptionError } from '../errors.js'
import { type InitializerFunction, type VectorInitializerName, vectorInitializer } from './initializers.js'
import type { Layer, LayerOptions } from './layer.js'
import { type LayerDefinition, type LearnableDefinition, learnable } from './layer-definition.js'
import { accepts, autoCount, factor, type NumericInput, numeric, settable } from './property.js'

// What the layers of instance, batch, group and layer normalization share: an offset and a scale for each channel.

/** Options that all normalization layers have. */
export interface NormalizationOptions extends LayerOptions {
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

/** Properties that all normalization layers have. */
export interface NormalizationLayer extends Layer {
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

export const epsilonProperty = settable(
  'epsilon',
  accepts(
    v.pipe(v.number(), v.finite(), v.gtValue(0)),
    'a positive finite number',
    'It is added to the variance; the default is 1e-5.',
  ),
  1e-5,
)

export const numChannelsProperty = autoCount('numChannels', 'channels')

/** Offset and scale, and how they begin. */
export const parameterProperties = [
  vectorInitializer('scaleInitializer', 'ones'),
  vectorInitializer('offsetInitializer', 'zeros'),
  numeric('scale'),
  numeric('offset'),
]

export const factorProperties = [
  factor('scaleLearnRateFactor'),
  factor('offsetLearnRateFactor'),
  factor('scaleL2Factor'),
  factor('offsetL2Factor'),
]

function channelsOf(X: ArrayInfo, call: string): { spatial: number; channels: number } {
  const channel = X.dims.indexOf('C')
  if (channel < 0)
    throw new DimensionError({
      call,
      expects: 'an input with a channel dimension (C)',
      got: describe(X),
      remedy: 'Label the channel dimension C.',
    })
  return { spatial: positionsOf(X.dims, 'S').length, channels: X.size[channel]! }
}

/** One leading singleton for each S, then the channels: 1-by-1-by-C for `SSCB`, C-by-1 for `CB`. */
export function perChannelSize(
  { numChannels }: Pick<NormalizationLayer, 'numChannels'>,
  [X]: readonly ArrayInfo[],
  call: string,
): number[] {
  const { spatial, channels } = channelsOf(X!, call)
  if (numChannels !== 'auto' && numChannels !== channels)
    throw new DimensionError({
      call,
      expects: `${numChannels} channels (numChannels)`,
      got: `${channels} in ${describe(X!)}`,
      remedy: `Give numChannels ${channels}, or 'auto'.`,
    })
  return spatial === 0 ? [channels, 1] : [...Array<number>(spatial).fill(1), channels]
}

/** Throws an {@link OptionError} unless these are vectors with a number for each channel, as far as that is known. */
export function checkVectors(
  { numChannels }: NormalizationLayer,
  vectors: Readonly<Record<string, DlArray | undefined>>,
  call: string,
): void {
  const given = Object.entries(vectors).flatMap(([name, value]) => (value ? [{ name, value }] : []))
  for (const { name, value } of given) {
    const spread = value.size.filter((extent) => extent !== 1).length > 1
    if (spread || (numChannels !== 'auto' && value.numel !== numChannels))
      throw new OptionError({
        call,
        expects: `${numChannels === 'auto' ? 'one element for each channel' : `${numChannels} elements, one for each channel`}, for ${name}`,
        got: `${value.numel} (${value.size.join('×')})`,
        remedy: 'Give a vector; the network brings it to the size for its kind of input.',
      })
  }
  const [first, ...others] = given
  const other = others.find(({ value }) => value.numel !== first!.value.numel)
  if (first && other)
    throw new OptionError({
      call,
      expects: `one element for each channel in ${first.name} and in ${other.name}`,
      got: `${first.value.numel} in ${first.name} and ${other.value.numel} in ${other.name}`,
      remedy: 'Give both as many; assign [] to one first to change both.',
    })
}

/** The parts of a definition that are the same for each normalization layer. */
export function normalizationParts<L extends NormalizationLayer>(
  functionName: string,
): Pick<LayerDefinition<L>, 'functionName' | 'resolve'> & { readonly learnables: readonly LearnableDefinition<L>[] } {
  const size = (layer: L, inputs: readonly ArrayInfo[]) => perChannelSize(layer, inputs, functionName)
  return {
    functionName,
    learnables: [learnable('offset', size), learnable('scale', size)],
    resolve: (_, [X]) => ({ numChannels: channelsOf(X!, functionName).channels }),
  }
}

/** `Instance normalization with 20 channels`, once they are known. */
export function normalizationText(what: string, { numChannels }: NormalizationLayer): string {
  return numChannels === 'auto' ? what : `${what} with ${numChannels} channels`
}
