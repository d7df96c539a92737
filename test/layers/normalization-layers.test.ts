import { beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setBackend } from '../../src/backends/current.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { type Layer, properties } from '../../src/layers/layer.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { getFactor, learnablesOf, stateOf } from '../../src/layers/layer-parameters.js'
import { evaluateLayer, inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { batchnorm } from '../../src/operations/normalization/batchnorm.js'
import { groupnorm } from '../../src/operations/normalization/groupnorm.js'
import { layernorm } from '../../src/operations/normalization/layernorm.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

const prediction = { training: false, random: new RandomStream() }
const training = { training: true, random: new RandomStream() }

/** Offset and scale, and what every layer has. */
const shared = {
  epsilon: 1e-5,
  numChannels: 'auto',
  scaleInitializer: 'ones',
  offsetInitializer: 'zeros',
  scale: undefined,
  offset: undefined,
  scaleLearnRateFactor: 1,
  offsetLearnRateFactor: 1,
  scaleL2Factor: 1,
  offsetL2Factor: 1,
  name: '',
  numInputs: 1,
  inputNames: ['in'],
  numOutputs: 1,
  outputNames: ['out'],
}

describe('properties', () => {
  it('have the defaults of the documentation', () => {
    expect(properties(batchNormalizationLayer())).toEqual({
      ...shared,
      trainedMean: undefined,
      trainedVariance: undefined,
      meanDecay: 0.1,
      varianceDecay: 0.1,
    })
    expect(properties(groupNormalizationLayer(3))).toEqual({ ...shared, numGroups: 3 })
    expect(properties(layerNormalizationLayer())).toEqual({ ...shared, operationDimension: 'auto' })
  })

  it('keep what is given, by options and by pairs in any case', () => {
    for (const layer of [
      batchNormalizationLayer({
        epsilon: 1e-3,
        meanDecay: 0.2,
        varianceDecay: 0,
        trainedMean: [1, 2],
        trainedVariance: [3, 4],
        scaleL2Factor: 0,
        name: 'bn',
      }),
      batchNormalizationLayer(
        ...(['Epsilon', 1e-3, 'MEANDECAY', 0.2, 'variancedecay', 0, 'TrainedMean', [1, 2]] as const),
        ...['TrainedVariance', [3, 4], 'ScaleL2Factor', 0, 'Name', 'bn'],
      ),
    ]) {
      expect(layer).toMatchObject({ epsilon: 1e-3, meanDecay: 0.2, varianceDecay: 0, scaleL2Factor: 0, name: 'bn' })
      expect([...layer.trainedMean!.values(), ...layer.trainedVariance!.values()]).toEqual([1, 2, 3, 4])
      expect(getFactor(layer, 'Scale', 'l2')).toBe(0)
    }
    for (const layer of [
      groupNormalizationLayer('channel-wise', { epsilon: 0.1, name: 'gn' }),
      groupNormalizationLayer('channel-wise', 'Epsilon', 0.1, 'Name', 'gn'),
    ])
      expect(layer).toMatchObject({ numGroups: 'channel-wise', epsilon: 0.1, name: 'gn' })
    for (const layer of [
      layerNormalizationLayer({ operationDimension: 'channel-only', offsetLearnRateFactor: 2 }),
      layerNormalizationLayer('OperationDimension', 'channel-only', 'OffsetLearnRateFactor', 2),
    ])
      expect(layer).toMatchObject({ operationDimension: 'channel-only', offsetLearnRateFactor: 2 })
  })

  it('can be set where MATLAB lets them', () => {
    const layer = batchNormalizationLayer()
    layer.meanDecay = 0.5
    layer.trainedVariance = [1, 2, 3]
    expect(layer.meanDecay).toBe(0.5)
    expect([...layer.trainedVariance!.values()]).toEqual([1, 2, 3])
    expect(message(() => Reflect.set(groupNormalizationLayer(2), 'numGroups', 3))).toMatchInlineSnapshot(
      `"OptionError: GroupNormalizationLayer.numGroups: expected no assignment: the property is read-only, but got a new value. Make a new layer with groupNormalizationLayer."`,
    )
  })

  it('are refused in words', () => {
    const batch = (options: object) => message(() => batchNormalizationLayer(options))
    expect(batch({ meanDecay: 1.5 })).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected a number from 0 to 1 for meanDecay, but got 1.5. It is the part of each mini-batch in the statistics kept for prediction; the default is 0.1."`,
    )
    expect(batch({ trainedVariance: [1, -2] })).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected variances of 0 or more for trainedVariance, but got -2. Give the variance of each channel."`,
    )
    expect(batch({ trainedMean: [1, 2], scale: [1, 2, 3] })).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected one element for each channel in scale and in trainedMean, but got 3 in scale and 2 in trainedMean. Give both as many; assign [] to one first to change both."`,
    )
    expect(batch({ trainedMean: [1, 2], numChannels: 3 })).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected 3 elements, one for each channel, for trainedMean, but got 2 (2×1). Give a vector; the network brings it to the size for its kind of input."`,
    )
    expect(batch({ decay: 1 })).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected options among trainedMean, trainedVariance, epsilon, numChannels, scaleInitializer, offsetInitializer, scale, offset, meanDecay, varianceDecay, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name, but got 'decay'. Did you mean meanDecay?"`,
    )
    expect(message(() => groupNormalizationLayer(0))).toMatchInlineSnapshot(
      `"OptionError: groupNormalizationLayer: expected a positive whole number, 'all-channels' or 'channel-wise' for numGroups, but got 0. It divides the number of channels; 'all-channels' makes one group of all, 'channel-wise' one of each."`,
    )
    expect(message(() => groupNormalizationLayer('all' as never))).toMatchInlineSnapshot(
      `"OptionError: groupNormalizationLayer: expected a positive whole number, 'all-channels' or 'channel-wise' for numGroups, but got 'all'. It divides the number of channels; 'all-channels' makes one group of all, 'channel-wise' one of each."`,
    )
    expect(message(() => (groupNormalizationLayer as () => unknown)())).toMatchInlineSnapshot(
      `"OptionError: groupNormalizationLayer: expected numGroups as argument 1, but got none. Call groupNormalizationLayer(numGroups, options?)."`,
    )
    expect(message(() => layerNormalizationLayer({ operationDimension: 'time' as never }))).toMatchInlineSnapshot(
      `"OptionError: layerNormalizationLayer: expected 'auto', 'channel-only', 'spatial-channel', 'batch-excluded' for operationDimension, but got 'time'. The default is 'auto'."`,
    )
    expect(message(() => layerNormalizationLayer({ epsilon: -1 }))).toMatchInlineSnapshot(
      `"OptionError: layerNormalizationLayer: expected a positive finite number for epsilon, but got -1. It is added to the variance; the default is 1e-5."`,
    )
  })
})

