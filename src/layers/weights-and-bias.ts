import type { DlArray } from '../array/dlarray.js'
import { OptionError } from '../errors.js'
import {
  type InitializerFunction,
  type VectorInitializerName,
  vectorInitializer,
  type WeightsInitializerName,
  weightsInitializer,
} from './initializers.js'
import type { Layer, LayerOptions } from './layer.js'
import { type LearnableDefinition, learnable } from './layer-definition.js'
import { factor, type NumericInput, numeric } from './property.js'

// What layers that multiply by weights and add a bias share.

/** Options of layers with weights and a bias. */
export interface WeightsAndBiasOptions extends LayerOptions {
  /** Used while `weights` is empty; default `'glorot'`. */
  readonly weightsInitializer?: WeightsInitializerName | InitializerFunction
  /** Used while `bias` is empty; default `'zeros'`. */
  readonly biasInitializer?: VectorInitializerName | InitializerFunction
  /** Initial weights, filter size by channels by number of filters, or outputs by inputs; default empty. */
  readonly weights?: NumericInput
  /** Initial bias, one number for each filter or output; default empty. */
  readonly bias?: NumericInput
  /** Multiplies the learn rate of the weights; default 1. */
  readonly weightLearnRateFactor?: number
  /** Multiplies the learn rate of the bias; default 1. */
  readonly biasLearnRateFactor?: number
  /** Multiplies the L2 regularization of the weights; default 1. */
  readonly weightL2Factor?: number
  /** Multiplies the L2 regularization of the bias; default 0. */
  readonly biasL2Factor?: number
}

/** Properties of layers with weights and a bias. */
export interface WeightsAndBiasLayer extends Layer {
  weightsInitializer: WeightsInitializerName | InitializerFunction
  biasInitializer: VectorInitializerName | InitializerFunction
  get weights(): DlArray | undefined
  set weights(value: NumericInput | undefined)
  get bias(): DlArray | undefined
  set bias(value: NumericInput | undefined)
  weightLearnRateFactor: number
  biasLearnRateFactor: number
  weightL2Factor: number
  biasL2Factor: number
}

export const weightsAndBiasProperties = [
  weightsInitializer('weightsInitializer'),
  vectorInitializer('biasInitializer', 'zeros'),
  numeric('weights'),
  numeric('bias'),
  factor('weightLearnRateFactor'),
  factor('biasLearnRateFactor'),
  factor('weightL2Factor'),
  factor('biasL2Factor', 0),
]

/** The group of an object display. */
export const weightsAndBiasDisplay = { title: 'Learnable Parameters', properties: ['weights', 'bias'] }

/** Both as learnable parameters, weights of exactly their size. */
export function weightsAndBias<L extends WeightsAndBiasLayer>(
  weights: Pick<LearnableDefinition<L>, 'size' | 'fans'>,
  biasSize: LearnableDefinition<L>['size'],
): LearnableDefinition<L>[] {
  return [
    { ...learnable('weights', weights.size, 'weight'), fans: weights.fans, exact: true },
    learnable('bias', biasSize),
  ]
}

/**
 * Throws an {@link OptionError} for weights of another size, a word standing for an extent that is not known, and a bias
 * without one element for each `output`.
 */
export function checkWeightsAndBias(
  { weights, bias }: WeightsAndBiasLayer,
  size: readonly (number | string)[],
  { order, outputs, output }: { readonly order: string; readonly outputs: number; readonly output: string },
  call: string,
): void {
  const isOf = ({ size: given }: DlArray) =>
    given.length <= size.length && size.every((extent, d) => typeof extent === 'string' || (given[d] ?? 1) === extent)
  if (weights && !isOf(weights))
    throw new OptionError({
      call,
      expects: `weights of ${size.join('×')}`,
      got: weights.size.join('×'),
      remedy: `Give ${order}.`,
    })
  if (bias && bias.numel !== outputs)
    throw new OptionError({
      call,
      expects: `a bias of ${outputs} elements, one for each ${output}`,
      got: `${bias.numel} (${bias.size.join('×')})`,
      remedy: 'Give a vector; the network brings it to its size.',
    })
}
