import { beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setBackend } from '../../src/backends/current.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { type NormalizingLayer, needsStatistics, setStatistics } from '../../src/layers/input-normalization.js'
import { copyLayer, inputInfo, isInputLayer, type Layer, properties } from '../../src/layers/layer.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { stripdims } from '../../src/operations/arrays/relabel.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose, SINGLE } from '../support/close.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('properties', () => {
  it('have the defaults of the documentation', () => {
    expect(properties(imageInputLayer([28, 28]))).toEqual({
      inputSize: [28, 28, 1],
      normalization: 'zerocenter',
      normalizationDimension: 'auto',
      mean: undefined,
      standardDeviation: undefined,
      min: undefined,
      max: undefined,
      splitComplexInputs: false,
      name: '',
      numInputs: 0,
      inputNames: [],
      numOutputs: 1,
      outputNames: ['out'],
    })
    expect(properties(sequenceInputLayer(12))).toMatchObject({ inputSize: 12, minLength: 1, normalization: 'none' })
    expect(featureInputLayer(4).normalization).toBe('none')
    expect(image3dInputLayer([2, 3, 4]).inputSize).toEqual([2, 3, 4, 1])
    expect(image3dInputLayer([2, 3, 4]).normalization).toBe('zerocenter')
    expect(sequenceInputLayer([5]).inputSize).toBe(5)
  })

  it('keep what is given, statistics brought to their size', () => {
    const layer = imageInputLayer(
      [4, 5, 3],
      ...['Normalization', 'zscore', 'NormalizationDimension', 'channel', 'Mean', [1, 2, 3]],
      ...['StandardDeviation', [[[4, 5, 6]]], 'Name', 'in'],
    )
    expect(properties(layer)).toMatchObject({ normalization: 'zscore', normalizationDimension: 'channel', name: 'in' })
    expect(layer.mean!.size).toEqual([1, 1, 3])
    expect(layer.standardDeviation!.size).toEqual([1, 1, 3])
    layer.mean = randn(4, 5, 3)
    expect(layer.mean!.size).toEqual([4, 5, 3])
    layer.mean = 7
    expect(layer.mean!.item()).toBe(7)
    const sequence = sequenceInputLayer([5, 2], { minLength: 3, normalization: 'rescale-zero-one', min: [0, 1] })
    expect(sequence.min!.size).toEqual([1, 2])
    expect(sequence.minLength).toBe(3)
    const feature = featureInputLayer(3, { normalization: 'zerocenter', mean: [[1, 2, 3]] })
    expect(feature.mean!.size).toEqual([3, 1])
  })

  it('are refused in words', () => {
    const make = (options: object, size: unknown = [28, 28, 3]) =>
      message(() => imageInputLayer(size as never, options as never))
    expect(message(() => (imageInputLayer as () => unknown)())).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected inputSize as argument 1, but got none. Call imageInputLayer(inputSize, options?)."`,
    )
    expect(make({}, 28)).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected [height, width, channels] or, with one channel, [height, width] in positive whole numbers for inputSize, but got 28. Write imageInputLayer([28, 28, 3])."`,
    )
    expect(make({}, [28, 28, 3, 1])).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected [height, width, channels] or, with one channel, [height, width] in positive whole numbers for inputSize, but got [28, 28, 3, 1]. Write imageInputLayer([28, 28, 3])."`,
    )
    expect(make({}, [28, -28])).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected [height, width, channels] or, with one channel, [height, width] in positive whole numbers for inputSize, but got [28, -28]. Write imageInputLayer([28, 28, 3])."`,
    )
    expect(make({ normalization: 'zero' })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected 'zerocenter', 'zscore', 'rescale-symmetric', 'rescale-zero-one', 'none' or a function of the data for normalization, but got 'zero'. The default is 'zerocenter'."`,
    )
    expect(make({ normalizationDimension: 'batch' })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected 'auto', 'channel', 'element' or 'all' for normalizationDimension, but got 'batch'. The default, 'auto', normalizes each channel."`,
    )
    expect(make({ mean: [1, 2] })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected 1×1×3, 28×28×3 or one number for mean, but got 2×1. Give one number for each channel, or for each element of an observation."`,
    )
    expect(make({ max: randn(28, 28) })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected 1×1×3, 28×28×3 or one number for max, but got 28×28. Give one number for each channel, or for each element of an observation."`,
    )
    expect(make({ splitComplexInputs: true })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected splitComplexInputs false, but got true. There are no complex arrays: give real and imaginary parts as channels."`,
    )
    expect(make({ dataAugmentation: 'none' })).toMatchInlineSnapshot(
      `"OptionError: imageInputLayer: expected options among normalization, normalizationDimension, mean, standardDeviation, min, max, splitComplexInputs, name, but got 'dataAugmentation'. Check the spelling, or leave it out."`,
    )
    expect(message(() => image3dInputLayer([28, 28]))).toMatchInlineSnapshot(
      `"OptionError: image3dInputLayer: expected [height, width, depth, channels] or, with one channel, [height, width, depth] in positive whole numbers for inputSize, but got [28, 28]. Write image3dInputLayer([28, 28, 28, 3])."`,
    )
    expect(message(() => featureInputLayer(0))).toMatchInlineSnapshot(
      `"OptionError: featureInputLayer: expected a positive whole number for inputSize, but got 0. It is the number of features."`,
    )
    expect(message(() => featureInputLayer([4] as never))).toMatchInlineSnapshot(
      `"OptionError: featureInputLayer: expected a positive whole number for inputSize, but got [4]. It is the number of features."`,
    )
    expect(message(() => featureInputLayer(4, { mean: [1, 2] }))).toMatchInlineSnapshot(
      `"OptionError: featureInputLayer: expected 4×1 or one number for mean, but got 2×1. Give one number for each channel, or for each element of an observation."`,
    )
    expect(() => sequenceInputLayer([1, 2, 3, 4, 5])).not.toThrow()
    expect(message(() => sequenceInputLayer(4, { minLength: 0 }))).toMatchInlineSnapshot(
      `"OptionError: sequenceInputLayer: expected a positive whole number for minLength, but got 0. It is the smallest number of time steps; the default is 1."`,
    )
    expect(message(() => inputLayer([28, 28, 3], 'SSCB'))).toMatchInlineSnapshot(
      `"OptionError: inputLayer: expected as many extents as the format 'SSCB' has labels (4), but got 3 ([28, 28, 3]). Give the extent of each dimension; NaN for the batch."`,
    )
    expect(message(() => inputLayer([28, 28], 'SX'))).toMatchInlineSnapshot(
      `"DimensionError: inputLayer: expected a format made of the labels S, C, B, T and U, but got 'SX' with 'X'. Label each dimension S (spatial), C (channel), B (batch), T (time) or U (unspecified)."`,
    )
    expect(message(() => inputLayer([28.5], 'C'))).toMatchInlineSnapshot(
      `"OptionError: inputLayer: expected a list of whole numbers, or NaN for any extent for inputSize, but got [28.5]. Write inputLayer([28, 28, 3, NaN], 'SSCB')."`,
    )
    expect(message(() => inputLayer([28, 28], 5 as never))).toMatchInlineSnapshot(
      `"OptionError: inputLayer: expected text of labels for inputFormat, but got 5. Write inputLayer([28, 28, 3, NaN], 'SSCB')."`,
    )
    const layer = imageInputLayer([28, 28, 3])
    expect(message(() => Object.assign(layer, { inputSize: [3, 3, 3] }))).toMatchInlineSnapshot(
      `"OptionError: ImageInputLayer.inputSize: expected no assignment: the property is read-only, but got a new value. Make a new layer with imageInputLayer."`,
    )
    expect(message(() => Object.assign(layer, { mean: [1, 2] }))).toMatchInlineSnapshot(
      `"OptionError: ImageInputLayer: expected 1×1×3, 28×28×3 or one number for mean, but got 2×1. Give one number for each channel, or for each element of an observation."`,
    )
  })
})