const kinds: [string, number[], number[]][] = [
  ['CB', [20, 16], [20, 1]],
  ['CBT', [20, 16, 9], [20, 1]],
  ['SCB', [8, 20, 4], [1, 20]],
  ['SCBT', [8, 20, 4, 3], [1, 20]],
  ['SSCB', [8, 7, 20, 4], [1, 1, 20]],
  ['SSSC', [3, 4, 5, 20], [1, 1, 1, 20]],
]

describe('parameters', () => {
  it.each(kinds)('have the size for %s', (dims, size, expected) => {
    for (const layer of [batchNormalizationLayer(), groupNormalizationLayer(4), layerNormalizationLayer()]) {
      initializeLayer(layer, [info(size, dims)], new RandomStream())
      expect(learnablesOf(layer).map(({ name, value }) => [name, value!.size])).toEqual([
        ['Offset', expected],
        ['Scale', expected],
      ])
      expect(layer.numChannels).toBe(20)
      expect(inferLayer(layer, [info(size, dims)])).toEqual([info(size, dims)])
    }
    const layer = batchNormalizationLayer({ trainedMean: Array.from({ length: 20 }, (_, i) => i) })
    initializeLayer(layer, [info(size, dims)], new RandomStream())
    expect(stateOf(layer).map(({ name, value }) => [name, value!.size, value!.values()[3]])).toEqual([
      ['TrainedMean', expected, 3],
      ['TrainedVariance', expected, 1],
    ])
  })

  it('are refused by an input they do not fit', () => {
    const initialized = (layer: Layer, size: number[], dims: string) =>
      message(() => initializeLayer(layer, [info(size, dims)], new RandomStream()))
    expect(initialized(groupNormalizationLayer(2, { name: 'norm' }), [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Group Normalization): expected channels that can be divided into 2 groups, but got 3 channels; the input is 8(S) × 8(S) × 3(C) × 2(B). Give a number of groups that divides the number of channels."`,
    )
    expect(initialized(batchNormalizationLayer({ numChannels: 4 }), [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Batch Normalization: Batch normalization with 4 channels): expected 4 channels (numChannels), but got 3 in 8(S) × 8(S) × 3(C) × 2(B). Give numChannels 3, or 'auto'."`,
    )
    expect(
      initialized(batchNormalizationLayer({ trainedMean: [1, 2, 3, 4] }), [8, 8, 3, 2], 'SSCB'),
    ).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Batch Normalization): expected 3 elements in TrainedMean, one for each channel, but got 4 (4×1); the input is 8(S) × 8(S) × 3(C) × 2(B). Give TrainedMean that size, or leave it out to have it initialized."`,
    )
    expect(initialized(layerNormalizationLayer(), [8, 8], 'SB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Layer Normalization): expected an input with a channel dimension (C), but got 8(S) × 8(B). Label the channel dimension C."`,
    )
  })
})

describe('values', () => {
  const shapes: [string, number[]][] = [
    ['SSCB', [5, 4, 6, 2]],
    ['CB', [6, 5]],
    ['CBT', [6, 2, 7]],
    ['SCBT', [2, 6, 2, 4]],
  ]
  const array = (values: number[]) => dlarray(values, { type: 'double' })
  const offset = array([1, 2, 3, 4, 5, 6])
  const scale = array([2, -1, 0.5, 3, 1, 1])
  const mean = array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
  const variance = array([1, 2, 3, 4, 5, 6])
  const cases: [string, () => Layer, (X: DlArray) => DlArray][] = [
    [
      'group',
      () => groupNormalizationLayer(3, { offset, scale, epsilon: 0.1 }),
      (X) => groupnorm(X, 3, offset, scale, { epsilon: 0.1 }),
    ],
    ['layer', () => layerNormalizationLayer({ offset, scale }), (X) => layernorm(X, offset, scale)],
    [
      'layer, channels only',
      () => layerNormalizationLayer({ offset, scale, operationDimension: 'channel-only' }),
      (X) => layernorm(X, offset, scale, { operationDimension: 'channel-only' }),
    ],
    [
      'batch',
      () => batchNormalizationLayer({ offset, scale, trainedMean: mean, trainedVariance: variance, epsilon: 0.1 }),
      (X) => batchnorm(X, offset, scale, mean, variance, { epsilon: 0.1 }),
    ],
  ]
  it.each(
    cases.flatMap(([name, make, compute]) => shapes.map(([dims, size]) => [name, dims, size, make, compute] as const)),
  )('%s normalization of %s %s', (_, dims, size, make, compute) => {
    const X = dlarray(randn(size, { type: 'double', stream: new RandomStream(3) }), dims)
    const layer = make()
    initializeLayer(layer, [X], new RandomStream())
    const [Y] = runLayer(layer, [X], undefined, prediction)
    expect(Y!.dims).toBe(dims)
    expectClose(Y!.values(), compute(X).values(), DOUBLE)
    if (layer.className === 'BatchNormalizationLayer') return
    const result = evaluateLayer(layer, [X], undefined, training)
    expect(result.outputs[0]!.values()).toEqual(Y!.values())
    expect(result.state).toBeUndefined()
  })

  it.each(shapes)('batch normalization of %s in training: its own statistics, and new state', (dims, size) => {
    const X = dlarray(randn(size, { type: 'double', stream: new RandomStream(3) }), dims)
    const options = { offset, scale, trainedMean: mean, trainedVariance: variance }
    const layer = batchNormalizationLayer({ ...options, meanDecay: 0.25, varianceDecay: 0.5 })
    initializeLayer(layer, [X], new RandomStream())
    const { outputs, state } = evaluateLayer(layer, [X], undefined, training)
    expectClose(outputs[0]!.values(), batchnorm(X, offset, scale).values(), DOUBLE)
    // sums over all but the channel, in order
    const channel = dims.indexOf('C')
    const inner = size.slice(0, channel).reduce((a, b) => a * b, 1)
    const values = X.values()
    for (let c = 0; c < 6; c++) {
      const own = [...values].filter((_, i) => Math.floor(i / inner) % 6 === c)
      const mu = own.reduce((a, b) => a + b, 0) / own.length
      const sigmaSq = own.reduce((a, b) => a + (b - mu) ** 2, 0) / own.length
      expect(state!.TrainedMean!.values()[c]).toBeCloseTo(0.25 * mu + 0.75 * mean.values()[c]!, 12)
      expect(state!.TrainedVariance!.values()[c]).toBeCloseTo(0.5 * sigmaSq + 0.5 * variance.values()[c]!, 12)
    }
    expect(state!.TrainedMean!.size).toEqual(layer.trainedMean!.size)
    // The layer itself is as it was: networks keep the state.
    expect([...layer.trainedMean!.values()]).toEqual([...mean.values()])
  })

  it('state keeps its class', () => {
    const layer = batchNormalizationLayer({ offset, scale })
    const X = dlarray(randn([6, 5], { type: 'double' }), 'CB')
    initializeLayer(layer, [X], new RandomStream())
    const { outputs, state } = evaluateLayer(layer, [X], undefined, training)
    expect(outputs[0]!.underlyingType).toBe('double')
    expect(state!.TrainedMean!.underlyingType).toBe('single')
  })
})
