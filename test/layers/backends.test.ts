import { afterAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import type { BackendName } from '../../src/array/storage.js'
import { setBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { averagePooling1dLayer, averagePooling2dLayer } from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution1dLayer, convolution2dLayer, convolution3dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { globalAveragePooling2dLayer, globalMaxPooling1dLayer } from '../../src/layers/global-pooling.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { inputInfo, type Layer } from '../../src/layers/layer.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { learnablesOf } from '../../src/layers/layer-parameters.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling1dLayer, maxPooling2dLayer, maxPooling3dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { expectClose, SINGLE } from '../support/close.js'
import { context, runLayer } from '../support/layers.js'

afterAll(() => setBackend('wasm'))

/** A chain of layers run on one backend, from the seed to the output. */
function run(backend: BackendName, make: () => Layer[], size: number[]): Float32Array | Float64Array {
  setBackend(backend)
  const layers = make()
  const random = new RandomStream(3)
  let infos = [inputInfo(layers[0]!)!]
  for (const layer of layers) {
    initializeLayer(layer, infos, random)
    infos = inferLayer(layer, infos)
  }
  return scope(() => {
    const format = inputInfo(layers[0]!)!.dims
    let X: readonly DlArray[] = [dlarray(randn(size, { stream: new RandomStream(4) }), format)]
    for (const layer of layers) X = runLayer(layer, X, undefined, context)
    return X[0]!.values()
  })
}

const chains: [string, () => Layer[], number[]][] = [
  [
    'images',
    () => [
      imageInputLayer([14, 13, 3], { normalization: 'zscore', mean: [1, 2, 3], standardDeviation: [2, 3, 4] }),
      convolution2dLayer(5, 7, { padding: [1, 0, 2, 1], paddingValue: 'replicate', stride: [1, 2] }),
      instanceNormalizationLayer({ scaleInitializer: 'narrow-normal', offsetInitializer: 'narrow-normal' }),
      reluLayer(),
      maxPooling2dLayer(2, { stride: 2, padding: 'same' }),
      fullyConnectedLayer(10),
      softmaxLayer(),
    ],
    [14, 13, 3, 5],
  ],
  [
    'sequences',
    () => [
      sequenceInputLayer(3, { minLength: 12, normalization: 'rescale-symmetric', min: -3, max: [2, 3, 4] }),
      convolution1dLayer(3, 6, { padding: 'causal', dilationFactor: 2 }),
      instanceNormalizationLayer(),
      maxPooling1dLayer(3, { stride: 2 }),
      fullyConnectedLayer(4),
      softmaxLayer(),
    ],
    [3, 2, 12],
  ],
  [
    'volumes',
    () => [
      image3dInputLayer([6, 7, 5, 2], { normalization: 'rescale-zero-one', min: -4, max: 4 }),
      convolution3dLayer([3, 2, 3], 4, { padding: 'same' }),
      instanceNormalizationLayer(),
      reluLayer(),
      maxPooling3dLayer([2, 1, 2], { stride: 2 }),
      fullyConnectedLayer(3),
    ],
    [6, 7, 5, 2, 3],
  ],
  [
    'images, other normalizations and poolings',
    () => [
      imageInputLayer([15, 13, 3], { normalization: 'none' }),
      convolution2dLayer(3, 8),
      batchNormalizationLayer({
        trainedMean: Array.from({ length: 8 }, (_, c) => 0.1 * c),
        trainedVariance: Array.from({ length: 8 }, (_, c) => 1 + c),
        offsetInitializer: 'narrow-normal',
      }),
      leakyReluLayer(0.2),
      averagePooling2dLayer(3, { stride: 2, padding: 'same', paddingValue: 'mean' }),
      convolution2dLayer(2, 6),
      groupNormalizationLayer(3, { scaleInitializer: 'narrow-normal' }),
      maxPooling2dLayer(2),
      layerNormalizationLayer({ operationDimension: 'channel-only' }),
      globalAveragePooling2dLayer(),
      layerNormalizationLayer(),
      fullyConnectedLayer(4),
    ],
    [15, 13, 3, 5],
  ],
  [
    'sequences, other normalizations and poolings',
    () => [
      sequenceInputLayer(3, { minLength: 12, normalization: 'none' }),
      convolution1dLayer(3, 6, { padding: 'same' }),
      layerNormalizationLayer(),
      groupNormalizationLayer(2),
      averagePooling1dLayer(3, { stride: 2 }),
      batchNormalizationLayer(),
      globalMaxPooling1dLayer(),
      fullyConnectedLayer(4),
    ],
    [3, 2, 12],
  ],
]

describe('WebAssembly and the reference agree', () => {
  it.each(chains)('on %s', (_, make, size) => {
    expectClose(run('wasm', make, size), run('reference', make, size), 5 * SINGLE)
  })
})

describe('memory', () => {
  it('holds parameters only, and those until they are let go', () => {
    setBackend('wasm')
    const before = memory().arrays
    const layers = scope(() => chains[0]![1]())
    const random = new RandomStream()
    scope(() => {
      let infos = [inputInfo(layers[0]!)!]
      for (const layer of layers) {
        initializeLayer(layer, infos, random)
        infos = inferLayer(layer, infos)
      }
    })
    const parameters = layers.flatMap((layer) => learnablesOf(layer).map(({ value }) => value!))
    // Six parameters, mean and standard deviation.
    expect(memory().arrays - before).toBe(8)
    for (const parameter of parameters) parameter.dispose()
    expect(memory().arrays - before).toBe(2)
  })
})
