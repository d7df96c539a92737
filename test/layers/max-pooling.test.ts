import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import { type Layer, properties } from '../../src/layers/layer.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { maxPooling1dLayer, maxPooling2dLayer, maxPooling3dLayer } from '../../src/layers/max-pooling.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('properties', () => {
  it('have the defaults of the documentation: stride 1', () => {
    expect(properties(maxPooling2dLayer(2))).toEqual({
      poolSize: [2, 2],
      stride: [1, 1],
      paddingSize: [0, 0, 0, 0],
      paddingMode: 'manual',
      hasUnpoolingOutputs: false,
      name: '',
      numInputs: 1,
      inputNames: ['in'],
      numOutputs: 1,
      outputNames: ['out'],
    })
    expect(maxPooling1dLayer(3).stride).toBe(1)
    expect(maxPooling3dLayer(3).stride).toEqual([1, 1, 1])
  })

  it('keep what is given', () => {
    expect(properties(maxPooling2dLayer([2, 3], 'Stride', 2, 'Padding', [0, 1, 1, 2], 'Name', 'pool'))).toMatchObject({
      poolSize: [2, 3],
      stride: [2, 2],
      paddingSize: [0, 1, 1, 2],
      paddingMode: 'manual',
      name: 'pool',
    })
    const layer = maxPooling1dLayer(3, { padding: 'same', stride: 2 })
    expect(layer.paddingSize).toBeUndefined()
    initializeLayer(layer, [info([8, 1, 1], 'SCB')], new RandomStream())
    expect(layer.paddingSize).toEqual([0, 1])
  })

  it('are refused in words', () => {
    const make = (options: object, poolSize: unknown = 2) =>
      message(() => maxPooling2dLayer(poolSize as never, options as never))
    expect(make({ padding: 2 })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected padding smaller than the pool size (2×2) in each dimension, but got [2  2  2  2]. Give less padding: a window of nothing but padding has no value."`,
    )
    expect(make({ padding: [0, 0, 0, 3] }, [2, 3])).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected padding smaller than the pool size (2×3) in each dimension, but got [0  0  0  3]. Give less padding: a window of nothing but padding has no value."`,
    )
    expect(make({ padding: 'causal' })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]] or 'same' for padding, but got 'causal'. With 'same' the output is as large as the input / stride."`,
    )
    expect(make({ hasUnpoolingOutputs: true })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected hasUnpoolingOutputs false, but got true. Outputs for unpooling are not supported yet; the function maxpoolWithIndices gives them."`,
    )
    expect(make({ hasUnpoolingOutputs: 'no' })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected false for hasUnpoolingOutputs, but got 'no'. Leave it out."`,
    )
    expect(make({}, 'global')).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected a positive whole number, or 2 of them for poolSize, but got 'global'. It is the extent of each window in pixels."`,
    )
    expect(make({}, [2])).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected a positive whole number, or 2 of them for poolSize, but got [2]. It is the extent of each window in pixels."`,
    )
    expect(make({ stride: [1, 2, 3] })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected a positive whole number, or 2 of them for stride, but got [1, 2, 3]. It is the step from window to window in pixels; the default is 1."`,
    )
    expect(message(() => maxPooling3dLayer([2, 2, 2], { padding: [1, 1, 2] }))).toMatchInlineSnapshot(
      `"OptionError: maxPooling3dLayer: expected padding smaller than the pool size (2×2×2) in each dimension, but got [1  1  2; 1  1  2]. Give less padding: a window of nothing but padding has no value."`,
    )
    expect(message(() => (maxPooling1dLayer as () => unknown)())).toMatchInlineSnapshot(
      `"OptionError: maxPooling1dLayer: expected poolSize as argument 1, but got none. Call maxPooling1dLayer(poolSize, options?)."`,
    )
    expect(make({ poolSize: 3 })).toMatchInlineSnapshot(
      `"OptionError: maxPooling2dLayer: expected options among stride, hasUnpoolingOutputs, name, padding, but got 'poolSize'. Check the spelling, or leave it out."`,
    )
  })
})

