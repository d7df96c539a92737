import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import { convolution1dLayer, convolution2dLayer, convolution3dLayer } from '../../src/layers/convolution.js'
import { type Layer, properties } from '../../src/layers/layer.js'
import { learnablesOf } from '../../src/layers/layer-parameters.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { dlconv } from '../../src/operations/convolution/dlconv.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('properties', () => {
  it('have the defaults of the documentation', () => {
    expect(properties(convolution2dLayer(5, 20))).toEqual({
      filterSize: [5, 5],
      numFilters: 20,
      stride: [1, 1],
      dilationFactor: [1, 1],
      paddingSize: [0, 0, 0, 0],
      paddingMode: 'manual',
      paddingValue: 0,
      numChannels: 'auto',
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

  it('keep what is given, by options and by pairs', () => {
    const byOptions = convolution2dLayer([2, 1], 3, {
      stride: [2, 3],
      dilationFactor: 4,
      padding: 'same',
      paddingValue: 'replicate',
      numChannels: 2,
      weightsInitializer: 'orthogonal',
      biasInitializer: 'ones',
      weights: randn(2, 1, 2, 3),
      bias: [1, 2, 3],
      weightLearnRateFactor: 2,
      biasLearnRateFactor: 3,
      weightL2Factor: 4,
      biasL2Factor: 5,
      name: 'conv',
    })
    const byPairs = convolution2dLayer(
      ...([[2, 1], 3, 'Stride', [2, 3], 'DilationFactor', 4, 'Padding', 'same', 'PaddingValue', 'replicate'] as const),
      ...['NumChannels', 2, 'WeightsInitializer', 'orthogonal', 'BiasInitializer', 'ones'],
      ...['Weights', byOptions.weights, 'Bias', [[[1, 2, 3]]], 'WeightLearnRateFactor', 2, 'BiasLearnRateFactor', 3],
      ...['WeightL2Factor', 4, 'BiasL2Factor', 5, 'name', 'conv'],
    )
    for (const layer of [byOptions, byPairs]) {
      const { weights, bias, ...rest } = properties(layer)
      expect(rest).toMatchObject({
        filterSize: [2, 1],
        numFilters: 3,
        stride: [2, 3],
        dilationFactor: [4, 4],
        paddingSize: undefined,
        paddingMode: 'same',
        paddingValue: 'replicate',
        numChannels: 2,
        weightsInitializer: 'orthogonal',
        biasInitializer: 'ones',
        weightLearnRateFactor: 2,
        biasLearnRateFactor: 3,
        weightL2Factor: 4,
        biasL2Factor: 5,
        name: 'conv',
      })
      expect(layer.weights!.size).toEqual([2, 1, 2, 3])
      expect([...layer.bias!.values()]).toEqual([1, 2, 3])
      expect(
        learnablesOf(layer).map(({ name, l2Factor, learnRateFactor }) => [name, l2Factor, learnRateFactor]),
      ).toEqual([
        ['Weights', 4, 2],
        ['Bias', 5, 3],
      ])
    }
  })

  it('take padding in every form', () => {
    const size = (padding: unknown) => convolution2dLayer(3, 1, { padding: padding as never }).paddingSize
    expect(size(2)).toEqual([2, 2, 2, 2])
    expect(size([1, 2])).toEqual([1, 1, 2, 2])
    expect(size([1, 2, 3, 4])).toEqual([1, 2, 3, 4])
    expect(
      size([
        [1, 3],
        [2, 4],
      ]),
    ).toEqual([1, 2, 3, 4])
    expect(convolution1dLayer(3, 1, { padding: 2 }).paddingSize).toEqual([2, 2])
    expect(convolution1dLayer(3, 1, { padding: [1, 2] }).paddingSize).toEqual([1, 2])
    expect(convolution1dLayer(3, 1, { padding: 'causal', dilationFactor: 4 }).paddingSize).toEqual([8, 0])
    expect(convolution3dLayer(3, 1, { padding: [1, 2, 3] }).paddingSize).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    expect(
      convolution3dLayer(3, 1, {
        padding: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      }).paddingSize,
    ).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
  })

  it('find the padding that same amounts to', () => {
    const layer = convolution2dLayer([5, 4], 1, { padding: 'same', stride: 2 })
    initializeLayer(layer, [info([9, 8, 1, 1], 'SSCB')], new RandomStream())
    expect(layer.paddingSize).toEqual([2, 2, 1, 1])
    expect(inferLayer(layer, [info([9, 8, 1, 1], 'SSCB')])[0]!.size).toEqual([5, 4, 1, 1])
    expect(inferLayer(layer, [info([20, 7, 1, 1], 'SSCB')])[0]!.size).toEqual([10, 4, 1, 1])
  })

  it('are handed out as they are kept', () => {
    const layer = convolution2dLayer(3, 1)
    expect(() => (layer.stride as number[]).push(3)).toThrow(TypeError)
    expect(convolution2dLayer(3, 1).stride).toEqual([1, 1])
  })

  it('are refused in words', () => {
    const make = (options: object, filterSize: unknown = 3, numFilters: unknown = 4) =>
      message(() => convolution2dLayer(filterSize as never, numFilters as never, options as never))
    expect(message(() => (convolution2dLayer as () => unknown)())).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected filterSize as argument 1, but got none. Call convolution2dLayer(filterSize, numFilters, options?)."`,
    )
    expect(message(() => (convolution2dLayer as (size: number) => unknown)(5))).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected numFilters as argument 2, but got only one. Call convolution2dLayer(filterSize, numFilters, options?)."`,
    )
    expect(make({}, 3, {})).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected numFilters as argument 2, but got an object. Call convolution2dLayer(filterSize, numFilters, options?)."`,
    )
    expect(make({}, 0)).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a positive whole number, or 2 of them for filterSize, but got 0. It is the extent of each filter in pixels."`,
    )
    expect(make({}, [3, 3, 3])).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a positive whole number, or 2 of them for filterSize, but got [3, 3, 3]. It is the extent of each filter in pixels."`,
    )
    expect(make({}, 3, 1.5)).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a positive whole number for numFilters, but got 1.5. Each filter makes one channel."`,
    )
    expect(make({ stride: 0 })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a positive whole number, or 2 of them for stride, but got 0. It is the step from window to window in pixels."`,
    )
    expect(make({ dilationFactor: [1, -1] })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a positive whole number, or 2 of them for dilationFactor, but got [1, -1]. It is the step between a filter's elements in pixels."`,
    )
    expect(make({ padding: -1 })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]] or 'same' for padding, but got -1. With 'same' the output is as large as the input / stride."`,
    )
    expect(make({ padding: [1, 2, 3] })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]] or 'same' for padding, but got [1, 2, 3]. With 'same' the output is as large as the input / stride."`,
    )
    expect(make({ padding: 'causal' })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]] or 'same' for padding, but got 'causal'. With 'same' the output is as large as the input / stride."`,
    )
    expect(make({ padding: 'valid' })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]] or 'same' for padding, but got 'valid'. With 'same' the output is as large as the input / stride."`,
    )
    expect(make({ paddingValue: 'mirror' })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a number, 'replicate', 'symmetric-include-edge' or 'symmetric-exclude-edge' for paddingValue, but got 'mirror'. The default is 0."`,
    )
    expect(make({ weightsInitializer: 'xavier' })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected 'glorot', 'he', 'orthogonal', 'narrow-normal', 'zeros', 'ones' or a function of the size for weightsInitializer, but got 'xavier'. The default is 'glorot'."`,
    )
    expect(make({ biasInitializer: 'glorot' })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected 'zeros', 'ones', 'narrow-normal' or a function of the size for biasInitializer, but got 'glorot'. The default is 'zeros'."`,
    )
    expect(make({ weights: randn(3, 3, 2, 5) })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected weights of 3×3×channels×4, but got 3×3×2×5. Give filter size by channels by number of filters."`,
    )
    expect(make({ weights: randn(3, 3, 2, 4), numChannels: 3 })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected weights of 3×3×3×4, but got 3×3×2×4. Give filter size by channels by number of filters."`,
    )
    expect(make({ bias: [1, 2, 3] })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected a bias of 4 elements, one for each filter, but got 3 (3×1). Give a vector; the network brings it to its size."`,
    )
    expect(make({ paddingSize: [1, 1, 1, 1] })).toMatchInlineSnapshot(
      `"OptionError: convolution2dLayer: expected options among stride, dilationFactor, paddingValue, numChannels, weightsInitializer, biasInitializer, weights, bias, weightLearnRateFactor, biasLearnRateFactor, weightL2Factor, biasL2Factor, name, padding, but got 'paddingSize'. Did you mean paddingValue?"`,
    )
    expect(message(() => convolution1dLayer(3, 1, { padding: [1, 2, 3] }))).toMatchInlineSnapshot(
      `"OptionError: convolution1dLayer: expected a whole number of 0 or more, [left, right], 'same' or 'causal' for padding, but got [1, 2, 3]. With 'same' the output is as large as the input / stride."`,
    )
    expect(message(() => convolution1dLayer([3, 3], 1))).toMatchInlineSnapshot(
      `"OptionError: convolution1dLayer: expected a positive whole number for filterSize, but got [3, 3]. It is the extent of each filter in pixels."`,
    )
    expect(message(() => convolution3dLayer(3, 1, { padding: [1, 2] }))).toMatchInlineSnapshot(
      `"OptionError: convolution3dLayer: expected a whole number of 0 or more, one for each of 3 dimensions, [[top, left, front], [bottom, right, back]] or 'same' for padding, but got [1, 2]. With 'same' the output is as large as the input / stride."`,
    )
    const layer = convolution2dLayer(3, 4) as unknown as Record<string, unknown>
    const set = (name: string, value: unknown) => message(() => Object.assign(layer, { [name]: value }))
    expect(set('filterSize', [5, 5])).toMatchInlineSnapshot(
      `"OptionError: Convolution2DLayer.filterSize: expected no assignment: the property is read-only, but got a new value. Make a new layer with convolution2dLayer."`,
    )
    expect(set('paddingMode', 'same')).toMatchInlineSnapshot(
      `"OptionError: Convolution2DLayer.paddingMode: expected no assignment: the property is read-only, but got a new value. The properties that can be set are weightsInitializer, biasInitializer, weights, bias, weightLearnRateFactor, biasLearnRateFactor, weightL2Factor, biasL2Factor, name."`,
    )
    expect(set('weights', randn(2, 3, 1, 4))).toMatchInlineSnapshot(
      `"OptionError: Convolution2DLayer: expected weights of 3×3×channels×4, but got 2×3×1×4. Give filter size by channels by number of filters."`,
    )
    expect(set('weightL2Factor', -1)).toMatchInlineSnapshot(
      `"OptionError: Convolution2DLayer: expected a finite number of 0 or more for weightL2Factor, but got -1. It multiplies the L2 regularization; 0 turns it off."`,
    )
  })
})

