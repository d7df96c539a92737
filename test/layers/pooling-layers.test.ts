import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import {
  averagePooling1dLayer,
  averagePooling2dLayer,
  averagePooling3dLayer,
} from '../../src/layers/average-pooling.js'
import {
  globalAveragePooling1dLayer,
  globalAveragePooling2dLayer,
  globalAveragePooling3dLayer,
  globalMaxPooling1dLayer,
  globalMaxPooling2dLayer,
  globalMaxPooling3dLayer,
} from '../../src/layers/global-pooling.js'
import { type Layer, properties } from '../../src/layers/layer.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { subscriptsOf } from '../support/arrays.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('average pooling', () => {
  it('has the defaults of the documentation: stride 1', () => {
    expect(properties(averagePooling2dLayer(2))).toEqual({
      poolSize: [2, 2],
      stride: [1, 1],
      paddingSize: [0, 0, 0, 0],
      paddingMode: 'manual',
      paddingValue: 0,
      name: '',
      numInputs: 1,
      inputNames: ['in'],
      numOutputs: 1,
      outputNames: ['out'],
    })
    expect(averagePooling1dLayer(3).stride).toBe(1)
    expect(averagePooling3dLayer(3).stride).toEqual([1, 1, 1])
  })

  it('keeps what is given', () => {
    const given = ['Stride', 2, 'Padding', [0, 1, 1, 2], 'PaddingValue', 'mean', 'Name', 'pool'] as const
    expect(properties(averagePooling2dLayer([2, 3], ...given))).toMatchObject({
      poolSize: [2, 3],
      stride: [2, 2],
      paddingSize: [0, 1, 1, 2],
      paddingMode: 'manual',
      paddingValue: 'mean',
      name: 'pool',
    })
    const layer = averagePooling1dLayer(3, { padding: 'same', stride: 2 })
    expect(layer.paddingSize).toBeUndefined()
    initializeLayer(layer, [info([8, 1, 1], 'SCB')], new RandomStream())
    expect(layer.paddingSize).toEqual([0, 1])
  })

  const cases: [string, () => Layer, [number[], string], number[]][] = [
    ['2-D, stride 2', () => averagePooling2dLayer(2, { stride: 2 }), [[24, 24, 20, 3], 'SSCB'], [12, 12, 20, 3]],
    ['2-D, default stride', () => averagePooling2dLayer(2), [[24, 24, 20, 3], 'SSCB'], [23, 23, 20, 3]],
    ['2-D, same', () => averagePooling2dLayer(3, { stride: 2, padding: 'same' }), [[7, 8, 2, 1], 'SSCB'], [4, 4, 2, 1]],
    ['2-D over S and T', () => averagePooling2dLayer([2, 3]), [[4, 2, 3, 6], 'SCBT'], [3, 2, 3, 4]],
    ['1-D over S', () => averagePooling1dLayer(2, { stride: 2 }), [[7, 2, 3], 'SCB'], [3, 2, 3]],
    ['1-D over T', () => averagePooling1dLayer(2, { stride: 2 }), [[2, 3, 7], 'CBT'], [2, 3, 3]],
    ['3-D', () => averagePooling3dLayer(2, { stride: 2, padding: 1 }), [[4, 5, 6, 2, 2], 'SSSCB'], [3, 3, 4, 2, 2]],
    [
      '3-D over S and T',
      () => averagePooling3dLayer([2, 3, 2], { stride: [1, 1, 2] }),
      [[4, 5, 2, 2, 6], 'SSCBT'],
      [3, 3, 2, 2, 3],
    ],
  ]
  it.each(cases)('has the size of %s', (_, make, [size, dims], output) => {
    const layer = make()
    expect(inferLayer(layer, [info(size, dims)])).toEqual([info(output, dims)])
    initializeLayer(layer, [info(size, dims)], new RandomStream())
    const [Y] = runLayer(layer, [dlarray(randn(size), dims)], undefined, context)
    expect([Y!.size, Y!.dims]).toEqual([output, dims])
  })

  it('takes the mean of each window, with padding as zeros or not at all', () => {
    const image = dlarray(
      [
        [[1], [2], [3]],
        [[4], [5], [6]],
        [[7], [8], [9]],
      ],
      'SSC',
    )
    const padding = [1, 0, 0, 1]
    const pooled = (layer: Layer) => runLayer(layer, [image], undefined, context)[0]!.toNested()
    expect(pooled(averagePooling2dLayer(2, { stride: 2, padding }))).toEqual([
      [[0.75], [0.75]],
      [[6], [3.75]],
    ])
    expect(pooled(averagePooling2dLayer(2, { stride: 2, padding, paddingValue: 'mean' }))).toEqual([
      [[1.5], [3]],
      [[6], [7.5]],
    ])
  })

  it.each([0, 'mean'] as const)('over two S and T is that over three S: padding %s', (paddingValue) => {
    const options = { stride: [1, 2, 2], padding: [1, 0, 1], paddingValue }
    const layer = averagePooling3dLayer([2, 3, 2], options)
    const X = randn([4, 5, 6], { type: 'double', stream: new RandomStream(3) })
    const time = dlarray(X.values(), [4, 5, 1, 1, 6], 'SSCBT', { type: 'double' })
    const volume = dlarray(X.values(), [4, 5, 6, 1], 'SSSC', { type: 'double' })
    const [Y] = runLayer(layer, [time], undefined, context)
    expect([...Y!.size, Y!.dims]).toEqual([5, 2, 1, 1, 4, 'SSCBT'])
    expectClose(Y!.values(), runLayer(layer, [volume], undefined, context)[0]!.values(), DOUBLE)
  })

  it('is refused in words', () => {
    expect(message(() => averagePooling2dLayer(2, { padding: 2 }))).toMatchInlineSnapshot(
      `"OptionError: averagePooling2dLayer: expected padding smaller than the pool size (2×2) in each dimension, but got [2  2  2  2]. Give less padding: a window of nothing but padding has no value."`,
    )
    expect(message(() => averagePooling2dLayer(2, { paddingValue: 1 as 0 }))).toMatchInlineSnapshot(
      `"OptionError: averagePooling2dLayer: expected 0 or 'mean' for paddingValue, but got 1. With 'mean' padding does not count in the average."`,
    )
    expect(message(() => averagePooling3dLayer('global' as never))).toMatchInlineSnapshot(
      `"OptionError: averagePooling3dLayer: expected a positive whole number, or 3 of them for poolSize, but got 'global'. It is the extent of each window in pixels."`,
    )
    expect(
      message(() => inferLayer(averagePooling1dLayer(2, { name: 'pool' }), [info([3, 2], 'CB')])),
    ).toMatchInlineSnapshot(
      `"NetworkError: layer 'pool' (1-D Average Pooling: 2 average pooling with stride 1 and padding [0  0]): expected an input with channels (C) and 1 spatial dimension (S), or time (T), such as SCB or CBT, but got 3(C) × 2(B): 0 spatial dimensions. Check the format of the data, or use the layer for that number of dimensions."`,
    )
  })
})

