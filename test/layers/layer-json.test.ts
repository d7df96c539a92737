import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import { OptionError } from '../../src/errors.js'
import {
  averagePooling1dLayer,
  averagePooling2dLayer,
  averagePooling3dLayer,
} from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution1dLayer, convolution2dLayer, convolution3dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { globalAveragePooling1dLayer, globalMaxPooling2dLayer } from '../../src/layers/global-pooling.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { needsStatistics } from '../../src/layers/input-normalization.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { inputInfo, type Layer, properties } from '../../src/layers/layer.js'
import { layerFromJSON, layerToJSON } from '../../src/layers/layer-json.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { initializeLayer } from '../../src/layers/layer-running.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling1dLayer, maxPooling2dLayer, maxPooling3dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'

beforeAll(() => setBackend('reference'))

/** Properties with arrays as plain data; parameters, which files keep apart, left out. */
function comparable(layer: Layer): Record<string, unknown> {
  // the scale of a leaky ReLU is a setting
  const parameters = ['weights', 'bias', 'offset', ...(layer.className === 'LeakyReLULayer' ? [] : ['scale'])]
  return Object.fromEntries(
    Object.entries(properties(layer))
      .filter(([name]) => !parameters.includes(name))
      .map(([name, value]) => {
        const array = value as
          | { size?: number[]; values?: () => ArrayLike<number>; underlyingType?: string }
          | undefined
        return [name, array?.values ? [array.size, array.underlyingType, [...Array.from(array.values())]] : value]
      }),
  )
}

const everyKind: [string, () => Layer][] = [
  ['imageInputLayer', () => imageInputLayer([4, 5, 3], { normalization: 'zscore', mean: randn(4, 5, 3), name: 'in' })],
  ['imageInputLayer', () => imageInputLayer([4, 5], { normalization: 'rescale-symmetric', min: 0.1, max: [255] })],
  ['image3dInputLayer', () => image3dInputLayer([4, 5, 6, 2], { normalizationDimension: 'all' })],
  ['featureInputLayer', () => featureInputLayer(4, { normalization: 'zscore', standardDeviation: [1, 2, 3, 4] })],
  ['sequenceInputLayer', () => sequenceInputLayer(4, { minLength: 7 })],
  ['sequenceInputLayer', () => sequenceInputLayer([4, 5, 3], { normalization: 'zerocenter' })],
  ['inputLayer', () => inputLayer([28, Number.NaN, 3], 'SBC', { name: 'in' })],
  ['convolution1dLayer', () => convolution1dLayer(3, 4, { padding: 'causal', dilationFactor: 2 })],
  ['convolution2dLayer', () => convolution2dLayer([3, 2], 4, { padding: 'same', stride: 2, biasL2Factor: 0.1 })],
  ['convolution2dLayer', () => convolution2dLayer(3, 4, { padding: [1, 2, 3, 4], paddingValue: 'replicate' })],
  ['convolution3dLayer', () => convolution3dLayer(3, 4, { padding: 1, paddingValue: 0.5, weightsInitializer: 'he' })],
  ['instanceNormalizationLayer', () => instanceNormalizationLayer({ epsilon: 1e-3, numChannels: 7, scaleL2Factor: 0 })],
  ['reluLayer', () => reluLayer({ name: 'relu' })],
  ['maxPooling1dLayer', () => maxPooling1dLayer(3, { stride: 2, padding: [1, 2] })],
  ['maxPooling2dLayer', () => maxPooling2dLayer(2, { stride: 2, padding: 'same' })],
  ['maxPooling3dLayer', () => maxPooling3dLayer([1, 2, 3], { padding: [0, 1, 2] })],
  ['fullyConnectedLayer', () => fullyConnectedLayer(10, { inputSize: 20, weightLearnRateFactor: 2 })],
  ['softmaxLayer', () => softmaxLayer()],
  ['batchNormalizationLayer', () => batchNormalizationLayer({ meanDecay: 0.5, varianceDecay: 0, numChannels: 3 })],
  ['groupNormalizationLayer', () => groupNormalizationLayer(4, { epsilon: 1e-3 })],
  ['groupNormalizationLayer', () => groupNormalizationLayer('all-channels')],
  ['layerNormalizationLayer', () => layerNormalizationLayer({ operationDimension: 'spatial-channel' })],
  ['leakyReluLayer', () => leakyReluLayer(0.2)],
  ['leakyReluLayer', () => leakyReluLayer()],
  ['averagePooling1dLayer', () => averagePooling1dLayer(3, { stride: 2, padding: [1, 2] })],
  ['averagePooling2dLayer', () => averagePooling2dLayer(2, { padding: 'same', paddingValue: 'mean' })],
  ['averagePooling3dLayer', () => averagePooling3dLayer([1, 2, 3], { padding: [0, 1, 2] })],
  ['globalAveragePooling1dLayer', () => globalAveragePooling1dLayer({ name: 'gap' })],
  ['globalMaxPooling2dLayer', () => globalMaxPooling2dLayer()],
]