describe('sizes', () => {
  const cases: [string, () => Layer, [number[], string], number[], number[], number[]][] = [
    ['1-D over S', () => convolution1dLayer(3, 8), [[10, 2, 4], 'SCB'], [8, 8, 4], [3, 2, 8], [1, 8]],
    ['1-D over T', () => convolution1dLayer(3, 8), [[2, 4, 10], 'CBT'], [8, 4, 8], [3, 2, 8], [1, 8]],
    [
      '1-D causal',
      () => convolution1dLayer(3, 8, { padding: 'causal' }),
      [[2, 4, 10], 'CBT'],
      [8, 4, 10],
      [3, 2, 8],
      [1, 8],
    ],
    ['1-D over S of SCBT', () => convolution1dLayer(3, 8), [[10, 2, 4, 5], 'SCBT'], [8, 8, 4, 5], [3, 2, 8], [1, 8]],
    ['2-D', () => convolution2dLayer(5, 20), [[28, 28, 3, 7], 'SSCB'], [24, 24, 20, 7], [5, 5, 3, 20], [1, 1, 20]],
    [
      '2-D without B',
      () => convolution2dLayer([5, 3], 2, { stride: 2 }),
      [[28, 28, 3], 'SSC'],
      [12, 13, 2],
      [5, 3, 3, 2],
      [1, 1, 2],
    ],
    [
      '2-D over SS of SSCBT',
      () => convolution2dLayer(2, 6),
      [[4, 5, 3, 2, 6], 'SSCBT'],
      [3, 4, 6, 2, 6],
      [2, 2, 3, 6],
      [1, 1, 6],
    ],
    [
      '2-D over S and T',
      () => convolution2dLayer([2, 3], 6),
      [[4, 3, 2, 6], 'SCBT'],
      [3, 6, 2, 4],
      [2, 3, 3, 6],
      [1, 1, 6],
    ],
    ['3-D', () => convolution3dLayer(2, 6), [[4, 5, 6, 3, 2], 'SSSCB'], [3, 4, 5, 6, 2], [2, 2, 2, 3, 6], [1, 1, 1, 6]],
    [
      '3-D over SS and T',
      () => convolution3dLayer([1, 2, 3], 6),
      [[4, 5, 3, 2, 6], 'SSCBT'],
      [4, 4, 6, 2, 4],
      [1, 2, 3, 3, 6],
      [1, 1, 1, 6],
    ],
    ['one filter', () => convolution2dLayer(1, 1), [[4, 5, 1, 2], 'SSCB'], [4, 5, 1, 2], [1, 1], [1, 1]],
  ]

  it.each(cases)('%s', (_, make, [size, dims], output, weights, bias) => {
    const layer = make()
    expect(inferLayer(layer, [info(size, dims)])).toEqual([info(output, dims)])
    initializeLayer(layer, [info(size, dims)], new RandomStream(1))
    const [W, b] = learnablesOf(layer)
    expect(W!.value!.size).toEqual(weights)
    expect(b!.value!.size).toEqual(bias)
    const [Y] = runLayer(layer, [dlarray(randn(size), dims)], undefined, context)
    expect(Y!.size).toEqual(output)
    expect(Y!.dims).toBe(dims)
  })

  it('are refused with layer, format and both numbers', () => {
    const infer = (layer: Layer, size: number[], dims: string) => message(() => inferLayer(layer, [info(size, dims)]))
    const layer = convolution2dLayer(5, 20, { name: 'conv', numChannels: 3 })
    expect(infer(layer, [28, 28, 7, 16], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'conv' (2-D Convolution: 20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]): expected 3 channels (numChannels), but got 7 in 28(S) × 28(S) × 7(C) × 16(B). Give numChannels 7 and weights for them, or 'auto'."`,
    )
    expect(infer(layer, [28, 3, 16], 'SCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'conv' (2-D Convolution: 20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]): expected an input with channels (C) and 2 spatial dimensions (S), or 1 and time (T), such as SSCB or SCBT, but got 28(S) × 3(C) × 16(B): 1 spatial dimension. Check the format of the data, or use the layer for that number of dimensions."`,
    )
    expect(infer(layer, [28, 28, 28, 3, 1], 'SSSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'conv' (2-D Convolution: 20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]): expected an input with channels (C) and 2 spatial dimensions (S), or 1 and time (T), such as SSCB or SCBT, but got 28(S) × 28(S) × 28(S) × 3(C) × 1(B): 3 spatial dimensions. Check the format of the data, or use the layer for that number of dimensions."`,
    )
    expect(infer(layer, [28, 28, 16], 'SSB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'conv' (2-D Convolution: 20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]): expected an input with channels (C) and 2 spatial dimensions (S), or 1 and time (T), such as SSCB or SCBT, but got 28(S) × 28(S) × 16(B): 2 spatial dimensions, no channels. Check the format of the data, or use the layer for that number of dimensions."`,
    )
    expect(infer(layer, [4, 28, 3, 1], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'conv' (2-D Convolution: 20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]): expected a filter that is not larger than the padded image, but got a filter reaching over 5×5 for an image of 4×28 padded by 0, 0 before and 0, 0 after; the input is 4(S) × 28(S) × 3(C) × 1(B). Use a smaller filter or dilationFactor, or more padding ('same' keeps the size)."`,
    )
    expect(infer(convolution2dLayer(2, 3, { weights: randn(2, 2, 4, 3) }), [8, 8, 3, 1], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (2-D Convolution: 3 2×2 convolutions with stride [1  1] and padding [0  0  0  0]): expected Weights of size 2×2×3×3, but got 2×2×4×3; the input is 8(S) × 8(S) × 3(C) × 1(B). Give Weights that size, or leave it out to have it initialized."`,
    )
    expect(infer(convolution1dLayer(2, 3), [8, 8], 'CB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (1-D Convolution: 3 2 convolutions with stride 1 and padding [0  0]): expected an input with channels (C) and 1 spatial dimension (S), or time (T), such as SCB or CBT, but got 8(C) × 8(B): 0 spatial dimensions. Check the format of the data, or use the layer for that number of dimensions."`,
    )
  })
})

describe('values', () => {
  const double = { type: 'double', stream: new RandomStream(2) } as const

  it('are those of dlconv', () => {
    const X = dlarray(randn([9, 8, 3, 2], double), 'SSCB')
    const weights = randn([3, 2, 3, 4], double)
    const bias = randn([4, 1], double)
    const padding = [1, 0, 2, 1]
    const layer = convolution2dLayer([3, 2], 4, {
      weights,
      bias,
      stride: [2, 1],
      dilationFactor: [1, 2],
      padding,
      paddingValue: 'symmetric-exclude-edge',
    })
    initializeLayer(layer, [X], new RandomStream())
    const [Y] = runLayer(layer, [X], undefined, context)
    const expected = dlconv(X, weights, bias, {
      stride: [2, 1],
      dilationFactor: [1, 2],
      padding: [
        [1, 2],
        [0, 1],
      ],
      paddingValue: 'symmetric-exclude-edge',
    })
    expect(inferLayer(layer, [X])[0]!.size).toEqual(Y!.size)
    expectClose(Y!.values(), expected.values(), DOUBLE)
  })

  it('over S and T are those of the same image without time', () => {
    const X = randn([6, 3, 1, 7], double)
    const weights = randn([2, 3, 3, 4], double)
    const layer = convolution2dLayer([2, 3], 4, { weights, bias: dlarray([1, 2, 3, 4], { type: 'double' }) })
    const sequence = dlarray(X, 'SCBT')
    initializeLayer(layer, [sequence], new RandomStream())
    const [Y] = runLayer(layer, [sequence], undefined, context)
    const image = dlarray(X, 'SCBS')
    const [Z] = runLayer(layer, [image], undefined, context)
    // Y is [5, 4 channels, 1, 5 steps], Z [5, 5 columns, 4 channels, 1].
    const y = Y!.values()
    const z = Z!.values()
    for (let s = 0; s < 5; s++)
      for (let c = 0; c < 4; c++)
        for (let t = 0; t < 5; t++)
          expect(Math.abs(y[s + 5 * (c + 4 * t)]! - z[s + 5 * (t + 5 * c)]!)).toBeLessThan(1e-12)
  })

  it('of a causal convolution do not see the future', () => {
    const layer = convolution1dLayer(3, 1, { padding: 'causal', weights: [[[1]], [[10]], [[100]]], bias: 0 })
    const X = dlarray([[[1, 2, 3, 4]]], 'CBT')
    initializeLayer(layer, [X], new RandomStream())
    const [Y] = runLayer(layer, [X], undefined, context)
    expect([...Y!.values()]).toEqual([100, 210, 321, 432])
  })
})