describe('global pooling', () => {
  const cases: [() => Layer, string, number[], string, number[]][] = [
    [globalAveragePooling1dLayer, 'SCB', [7, 2, 3], 'SCB', [1, 2, 3]],
    [globalAveragePooling1dLayer, 'CBT', [2, 3, 7], 'CB', [2, 3]],
    [globalAveragePooling2dLayer, 'SSCB', [5, 4, 2, 3], 'SSCB', [1, 1, 2, 3]],
    [globalAveragePooling2dLayer, 'SSCBT', [5, 4, 2, 3, 2], 'SSCBT', [1, 1, 2, 3, 2]],
    [globalAveragePooling2dLayer, 'SCBT', [5, 2, 3, 4], 'SCB', [1, 2, 3]],
    [globalAveragePooling3dLayer, 'SSSCB', [3, 2, 4, 2, 3], 'SSSCB', [1, 1, 1, 2, 3]],
    [globalAveragePooling3dLayer, 'SSCBT', [3, 2, 2, 3, 4], 'SSCB', [1, 1, 2, 3]],
    [globalMaxPooling1dLayer, 'SCB', [7, 2, 3], 'SCB', [1, 2, 3]],
    [globalMaxPooling1dLayer, 'CBT', [2, 3, 7], 'CB', [2, 3]],
    [globalMaxPooling2dLayer, 'SSCB', [5, 4, 2, 3], 'SSCB', [1, 1, 2, 3]],
    [globalMaxPooling2dLayer, 'SCBT', [5, 2, 3, 4], 'SCB', [1, 2, 3]],
    [globalMaxPooling3dLayer, 'SSSC', [3, 2, 4, 2], 'SSSC', [1, 1, 1, 2]],
  ]
  it.each(cases.map((one) => [one[0]().className, ...one] as const))(
    '%s of %s%s',
    (_, make, dims, size, to, output) => {
      const layer = make()
      expect(inferLayer(layer, [info(size, dims)])).toEqual([info(output, to)])
      const X = dlarray(randn(size, { type: 'double', stream: new RandomStream(2) }), dims)
      const [Y] = runLayer(layer, [X], undefined, context)
      expect([Y!.size, Y!.dims]).toEqual([output, to])
      // What lies on one place when S, and T unless it stays, are left out.
      const groups = new Map<string, number[]>()
      ;[...subscriptsOf(size)].forEach((subscript, i) => {
        const key = subscript.filter((_, d) => dims[d] !== 'S' && to.includes(dims[d]!)).join()
        groups.set(key, [...(groups.get(key) ?? []), X.values()[i]!])
      })
      const isMax = layer.className.includes('Max')
      const expected = [...groups.values()].map((all) =>
        isMax ? Math.max(...all) : all.reduce((a, b) => a + b, 0) / all.length,
      )
      expectClose(Y!.values(), expected, DOUBLE)
    },
  )

  it('is refused in words', () => {
    expect(
      message(() => inferLayer(globalAveragePooling2dLayer({ name: 'pool' }), [info([3, 2], 'CB')])),
    ).toMatchInlineSnapshot(
      `"NetworkError: layer 'pool' (2-D Global Average Pooling): expected an input with channels (C) and 2 spatial dimensions (S), or 1 and time (T), such as SSCB or SCBT, but got 3(C) × 2(B): 0 spatial dimensions. Check the format of the data, or use the layer for that number of dimensions."`,
    )
    expect(message(() => globalMaxPooling1dLayer('Size', 2))).toMatchInlineSnapshot(
      `"OptionError: globalMaxPooling1dLayer: expected options among name, but got 'Size'. Check the spelling, or leave it out."`,
    )
  })
})