describe('data', () => {
  const cases: [string, () => Layer, [number[], string], [number[], string]][] = [
    ['image', () => imageInputLayer([4, 5, 3]), [[4, 5, 3, 7], 'SSCB'], [[4, 5, 3, 1], 'SSCB']],
    ['one image', () => imageInputLayer([4, 5, 3]), [[4, 5, 3], 'SSC'], [[4, 5, 3, 1], 'SSCB']],
    ['volume', () => image3dInputLayer([4, 5, 6, 3]), [[4, 5, 6, 3, 2], 'SSSCB'], [[4, 5, 6, 3, 1], 'SSSCB']],
    ['features', () => featureInputLayer(4), [[4, 9], 'CB'], [[4, 1], 'CB']],
    ['sequence', () => sequenceInputLayer(4, { minLength: 5 }), [[4, 9, 8], 'CBT'], [[4, 1, 5], 'CBT']],
    ['sequence without B', () => sequenceInputLayer(4), [[4, 8], 'CT'], [[4, 1, 1], 'CBT']],
    ['video', () => sequenceInputLayer([4, 5, 3]), [[4, 5, 3, 9, 8], 'SSCBT'], [[4, 5, 3, 1, 1], 'SSCBT']],
    ['anything', () => inputLayer([3, Number.NaN, 5], 'CBS'), [[5, 3, 9], 'SCB'], [[5, 3, 1], 'SCB']],
  ]

  it.each(cases)('passes: %s', (_, make, [size, dims], [infoSize, infoDims]) => {
    const layer = make()
    expect(isInputLayer(layer)).toBe(true)
    expect(inputInfo(layer)).toEqual(info(infoSize, infoDims))
    expect(inferLayer(layer, [info(size, dims)])).toEqual([info(size, dims)])
    initializeLayer(layer, [info(infoSize, infoDims)], new RandomStream())
    const X = dlarray(randn(size), dims)
    const [Y] = runLayer(layer, [X], undefined, context)
    // Neutral statistics change nothing.
    expect(Y!.dims).toBe(dims)
    expect(Y!.values()).toEqual(X.values())
  })

  it('gets labels when it has none', () => {
    const run = (layer: Layer, size: number[]) => {
      const X = randn(size)
      const [inferred] = inferLayer(layer, [X])
      const [Y] = runLayer(layer, [X], undefined, context)
      expect(inferred).toEqual({ size: Y!.size, dims: Y!.dims, type: 'single' })
      return [Y!.dims, Y!.size]
    }
    const none = { normalization: 'none' } as const
    expect(run(imageInputLayer([4, 5, 3], none), [4, 5, 3, 2])).toEqual(['SSCB', [4, 5, 3, 2]])
    expect(run(imageInputLayer([4, 5, 3], none), [4, 5, 3])).toEqual(['SSCB', [4, 5, 3, 1]])
    expect(run(featureInputLayer(3), [7, 3])).toEqual(['CB', [3, 7]])
    expect(run(sequenceInputLayer(3), [9, 3, 2])).toEqual(['CBT', [3, 2, 9]])
    expect(run(sequenceInputLayer([4, 5, 3]), [4, 5, 3, 9, 2])).toEqual(['SSCBT', [4, 5, 3, 2, 9]])
    expect(run(inputLayer([Number.NaN, 3], 'BC'), [7, 3])).toEqual(['CB', [3, 7]])
    expect(run(inputLayer([Number.NaN, 3]), [7, 3])).toEqual(['', [7, 3]])
  })

  it('that does not fit is refused with both numbers', () => {
    const infer = (layer: Layer, size: number[], dims: string) => message(() => inferLayer(layer, [info(size, dims)]))
    expect(infer(featureInputLayer(4, { name: 'in' }), [4, 9], 'SB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'in' (Feature Input: 4 features): expected 0 spatial dimensions (S), but got 1 in 4(S) × 9(B). Label the data CB."`,
    )
    expect(infer(featureInputLayer(4, { name: 'in' }), [5, 9], 'CB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'in' (Feature Input: 4 features): expected 4 channels, but got 5 in 5(C) × 9(B). Resize the data, or give the layer the size of the data."`,
    )
    expect(infer(imageInputLayer([28, 28, 3]), [28, 28, 1, 9], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Image Input: 28×28×3 images with 'zerocenter' normalization): expected observations of 28×28×3, but got 28×28×1 in 28(S) × 28(S) × 1(C) × 9(B). Resize the data, or give the layer the size of the data."`,
    )
    expect(infer(imageInputLayer([28, 28, 3]), [28, 28, 3, 9, 2], 'SSCBT')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Image Input: 28×28×3 images with 'zerocenter' normalization): expected data labelled SSCB (B may be missing) of 28×28×3, but got format SSCBT in 28(S) × 28(S) × 3(C) × 9(B) × 2(T). Label the data SSCB."`,
    )
    expect(infer(imageInputLayer([28, 28, 3]), [28, 28, 9], 'SSB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Image Input: 28×28×3 images with 'zerocenter' normalization): expected data labelled SSCB (B may be missing) of 28×28×3, but got format SSB in 28(S) × 28(S) × 9(B). Label the data SSCB."`,
    )
    expect(infer(imageInputLayer([28, 28, 3]), [28, 28, 3, 2, 2], '')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Image Input: 28×28×3 images with 'zerocenter' normalization): expected data labelled SSCB (B may be missing) of 28×28×3, but got 5 dimensions in 28×28×3×2×2 unformatted. Label the data SSCB."`,
    )
    expect(infer(sequenceInputLayer(4), [4, 9], 'CB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Sequence Input: Sequence input with 4 dimensions): expected data labelled CBT (B may be missing) of 4, but got format CB in 4(C) × 9(B). Label the data CBT."`,
    )
    expect(infer(sequenceInputLayer(4, { minLength: 5 }), [4, 9, 4], 'CBT')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Sequence Input: Sequence input with 4 dimensions): expected at least 5 time steps (minLength), but got 4 in 4(C) × 9(B) × 4(T). Pad short sequences."`,
    )
    expect(infer(inputLayer([3, Number.NaN], 'CB'), [4, 9], 'CB')).toMatchInlineSnapshot(
      `"NetworkError: layer '' (Input: 3×NaN input with format 'CB'): expected data of 3(C) × NaN(B), but got 4(C) × 9(B). NaN in the size of the input layer stands for any extent."`,
    )
    const layer = imageInputLayer([4, 4, 1], { name: 'in' })
    const run = () => runLayer(layer, [dlarray(randn(4, 4, 1, 2), 'SSCB')], undefined, context)
    expect(message(run)).toMatchInlineSnapshot(
      `"NetworkError: layer 'in' (Image Input: 4×4×1 images with 'zerocenter' normalization): expected mean for its normalization, but got an empty one. Train or initialize the network, or give the layer its statistics."`,
    )
  })

  it('of unknown extent decides no sizes', () => {
    expect(inputInfo(inputLayer([Number.NaN, 28, 3, Number.NaN], 'SSCB'))).toBeUndefined()
    expect(inputInfo(inputLayer([28, 28, 3, Number.NaN], 'SSCB'))).toEqual(info([28, 28, 3, 1], 'SSCB'))
    expect(inputInfo(reluLayer())).toBeUndefined()
    expect(isInputLayer(reluLayer())).toBe(false)
  })
})

describe('normalization', () => {
  const X = dlarray(randn([4, 3, 2, 5], { type: 'double', stream: new RandomStream(9) }), 'SSCB')
  const values = X.values()
  const channel = (i: number) => Math.floor(i / 12) % 2
  const statistics = { mean: [1, -2], standardDeviation: [2, 3], min: [-1, -3], max: [2, 5] }
  const { mean: m, standardDeviation: s, min: a, max: b } = statistics

  it.each<
    [Exclude<NormalizingLayer['normalization'], (...given: never[]) => unknown>, (x: number, c: number) => number]
  >([
    ['zerocenter', (x, c) => x - m[c]!],
    ['zscore', (x, c) => (x - m[c]!) / s[c]!],
    ['rescale-symmetric', (x, c) => (2 * (x - a[c]!)) / (b[c]! - a[c]!) - 1],
    ['rescale-zero-one', (x, c) => (x - a[c]!) / (b[c]! - a[c]!)],
    ['none', (x) => x],
  ])('%s', (normalization, expected) => {
    const layer = imageInputLayer([4, 3, 2], { normalization, ...statistics })
    const [Y] = runLayer(layer, [X], undefined, context)
    expect(Y!.underlyingType).toBe('double')
    expectClose(
      Y!.values(),
      values.map((x, i) => expected(x, channel(i))),
      DOUBLE,
    )
  })

  it('by a function', () => {
    const layer = imageInputLayer([4, 3, 2], { normalization: (data) => times(data, 2) })
    const [Y] = runLayer(layer, [X], undefined, context)
    expectClose(
      Y!.values(),
      values.map((x) => 2 * x),
      DOUBLE,
    )
    expect(needsStatistics(layer, { reset: true })).toBeUndefined()
  })

  it('by element and by one number', () => {
    const mean = randn([4, 3, 2], { stream: new RandomStream(1) })
    const single = dlarray(X, { type: 'single' })
    const [Y] = runLayer(imageInputLayer([4, 3, 2], { mean }), [single], undefined, context)
    const means = mean.values()
    expectClose(
      Y!.values(),
      values.map((x, i) => x - means[i % 24]!),
      SINGLE,
    )
    const mixed = imageInputLayer([4, 3, 2], { normalization: 'rescale-zero-one', min: -1, max: [2, 5] })
    expectClose(
      runLayer(mixed, [X], undefined, context)[0]!.values(),
      values.map((x, i) => (x + 1) / (b[channel(i)]! + 1)),
      DOUBLE,
    )
  })

  it('of constant data divides by 1', () => {
    const data = dlarray([[3, 3, 3]], 'CB')
    const zscore = featureInputLayer(1, { normalization: 'zscore', mean: 3, standardDeviation: 0 })
    expect([...runLayer(zscore, [data], undefined, context)[0]!.values()]).toEqual([0, 0, 0])
    const rescale = featureInputLayer(1, { normalization: 'rescale-zero-one', min: 3, max: 3 })
    expect([...runLayer(rescale, [data], undefined, context)[0]!.values()]).toEqual([0, 0, 0])
  })

  it('of sequences, by channel', () => {
    const data = dlarray(randn([2, 3, 4]), 'CBT')
    const layer = sequenceInputLayer(2, { normalization: 'zerocenter', mean: [1, 2] })
    const [Y] = runLayer(layer, [data], undefined, context)
    expectClose(
      Y!.values(),
      data.values().map((x, i) => x - 1 - (i % 2)),
      SINGLE,
    )
  })
})

describe('a normalization function', () => {
  const X = dlarray(randn([4, 3, 2, 5], { stream: new RandomStream(9) }), 'SSCB')
  const run = (normalization: unknown) =>
    runLayer(
      imageInputLayer([4, 3, 2], { normalization: normalization as (X: DlArray) => DlArray, name: 'pictures' }),
      [X],
      undefined,
      context,
    )

  it('gives what the layer passes on', () => {
    expect([...run((X: DlArray) => times(X, 2))[0]!.values()]).toEqual([...X.values()].map((x) => 2 * x))
  })

  it.each<[string, unknown, string]>([
    ['a number', () => 5, '5'],
    ['nothing', () => undefined, 'undefined'],
    ['another size', (X: DlArray) => sum(X, 'C'), 'a dlarray of 4(S) × 3(S) × 1(C) × 5(B)'],
    ['another format', (X: DlArray) => stripdims(X), 'a dlarray of 4×3×2×5 unformatted'],
  ])('that returns %s is refused under the name of its layer', (_, normalization, got) => {
    const text = message(() => run(normalization))
    expect(text).toContain("layer 'pictures' (Image Input: 4×3×2 images with custom normalization)")
    expect(text).toContain(
      'expected a normalization function that returns a dlarray of the size and format of its input',
    )
    expect(text).toContain(`but got ${got} for 4(S) × 3(S) × 2(C) × 5(B)`)
  })
})

describe('statistics', () => {
  it('that training has to compute', () => {
    expect(needsStatistics(imageInputLayer([4, 5, 3]))).toEqual({
      statistics: ['mean'],
      dimension: 'channel',
      size: [1, 1, 3],
    })
    expect(needsStatistics(imageInputLayer([4, 5, 3], { normalization: 'zscore', mean: 1 }))).toEqual({
      statistics: ['standardDeviation'],
      dimension: 'all',
      size: [1, 1],
    })
    const given = imageInputLayer([4, 5, 3], { mean: [1, 2, 3] })
    expect(needsStatistics(given)).toBeUndefined()
    expect(needsStatistics(given, { reset: true })).toMatchObject({ statistics: ['mean'], dimension: 'channel' })
    const rescale = { normalization: 'rescale-zero-one', normalizationDimension: 'element' } as const
    expect(needsStatistics(sequenceInputLayer([4, 5, 3], rescale))).toEqual({
      statistics: ['max', 'min'],
      dimension: 'element',
      size: [4, 5, 3],
    })
    expect(needsStatistics(featureInputLayer(4, { normalization: 'zscore' }))).toEqual({
      statistics: ['mean', 'standardDeviation'],
      dimension: 'channel',
      size: [4, 1],
    })
    expect(needsStatistics(imageInputLayer([4, 5, 3], { normalization: 'none' }), { reset: true })).toBeUndefined()
    expect(needsStatistics(reluLayer(), { reset: true })).toBeUndefined()
  })

  it('are neutral after initialization, and still to be computed', () => {
    const layer = imageInputLayer([4, 5, 3], { normalization: 'zscore' })
    initializeLayer(layer, [inputInfo(layer)!], new RandomStream())
    expect([layer.mean!.item(), layer.standardDeviation!.item()]).toEqual([0, 1])
    expect(properties(layer)).not.toHaveProperty('neutralStatistics')
    const copy = copyLayer(layer)
    expect(needsStatistics(copy)).toEqual({
      statistics: ['mean', 'standardDeviation'],
      dimension: 'channel',
      size: [1, 1, 3],
    })
    setStatistics(copy, { mean: dlarray(new Float32Array([1, 2, 3]), [1, 1, 3]), standardDeviation: 1 })
    expect(needsStatistics(copy)).toBeUndefined()
    expect([...copy.mean!.values()]).toEqual([1, 2, 3])
    expect(layer.mean!.item()).toBe(0)
  })

  it('given as neutral numbers are kept', () => {
    const layer = imageInputLayer([4, 5, 3], { mean: 0 })
    initializeLayer(layer, [inputInfo(layer)!], new RandomStream())
    expect(needsStatistics(layer)).toBeUndefined()
  })

  it('fit the layer or are refused', () => {
    expect(message(() => setStatistics(imageInputLayer([4, 5, 3]), { mean: [1, 2] }))).toMatchInlineSnapshot(
      `"OptionError: ImageInputLayer: expected 1×1×3, 4×5×3 or one number for mean, but got 2×1. Give one number for each channel, or for each element of an observation."`,
    )
    expect(message(() => setStatistics(reluLayer({ name: 'relu' }), { mean: 1 }))).toMatchInlineSnapshot(
      `"OptionError: setStatistics: expected an input layer with normalization, but got layer 'relu' (ReLU). Ask needsStatistics first."`,
    )
  })
})
