import type { ArrayInfo } from '../array/dlarray.js'
import { describe, positionsOf } from '../array/format.js'
import { DimensionError } from '../errors.js'
import { product } from '../operations/convolution/convolution-geometry.js'
import { fullyconnect, fullyconnectOperation } from '../operations/products/fullyconnect.js'
import { defineLayer } from './layer-kind.js'
import { accepts, autoCount, fixed, type NameValuePairs, positiveInteger } from './property.js'
import {
  checkWeightsAndBias,
  type WeightsAndBiasLayer,
  type WeightsAndBiasOptions,
  weightsAndBias,
  weightsAndBiasDisplay,
  weightsAndBiasProperties,
} from './weights-and-bias.js'

/** Options of {@link fullyConnectedLayer}. */
export interface FullyConnectedOptions extends WeightsAndBiasOptions {
  /** S and C elements of an observation of the input; default `'auto'`: taken from the input. */
  readonly inputSize?: 'auto' | number
}

/** What {@link fullyConnectedLayer} makes. */
export interface FullyConnectedLayer extends WeightsAndBiasLayer {
  readonly outputSize: number
  readonly inputSize: 'auto' | number
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
    ...weightsAndBiasProperties,
  ],
  display: () => [
    { properties: ['name'] },
    { title: 'Hyperparameters', properties: ['inputSize', 'outputSize'] },
    weightsAndBiasDisplay,
  ],
  learnables: weightsAndBias(
    {
      size: (layer, [X]) => [layer.outputSize, inputSizeOf(layer, X!)],
      fans: (layer, [X]) => ({ fanIn: inputSizeOf(layer, X!), fanOut: layer.outputSize }),
    },
    (layer) => [layer.outputSize, 1],
  ),
  check(layer, place) {
    const { outputSize, inputSize } = layer
    checkWeightsAndBias(
      layer,
      [outputSize, inputSize === 'auto' ? 'inputs' : inputSize],
      { order: 'a matrix of outputs by inputs', outputs: outputSize, output: 'output' },
      place,
    )
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
