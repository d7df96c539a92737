import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { properties } from '../../src/layers/layer.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { fullyconnect } from '../../src/operations/products/fullyconnect.js'
import { softmax } from '../../src/operations/reductions/softmax.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('fullyConnectedLayer', () => {
  it('has the defaults of the documentation', () => {
    expect(properties(fullyConnectedLayer(10))).toEqual({
      outputSize: 10,
      inputSize: 'auto',
      weightsInitializer: 'glorot',
      biasInitializer: 'zeros',
      weights: undefined,
      bias: undefined,
      weightLearnRateFactor: 1,
      biasLearnRateFactor: 1,
      weightL2Factor: 1,
      biasL2Factor: 0,
      name: '',
      numInputs: 1,
      inputNames: ['in'],
      numOutputs: 1,
      outputNames: ['out'],
    })
  })

  it.each<[string, number[], string, number[], number]>([
    ['CB', [7, 3], 'CB', [4, 3], 7],
    ['SSCB', [2, 3, 5, 6], 'CB', [4, 6], 30],
    ['CBT', [7, 3, 5], 'CBT', [4, 3, 5], 7],
    ['SSCBT', [2, 3, 5, 6, 2], 'CBT', [4, 6, 2], 30],
    ['SC', [2, 5], 'CU', [4, 1], 10],
  ])('maps %s', (dims, size, outputDims, outputSize, inputSize) => {
    const X = dlarray(randn(size, { type: 'double' }), dims)
    const weights = randn([4, inputSize], { type: 'double' })
    const bias = randn([4, 1], { type: 'double' })
    const layer = fullyConnectedLayer(4, 'Weights', weights, 'Bias', [...bias.values()])
    layer.bias = bias
    expect(inferLayer(layer, [X])).toEqual([{ size: outputSize, dims: outputDims, type: 'double' }])
    initializeLayer(layer, [X], new RandomStream())
    expect(layer.inputSize).toBe(inputSize)
    const [Y] = runLayer(layer, [X], undefined, context)
    expect([Y!.dims, Y!.size]).toEqual([outputDims, outputSize])
    expectClose(Y!.values(), fullyconnect(X, weights, bias).values(), DOUBLE)
  })

  it('refuses in words', () => {
    const make = (options: object, outputSize: unknown = 10) =>
      message(() => fullyConnectedLayer(outputSize as never, options as never))
    expect(message(() => (fullyConnectedLayer as () => unknown)())).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected outputSize as argument 1, but got none. Call fullyConnectedLayer(outputSize, options?)."`,
    )
    expect(make({}, -1)).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected a positive whole number for outputSize, but got -1. It is the number of channels of the output."`,
    )
    expect(make({ inputSize: 'all' })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected 'auto' or a positive whole number for inputSize, but got 'all'. It is the number of S and C elements of an observation; with 'auto' it is taken from the input."`,
    )
    expect(make({ weights: randn(9, 3) })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected weights of 10×inputs, but got 9×3. Give a matrix of outputs by inputs."`,
    )
    expect(make({ weights: randn(10, 3), inputSize: 4 })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected weights of 10×4, but got 10×3. Give a matrix of outputs by inputs."`,
    )
    expect(make({ bias: [1, 2] })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected a bias of 10 elements, one for each output, but got 2 (2×1). Give a vector; the network brings it to its size."`,
    )
    expect(make({ weightsInitializer: 'random' })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected 'glorot', 'he', 'orthogonal', 'narrow-normal', 'zeros', 'ones' or a function of the size for weightsInitializer, but got 'random'. The default is 'glorot'."`,
    )
    expect(make({ numChannels: 3 })).toMatchInlineSnapshot(
      `"OptionError: fullyConnectedLayer: expected options among inputSize, weightsInitializer, biasInitializer, weights, bias, weightLearnRateFactor, biasLearnRateFactor, weightL2Factor, biasL2Factor, name, but got 'numChannels'. Check the spelling, or leave it out."`,
    )
    const layer = fullyConnectedLayer(10, { inputSize: 20, name: 'fc' })
    expect(message(() => inferLayer(layer, [info([4, 4, 2, 1], 'SSCB')]))).toMatchInlineSnapshot(
      `"NetworkError: layer 'fc' (Fully Connected: 10 fully connected layer): expected 20 S and C elements in each observation (inputSize), but got 32 in 4(S) × 4(S) × 2(C) × 1(B). Give inputSize 32 and weights for it, or 'auto'."`,
    )
    expect(message(() => inferLayer(layer, [info([4, 2], 'BT')]))).toMatchInlineSnapshot(
      `"NetworkError: layer 'fc' (Fully Connected: 10 fully connected layer): expected an input with channels (C) or spatial dimensions (S), but got 4(B) × 2(T). Label the features C."`,
    )
    const given = fullyConnectedLayer(10, { weights: randn(10, 3), name: 'fc' })
    expect(message(() => initializeLayer(given, [info([4, 2], 'CB')], new RandomStream()))).toMatchInlineSnapshot(
      `"NetworkError: layer 'fc' (Fully Connected: 10 fully connected layer): expected Weights of size 10×4, but got 10×3; the input is 4(C) × 2(B). Give Weights that size, or leave it out to have it initialized."`,
    )
  })
})

describe('reluLayer and softmaxLayer', () => {
  it('have a name only', () => {
    expect(properties(reluLayer('NAME', 'relu'))).toEqual({
      name: 'relu',
      numInputs: 1,
      inputNames: ['in'],
      numOutputs: 1,
      outputNames: ['out'],
    })
    expect(softmaxLayer({ name: 'softmax' }).name).toBe('softmax')
    expect(message(() => reluLayer('relu' as never))).toMatchInlineSnapshot(
      `"OptionError: reluLayer: expected a value after each name, but got 'relu' without one. The names are name."`,
    )
    expect(message(() => softmaxLayer({ scale: 1 } as never))).toMatchInlineSnapshot(
      `"OptionError: softmaxLayer: expected options among name, but got 'scale'. Check the spelling, or leave it out."`,
    )
  })

  it('compute their functions on any format', () => {
    const X = dlarray(randn([3, 4, 2, 2], { type: 'double' }), 'SCBT')
    const [Y] = runLayer(reluLayer(), [X], undefined, context)
    expect(Y!.dims).toBe('SCBT')
    expect([...Y!.values()]).toEqual([...X.values()].map((x) => Math.max(0, x)))
    const [Z] = runLayer(softmaxLayer(), [X], undefined, context)
    expect(inferLayer(softmaxLayer(), [X])).toEqual([{ size: [3, 4, 2, 2], dims: 'SCBT', type: 'double' }])
    expectClose(Z!.values(), softmax(X).values(), DOUBLE)
  })

  it('softmax needs channels', () => {
    expect(message(() => inferLayer(softmaxLayer({ name: 'softmax' }), [info([3, 2], 'SB')]))).toMatchInlineSnapshot(
      `"NetworkError: layer 'softmax' (Softmax): expected an array with a channel dimension (C), but got 3(S) × 2(B). Label the channel dimension C."`,
    )
  })
})