describe('layers as JSON', () => {
  it.each(everyKind)('come back: %s', (_, make) => {
    const layer = make()
    const back = layerFromJSON(JSON.parse(JSON.stringify(layerToJSON(layer))))
    expect(back.className).toBe(layer.className)
    expect(comparable(back)).toEqual(comparable(layer))
    expect(String(back)).toBe(String(layer))
    expect(layerToJSON(back)).toEqual(layerToJSON(layer))
  })

  it('hold only what differs from the defaults, and no parameters', () => {
    const layer = fullyConnectedLayer(2, { weights: randn(2, 3), bias: [1, 2], name: 'fc' })
    expect(layerToJSON(layer)).toEqual({ className: 'FullyConnectedLayer', properties: { outputSize: 2, name: 'fc' } })
  })

  it('remember that statistics are still to be computed', () => {
    const layer = imageInputLayer([4, 5, 3])
    initializeLayer(layer, [inputInfo(layer)!], new RandomStream())
    const back = layerFromJSON(JSON.parse(JSON.stringify(layerToJSON(layer))))
    expect(needsStatistics(back)).toEqual(needsStatistics(layer))
    expect(needsStatistics(back)).toBeDefined()
  })

  it('keep numbers that JSON has no words for', () => {
    const layer = imageInputLayer([1, 1, 3], { mean: [Number.NaN, Number.POSITIVE_INFINITY, -0.1] })
    const back = layerFromJSON(JSON.parse(JSON.stringify(layerToJSON(layer)))) as ReturnType<typeof imageInputLayer>
    expect(back.mean!.values()).toEqual(layer.mean!.values())
  })

  it('cannot hold functions', () => {
    const layer = convolution2dLayer(3, 2, { weightsInitializer: () => 0, name: 'conv' })
    expect(() => layerToJSON(layer)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: layer 'conv' (Convolution2DLayer): expected settings that can be written to a file for weightsInitializer, but got a function. Functions cannot be saved: give the values themselves, or save after setting it to a name.]`,
    )
  })

  it('are refused when they are none', () => {
    const read = (json: unknown) => {
      try {
        layerFromJSON(json)
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError)
        return (error as Error).message
      }
      return 'no error'
    }
    const conv = (properties: object) => read({ className: 'Convolution2DLayer', properties })
    expect(read(null)).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got null. The file may be damaged, or written by another version."`,
    )
    expect(read('ReLULayer')).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got 'ReLULayer'. The file may be damaged, or written by another version."`,
    )
    expect(read({ className: 'constructor', properties: {} })).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got className 'constructor'. The file may be damaged, or written by another version."`,
    )
    expect(read({ className: 'ReLULayer' })).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got properties undefined. The file may be damaged, or written by another version."`,
    )
    expect(read({ className: 'ReLULayer', properties: { size: 3 } })).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got 'size' among the properties of ReLULayer. The file may be damaged, or written by another version."`,
    )
    expect(
      read({ className: 'ReLULayer', properties: JSON.parse('{"__proto__": {"name": 3}}') }),
    ).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got '__proto__' among the properties of ReLULayer. The file may be damaged, or written by another version."`,
    )
    expect(
      read({ className: 'ReLULayer', properties: { name: { size: [1e9], type: 'single', values: [] } } }),
    ).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got a property of size, type, values. The file may be damaged, or written by another version."`,
    )
    expect(conv({})).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected a value for filterSize, but got none. The file may be damaged, or written by another version."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: null })).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected a value for numFilters, but got none. The file may be damaged, or written by another version."`,
    )
    expect(conv({ filterSize: [3, 'a'], numFilters: 2 })).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected a positive whole number, or 2 of them for filterSize, but got [3, 'a']. It is the extent of each filter in pixels."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: 2, stride: [[[[1]]]] })).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got lists nested too deeply. The file may be damaged, or written by another version."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: 2, paddingSize: [1, 2] })).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected the padding of each edge for paddingSize, but got [1, 2]. Give the layer function its padding argument."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: 2, paddingSize: null })).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected paddingSize with paddingMode 'manual', but got none. Give padding."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: 2, paddingMode: 'valid' })).toMatchInlineSnapshot(
      `"Convolution2DLayer: expected 'manual', 'same' or 'causal' for paddingMode, but got 'valid'. Give padding."`,
    )
    expect(conv({ filterSize: [3, 3], numFilters: 2, paddingMode: { a: 1 } })).toMatchInlineSnapshot(
      `"layerFromJSON: expected a layer as layerToJSON writes it: a className and properties, but got a property of a. The file may be damaged, or written by another version."`,
    )
  })
})
