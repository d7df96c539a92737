import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe, positionsOf } from '../array/format.js'
import { DimensionError, OptionError } from '../errors.js'
import { product } from '../operations/convolution/convolution-geometry.js'
import { fullyconnect, fullyconnectOperation } from '../operations/products/fullyconnect.js'
import {
  type InitializerFunction,
  type VectorInitializerName,
  vectorInitializer,
  type WeightsInitializerName,
  weightsInitializer,
} from './initializers.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer } from './layer-kind.js'
import {
  accepts,
  autoCount,
  factor,
  fixed,
  type NameValuePairs,
  type NumericInput,
  numeric,
  positiveInteger,
} from './property.js'

export interface FullyConnectedOptions extends LayerOptions {
  /** S and C elements of an observation of the input; default `'auto'`: taken from the input. */
  readonly inputSize?: 'auto' | number
  /** Used while `weights` is empty; default `'glorot'`. */
  readonly weightsInitializer?: WeightsInitializerName | InitializerFunction
  /** Used while `bias` is empty; default `'zeros'`. */
  readonly biasInitializer?: VectorInitializerName | InitializerFunction
  /** Initial weights, outputs by inputs; default empty. */
  readonly weights?: NumericInput
  /** Initial bias, one number for each output; default empty. */
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

export interface FullyConnectedLayer extends Layer {
  readonly outputSize: number
  readonly inputSize: 'auto' | number
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

const call = 'fullyConnectedLayer'

function inputSizeOf(layer: FullyConnectedLayer, X: ArrayInfo): number {
  const flat = positionsOf(X.dims, 'SC')
  if (flat.length === 0)
    throw new DimensionError({
      call,
      expects: 'an input with channels (C) or spatial dimensions (S)',
      got: describe(X),
      remedy: 'Label the features C.',
    })
  const size = product(flat.map((d) => X.size[d]!))
  if (layer.inputSize !== 'auto' && layer.inputSize !== size)
    throw new DimensionError({
      call,
      expects: `${layer.inputSize} S and C elements in each observation (inputSize)`,
      got: `${size} in ${describe(X)}`,
      remedy: `Give inputSize ${size} and weights for it, or 'auto'.`,
    })
  return size
}

const kind = defineLayer<FullyConnectedLayer>({
  functionName: call,
  className: 'FullyConnectedLayer',
  typeName: 'Fully Connected',
  defaultName: 'fc',
  positional: { names: ['outputSize'], required: 1 },
  description: ({ outputSize }) => `${outputSize} fully connected layer`,
  properties: [
    fixed(
      'outputSize',
      accepts(positiveInteger, 'a positive whole number', 'It is the number of channels of the output.'),
    ),
    autoCount('inputSize', 'S and C elements of an observation'),
    weightsInitializer('weightsInitializer'),
    vectorInitializer('biasInitializer', 'zeros'),
    numeric('weights'),
    numeric('bias'),
    factor('weightLearnRateFactor'),
    factor('biasLearnRateFactor'),
    factor('weightL2Factor'),
    factor('biasL2Factor', 0),
  ],
  display: () => [
    { properties: ['name'] },
    { title: 'Hyperparameters', properties: ['inputSize', 'outputSize'] },
    { title: 'Learnable Parameters', properties: ['weights', 'bias'] },
  ],
  learnables: [
    {
      name: 'Weights',
      property: 'weights',
      initializer: 'weightsInitializer',
      learnRateFactor: 'weightLearnRateFactor',
      l2Factor: 'weightL2Factor',
      exact: true,
      size: (layer, [X]) => [layer.outputSize, inputSizeOf(layer, X!)],
      fans: (layer, [X]) => ({ fanIn: inputSizeOf(layer, X!), fanOut: layer.outputSize }),
    },
    {
      name: 'Bias',
      property: 'bias',
      initializer: 'biasInitializer',
      learnRateFactor: 'biasLearnRateFactor',
      l2Factor: 'biasL2Factor',
      size: (layer) => [layer.outputSize, 1],
    },
  ],
  check({ weights, bias, outputSize, inputSize }, place) {
    if (
      weights &&
      (weights.ndims > 2 || weights.size[0] !== outputSize || (inputSize !== 'auto' && weights.size[1] !== inputSize))
    )
      throw new OptionError({
        call: place,
        expects: `weights of ${outputSize}×${inputSize === 'auto' ? 'inputs' : inputSize}`,
        got: weights.size.join('×'),
        remedy: 'Give a matrix of outputs by inputs.',
      })
    if (bias && bias.numel !== outputSize)
      throw new OptionError({
        call: place,
        expects: `a bias of ${outputSize} elements, one for each output`,
        got: `${bias.numel} (${bias.size.join('×')})`,
        remedy: 'Give a vector; the network makes it a column.',
      })
  },
  resolve: (layer, [X]) => ({ inputSize: inputSizeOf(layer, X!) }),
  output: (_, [X], { Weights, Bias }) => fullyconnectOperation.infer({ X: X!, weights: Weights!, bias: Bias! }),
  compute: (_, [X], { Weights, Bias }) => [fullyconnect(X!, Weights!, Bias!)],
})

/**
 * Fully connected layer: y = weights x + bias, where x runs over all S and C elements of an observation. `SSCB` becomes `CB`
 * with `outputSize` channels, `CBT` stays `CBT`. Weights are outputs-by-inputs, the bias outputs-by-1.
 *
 * Options as one object or as name-value pairs. Errors: an {@link OptionError} for options outside what is accepted.
 * Source: MATLAB, `fullyConnectedLayer`.
 */
export function fullyConnectedLayer(outputSize: number, options?: FullyConnectedOptions): FullyConnectedLayer
export function fullyConnectedLayer(outputSize: number, ...pairs: NameValuePairs): FullyConnectedLayer
export function fullyConnectedLayer(...given: unknown[]): FullyConnectedLayer {
  return kind.create(given)
}

export { kind as fullyConnectedKind }