describe('sizes and values', () => {
  const cases: [string, () => Layer, [number[], string], number[]][] = [
    ['2-D, stride 2', () => maxPooling2dLayer(2, { stride: 2 }), [[24, 24, 20, 3], 'SSCB'], [12, 12, 20, 3]],
    ['2-D, default stride', () => maxPooling2dLayer(2), [[24, 24, 20, 3], 'SSCB'], [23, 23, 20, 3]],
    ['2-D, same', () => maxPooling2dLayer(3, { stride: 2, padding: 'same' }), [[7, 8, 2, 1], 'SSCB'], [4, 4, 2, 1]],
    ['2-D over S and T', () => maxPooling2dLayer([2, 3]), [[4, 2, 3, 6], 'SCBT'], [3, 2, 3, 4]],
    ['1-D over S', () => maxPooling1dLayer(2, { stride: 2 }), [[7, 2, 3], 'SCB'], [3, 2, 3]],
    ['1-D over T', () => maxPooling1dLayer(2, { stride: 2 }), [[2, 3, 7], 'CBT'], [2, 3, 3]],
    ['3-D over S and T', () => maxPooling3dLayer([2, 1, 3]), [[4, 2, 2, 2, 6], 'SSCBT'], [3, 2, 2, 2, 4]],
    ['3-D', () => maxPooling3dLayer(2, { stride: 2, padding: 1 }), [[4, 5, 6, 2, 2], 'SSSCB'], [3, 3, 4, 2, 2]],
  ]

  it.each(cases)('%s', (_, make, [size, dims], output) => {
    const layer = make()
    expect(inferLayer(layer, [info(size, dims)])).toEqual([info(output, dims)])
    initializeLayer(layer, [info(size, dims)], new RandomStream())
    const X = dlarray(randn(size), dims)
    const [Y] = runLayer(layer, [X], undefined, context)
    expect(Y!.size).toEqual(output)
    expect(Y!.dims).toBe(dims)
    const seen = new Set(X.values())
    for (const value of Y!.values()) expect(seen.has(value)).toBe(true)
  })

  it('takes the largest of each window; padding never wins', () => {
    const layer = maxPooling2dLayer(2, { stride: 2, padding: [1, 0, 0, 1] })
    const X = dlarray(
      [
        [-1, -2, -3],
        [-4, -5, -6],
        [-7, -8, -9],
      ],
      'SS',
    )
    const image = dlarray(X.values(), [3, 3, 1], 'SSC')
    const [Y] = runLayer(layer, [image], undefined, context)
    expect(Y!.toNested()).toEqual([
      [[-1], [-3]],
      [[-4], [-6]],
    ])
  })

  it('are refused with layer and format', () => {
    const infer = (layer: Layer, size: number[], dims: string) => message(() => inferLayer(layer, [info(size, dims)]))
    expect(infer(maxPooling2dLayer(5, { name: 'pool' }), [4, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'pool' (2-D Max Pooling: 5×5 max pooling with stride [1  1] and padding [0  0  0  0]): expected windows that are not larger than the padded array, but got windows of 5×5 for 4(S) × 8(S) × 3(C) × 2(B) padded by 0, 0 before and 0, 0 after. Use a smaller pool size, more padding, or 'global'."`,
    )
    expect(infer(maxPooling2dLayer(2, { name: 'pool' }), [4, 3, 2], 'SCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'pool' (2-D Max Pooling: 2×2 max pooling with stride [1  1] and padding [0  0  0  0]): expected an input with channels (C) and 2 spatial dimensions (S), or 1 and time (T), such as SSCB or SCBT, but got 4(S) × 3(C) × 2(B): 1 spatial dimension. Check the format of the data, or use the layer for that number of dimensions."`,
    )
    expect(infer(maxPooling1dLayer(2, { name: 'pool' }), [3, 2], 'CB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'pool' (1-D Max Pooling: 2 max pooling with stride 1 and padding [0  0]): expected an input with channels (C) and 1 spatial dimension (S), or time (T), such as SCB or CBT, but got 3(C) × 2(B): 0 spatial dimensions. Check the format of the data, or use the layer for that number of dimensions."`,
    )
  })
})