describe('leaky ReLU', () => {
  it('has the scale 0.01, or the one given', () => {
    expect(leakyReluLayer().scale).toBe(0.01)
    expect(leakyReluLayer({ name: 'act' })).toMatchObject({ scale: 0.01, name: 'act' })
    expect(leakyReluLayer('Name', 'act')).toMatchObject({ scale: 0.01, name: 'act' })
    expect(leakyReluLayer(0.2, 'Name', 'act')).toMatchObject({ scale: 0.2, name: 'act' })
    expect(leakyReluLayer(0.2, { name: 'act' })).toMatchObject({ scale: 0.2, name: 'act' })
  })

  it('multiplies what is negative, on any format', () => {
    const X = dlarray([[-4], [0], [3]], 'CB')
    const layer = leakyReluLayer(0.25)
    expect(inferLayer(layer, [info([3, 1], 'CB')])).toEqual([info([3, 1], 'CB')])
    const [Y] = runLayer(layer, [X], undefined, context)
    expect([...Y!.values()]).toEqual([-1, 0, 3])
    expect(Y!.dims).toBe('CB')
  })

  it('is refused in words', () => {
    expect(message(() => leakyReluLayer(Number.NaN))).toMatchInlineSnapshot(
      `"OptionError: leakyReluLayer: expected a finite number for scale, but got NaN. It multiplies negative elements; the default is 0.01."`,
    )
    expect(message(() => leakyReluLayer('x' as never))).toMatchInlineSnapshot(
      `"OptionError: leakyReluLayer: expected a finite number for scale, but got 'x'. It multiplies negative elements; the default is 0.01."`,
    )
  })
})
