import { beforeAll, describe, expect, it } from 'vitest'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend } from '../../src/backends/current.js'
import { OptionError } from '../../src/errors.js'
import { type InstanceNormalizationLayer, instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { copyLayer, type Layer, properties } from '../../src/layers/layer.js'
import { getFactor, learnablesOf, setFactor, setLearnable } from '../../src/layers/layer-parameters.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { context, info, runLayer } from '../support/layers.js'
import { message } from '../support/message.js'

beforeAll(() => setBackend('reference'))

describe('properties', () => {
  it('have the defaults of the documentation', () => {
    expect(properties(instanceNormalizationLayer())).toEqual({
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
    })
  })

  it('keep what is given, by options and by pairs in any case', () => {
    const initializer = (size: number[]) => new Float32Array(size.reduce((a, b) => a * b, 1)).fill(3)
    const byOptions = instanceNormalizationLayer({
      epsilon: 1e-3,
      numChannels: 2,
      scaleInitializer: initializer,
      offsetInitializer: 'narrow-normal',
      scale: [1, 2],
      offset: [3, 4],
      scaleLearnRateFactor: 2,
      offsetLearnRateFactor: 0,
      scaleL2Factor: 0.5,
      offsetL2Factor: 3,
      name: 'norm',
    })
    const byPairs = instanceNormalizationLayer(
      ...['Epsilon', 1e-3, 'NUMCHANNELS', 2, 'scaleinitializer', initializer, 'OffsetInitializer', 'narrow-normal'],
      ...['Scale', [1, 2], 'Offset', [3, 4], 'ScaleLearnRateFactor', 2, 'OffsetLearnRateFactor', 0],
      ...['ScaleL2Factor', 0.5, 'OffsetL2Factor', 3, 'Name', 'norm'],
    )
    for (const layer of [byOptions, byPairs]) {
      const { scale, offset, ...rest } = properties(layer) as Record<string, unknown> & InstanceNormalizationLayer
      expect(rest).toEqual({
        epsilon: 1e-3,
        numChannels: 2,
        scaleInitializer: initializer,
        offsetInitializer: 'narrow-normal',
        scaleLearnRateFactor: 2,
        offsetLearnRateFactor: 0,
        scaleL2Factor: 0.5,
        offsetL2Factor: 3,
        name: 'norm',
        numInputs: 1,
        inputNames: ['in'],
        numOutputs: 1,
        outputNames: ['out'],
      })
      expect([...scale!.values()]).toEqual([1, 2])
      expect([...offset!.values()]).toEqual([3, 4])
      expect(scale!.underlyingType).toBe('single')
    }
  })

  it('can be assigned where they are settable', () => {
    const layer = instanceNormalizationLayer()
    layer.epsilon = 0.5
    layer.name = 'renamed'
    layer.scale = dlarray([1, 2, 3], { type: 'double' })
    layer.offset = new Float32Array([4, 5, 6])
    layer.scaleInitializer = 'zeros'
    layer.scaleL2Factor = 0
    expect(layer.epsilon).toBe(0.5)
    expect(layer.name).toBe('renamed')
    expect(layer.scale?.underlyingType).toBe('double')
    expect(layer.offset?.values()).toEqual(new Float32Array([4, 5, 6]))
    expect(layer.scaleInitializer).toBe('zeros')
    layer.scale = []
    expect(layer.scale).toBeUndefined()
  })

  it('keep their value when an assignment is refused', () => {
    const layer = instanceNormalizationLayer({ numChannels: 3, scale: [1, 2, 3] })
    expect(() => {
      layer.scale = [1, 2]
    }).toThrow(OptionError)
    expect(layer.scale?.numel).toBe(3)
  })

  it('are refused in words', () => {
    const make = (options: object) => message(() => instanceNormalizationLayer(options as never))
    expect(make({ epsilon: 0 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got 0. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ epsilon: -1 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got -1. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ epsilon: Number.NaN })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got NaN. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ epsilon: Number.POSITIVE_INFINITY })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got Infinity. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ epsilon: [1e-5, 1e-5] })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got [0.00001, 0.00001]. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ epsilon: '1e-5' })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a positive finite number for epsilon, but got '1e-5'. It is added to the variance; the default is 1e-5."`,
    )
    expect(make({ numChannels: 2.5 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 'auto' or a positive whole number for numChannels, but got 2.5. It is the number of channels; with 'auto' it is taken from the input."`,
    )
    expect(make({ numChannels: 0 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 'auto' or a positive whole number for numChannels, but got 0. It is the number of channels; with 'auto' it is taken from the input."`,
    )
    expect(make({ numChannels: 'all' })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 'auto' or a positive whole number for numChannels, but got 'all'. It is the number of channels; with 'auto' it is taken from the input."`,
    )
    expect(make({ scaleInitializer: 'one' })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 'zeros', 'ones', 'narrow-normal' or a function of the size for scaleInitializer, but got 'one'. The default is 'ones'."`,
    )
    expect(make({ offsetInitializer: 1 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 'zeros', 'ones', 'narrow-normal' or a function of the size for offsetInitializer, but got 1. The default is 'zeros'."`,
    )
    expect(make({ scale: 'big' })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected numbers (nested lists, a typed array or a dlarray) for scale, but got 'big'. Leave it out, or give [], to have it initialized."`,
    )
    expect(make({ scale: [[1, 2], [3]] })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected numbers (nested lists, a typed array or a dlarray) for scale, but got [[1, 2], [3]]. Leave it out, or give [], to have it initialized."`,
    )
    expect(make({ scale: [1, 2, 3], numChannels: 4 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected 4 elements, one for each channel, for scale, but got 3 (3×1). Give a vector; the network brings it to the size for its kind of input."`,
    )
    expect(
      make({
        offset: dlarray([
          [1, 2],
          [3, 4],
        ]),
      }),
    ).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected one element for each channel, for offset, but got 4 (2×2). Give a vector; the network brings it to the size for its kind of input."`,
    )
    expect(make({ scaleLearnRateFactor: -1 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a finite number of 0 or more for scaleLearnRateFactor, but got -1. It multiplies the learn rate; 0 freezes the parameter."`,
    )
    expect(make({ offsetL2Factor: Number.POSITIVE_INFINITY })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a finite number of 0 or more for offsetL2Factor, but got Infinity. It multiplies the L2 regularization; 0 turns it off."`,
    )
    expect(make({ name: 3 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected text for name, but got 3. It is the layer's name in the network; leave it out to have one made."`,
    )
  })

  it('are refused in the same words at assignment', () => {
    const layer = instanceNormalizationLayer({ numChannels: 2 }) as unknown as Record<string, unknown>
    const set = (name: string, value: unknown) => message(() => Object.assign(layer, { [name]: value }))
    expect(set('epsilon', -1)).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected a positive finite number for epsilon, but got -1. It is added to the variance; the default is 1e-5."`,
    )
    expect(set('scaleInitializer', 'two')).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected 'zeros', 'ones', 'narrow-normal' or a function of the size for scaleInitializer, but got 'two'. The default is 'ones'."`,
    )
    expect(set('offsetLearnRateFactor', '1')).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected a finite number of 0 or more for offsetLearnRateFactor, but got '1'. It multiplies the learn rate; 0 freezes the parameter."`,
    )
    expect(set('name', undefined)).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected text for name, but got undefined. It is the layer's name in the network; leave it out to have one made."`,
    )
    expect(set('offset', [1, 2, 3])).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected 2 elements, one for each channel, for offset, but got 3 (3×1). Give a vector; the network brings it to the size for its kind of input."`,
    )
    expect(set('numChannels', 3)).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer.numChannels: expected no assignment: the property is read-only, but got a new value. Make a new layer with instanceNormalizationLayer."`,
    )
    expect(set('numInputs', 2)).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer.numInputs: expected no assignment: the property is read-only, but got a new value. The properties that can be set are epsilon, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(set('inputNames', ['a'])).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer.inputNames: expected no assignment: the property is read-only, but got a new value. The properties that can be set are epsilon, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(set('outputNames', ['a'])).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer.outputNames: expected no assignment: the property is read-only, but got a new value. The properties that can be set are epsilon, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(set('numOutputs', 2)).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer.numOutputs: expected no assignment: the property is read-only, but got a new value. The properties that can be set are epsilon, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(layer.epsilon).toBe(1e-5)
  })
})

describe('options', () => {
  const make = (...given: unknown[]) => message(() => instanceNormalizationLayer(...(given as never[])))

  it('are refused when no property has the name', () => {
    expect(make({ eps: 1e-5 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options among epsilon, numChannels, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name, but got 'eps'. Did you mean epsilon?"`,
    )
    expect(make('Eps', 1e-5)).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options among epsilon, numChannels, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name, but got 'Eps'. Did you mean epsilon?"`,
    )
    expect(make({ numInputs: 1 })).toContain("but got 'numInputs'")
  })

  it('are refused when they do not pair up', () => {
    expect(make('Epsilon')).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a value after each name, but got 'Epsilon' without one. The names are epsilon, numChannels, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(make('Epsilon', 1e-5, 'Name')).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected a value after each name, but got 'Name' without one. The names are epsilon, numChannels, scaleInitializer, offsetInitializer, scale, offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name."`,
    )
    expect(make(1e-5)).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options as one object, or as names each followed by its value, but got 0.00001 where a name belongs. Call instanceNormalizationLayer(options?), or write pairs such as 'Epsilon', value."`,
    )
    expect(make('Epsilon', 1e-5, 3, 4)).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options as one object, or as names each followed by its value, but got 3 where a name belongs. Call instanceNormalizationLayer(options?), or write pairs such as 'Epsilon', value."`,
    )
    expect(make({ epsilon: 1 }, { epsilon: 2 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options as one object, or as names each followed by its value, but got an object where a name belongs. Call instanceNormalizationLayer(options?), or write pairs such as 'Epsilon', value."`,
    )
    expect(make(null)).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected options as one object, or as names each followed by its value, but got null where a name belongs. Call instanceNormalizationLayer(options?), or write pairs such as 'Epsilon', value."`,
    )
  })

  it('are refused when given twice', () => {
    expect(make('Epsilon', 1, 'epsilon', 2)).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected each option once, but got epsilon twice. Keep the one that is meant."`,
    )
    expect(make({ epsilon: 1, Epsilon: 1 })).toMatchInlineSnapshot(
      `"OptionError: instanceNormalizationLayer: expected each option once, but got epsilon twice. Keep the one that is meant."`,
    )
  })

  it('may be undefined', () => {
    expect(instanceNormalizationLayer(undefined).epsilon).toBe(1e-5)
    expect(instanceNormalizationLayer({ epsilon: undefined }).epsilon).toBe(1e-5)
  })
})

describe('scale and offset', () => {
  const kinds: [string, number[], number[]][] = [
    ['CB', [20, 8], [20, 1]],
    ['CBT', [20, 8, 5], [20, 1]],
    ['SCB', [6, 20, 8], [1, 20]],
    ['SCBT', [6, 20, 8, 5], [1, 20]],
    ['SSCB', [6, 7, 20, 8], [1, 1, 20]],
    ['SSCBT', [6, 7, 20, 8, 5], [1, 1, 20]],
    ['SSSCB', [6, 7, 8, 20, 8], [1, 1, 1, 20]],
    ['SSSCBT', [6, 7, 8, 20, 8, 5], [1, 1, 1, 20]],
    ['SSC', [6, 7, 20], [1, 1, 20]],
    ['CT', [20, 5], [20, 1]],
  ]

  it.each(kinds)('have the size for %s', (dims, size, expected) => {
    const layer = instanceNormalizationLayer()
    initializeLayer(layer, [info(size, dims)], new RandomStream())
    expect(layer.scale?.size).toEqual(expected)
    expect(layer.offset?.size).toEqual(expected)
    expect(new Set(layer.scale?.values())).toEqual(new Set([1]))
    expect(new Set(layer.offset?.values())).toEqual(new Set([0]))
    expect(layer.numChannels).toBe(20)
    expect(inferLayer(layer, [info(size, dims)])).toEqual([info(size, dims)])
  })

  it.each(kinds)('are kept when given, brought to the size for %s', (dims, size, expected) => {
    const values = Array.from({ length: 20 }, (_, i) => i)
    for (const scale of [values, [values], new Float32Array(values), dlarray(values, 'C')]) {
      const layer = instanceNormalizationLayer({ scale, offset: dlarray(values, { type: 'double' }) })
      initializeLayer(layer, [info(size, dims)], new RandomStream())
      expect(layer.scale?.size).toEqual(expected)
      expect([...layer.scale!.values()]).toEqual(values)
      expect(layer.offset?.size).toEqual(expected)
      expect(layer.offset?.underlyingType).toBe('double')
    }
  })

  it('are drawn by their initializers', () => {
    const sizes: number[][] = []
    const layer = instanceNormalizationLayer({
      offsetInitializer: 'narrow-normal',
      scaleInitializer: (size) => {
        sizes.push(size)
        return dlarray(new Float32Array([5, 6, 7]), size)
      },
    })
    initializeLayer(layer, [info([4, 4, 3, 2], 'SSCB')], new RandomStream(7))
    expect(sizes).toEqual([[1, 1, 3]])
    expect([...layer.scale!.values()]).toEqual([5, 6, 7])
    const random = new RandomStream(7)
    expect([...layer.offset!.values()]).toEqual([0, 1, 2].map(() => Math.fround(0.01 * random.normal())))
  })

  it('belong to the layer, not to a scope or to who gave them', () => {
    const given = dlarray([1, 2, 3])
    const layer = scope(() => {
      const inside = instanceNormalizationLayer({ scale: given, offset: dlarray([4, 5, 6]) })
      initializeLayer(inside, [info([4, 4, 3, 2], 'SSCB')], new RandomStream())
      return inside
    })
    given.dispose()
    expect([...layer.scale!.values(), ...layer.offset!.values()]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('are refused by an input they do not fit', () => {
    const initialized = (options: object, size: number[], dims: string) =>
      message(() =>
        initializeLayer(
          instanceNormalizationLayer({ name: 'norm', ...options }),
          [info(size, dims)],
          new RandomStream(),
        ),
      )
    expect(initialized({ numChannels: 4 }, [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization: Instance normalization with 4 channels): expected 4 channels (numChannels), but got 3 in 8(S) × 8(S) × 3(C) × 2(B). Give numChannels 3, or 'auto'."`,
    )
    expect(initialized({ scale: [1, 2, 3, 4] }, [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected 3 elements in Scale, one for each channel, but got 4 (4×1); the input is 8(S) × 8(S) × 3(C) × 2(B). Give Scale that size, or leave it out to have it initialized."`,
    )
    expect(initialized({}, [8, 8], 'SB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected an input with a channel dimension (C), but got 8(S) × 8(B). Label the channel dimension C."`,
    )
    expect(initialized({}, [8, 8], '')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected an input with a channel dimension (C), but got 8×8 unformatted. Label the channel dimension C."`,
    )
    expect(initialized({ scaleInitializer: () => [1, 2] }, [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected a function for scaleInitializer that returns an array of size 1×1×3, but got one that returned 2×1 unformatted; the input is 8(S) × 8(S) × 3(C) × 2(B). It is called with the size; return a dlarray of that size, or as many numbers in a typed array."`,
    )
    expect(initialized({ scaleInitializer: () => undefined }, [8, 8, 3, 2], 'SSCB')).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected a function for scaleInitializer that returns an array of size 1×1×3, but got one that returned undefined; the input is 8(S) × 8(S) × 3(C) × 2(B). It is called with the size; return a dlarray of that size, or as many numbers in a typed array."`,
    )
    const layer = instanceNormalizationLayer({ name: 'norm' })
    const X = info([8, 3, 2], 'SCB')
    expect(message(() => inferLayer(layer, [X, X]))).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected 1 input, but got 2; the input is 8(S) × 3(C) × 2(B) and 8(S) × 3(C) × 2(B). Connect as many layers to it."`,
    )
    expect(message(() => runLayer(layer, [dlarray(randn(4, 3), 'SC')], undefined, context))).toMatchInlineSnapshot(
      `"NetworkError: layer 'norm' (Instance Normalization): expected Offset to be initialized, but got an empty one. Initialize the network with an example input, or give the layer its values."`,
    )
  })
})

describe('what networks do with it', () => {
  it('lists offset before scale with their factors', () => {
    const layer = instanceNormalizationLayer({ offsetLearnRateFactor: 2, scaleL2Factor: 0, scale: [1, 2] })
    expect(learnablesOf(layer).map(({ value, ...rest }) => ({ ...rest, size: value?.size }))).toEqual([
      { name: 'Offset', learnRateFactor: 2, l2Factor: 1, size: undefined },
      { name: 'Scale', learnRateFactor: 1, l2Factor: 0, size: [2, 1] },
    ])
    setFactor(layer, 'Scale', 'learnRate', 5)
    setFactor(layer, 'Offset', 'l2', 0.25)
    expect(layer.scaleLearnRateFactor).toBe(5)
    expect(layer.offsetL2Factor).toBe(0.25)
    expect(getFactor(layer, 'Scale', 'learnRate')).toBe(5)
    expect(message(() => setFactor(layer, 'Scale', 'l2', -1))).toMatchInlineSnapshot(
      `"OptionError: InstanceNormalizationLayer: expected a finite number of 0 or more for scaleL2Factor, but got -1. It multiplies the L2 regularization; 0 turns it off."`,
    )
    expect(message(() => setFactor(layer, 'Weights', 'l2', 1))).toMatchInlineSnapshot(
      `"OptionError: layer '' (Instance Normalization): expected a learnable parameter among 'Offset', 'Scale', but got 'Weights'. Check the spelling."`,
    )
  })

  it('copies without ties', () => {
    const layer = instanceNormalizationLayer({ scale: [1, 2, 3], name: 'a' })
    const copy = copyLayer(layer)
    copy.name = 'b'
    copy.epsilon = 1
    setLearnable(copy, 'Scale', dlarray([7, 8, 9]))
    layer.scale!.dispose()
    expect([layer.name, layer.epsilon, copy.name]).toEqual(['a', 1e-5, 'b'])
    expect([...copy.scale!.values()]).toEqual([7, 8, 9])
    expect(message(() => setLearnable(copy, 'Scale', dlarray([1, 2])))).toMatchInlineSnapshot(
      `"DimensionError: layer 'b' (Instance Normalization): expected 3 elements for Scale (3×1), but got 2 (2×1). Give an array of that size."`,
    )
  })

  it.each([
    ['SSCB', [5, 4, 3, 2]],
    ['SCB', [5, 3, 2]],
    ['CBT', [3, 2, 6]],
    ['SSSC', [2, 3, 2, 3]],
    ['SCBT', [2, 3, 2, 4]],
  ])('computes instancenorm of %s', (dims, size) => {
    const X = dlarray(randn(size, { type: 'double', stream: new RandomStream(3) }), dims)
    const [scale, offset] = [
      [2, 3, 4],
      [5, 6, 7],
    ].map((values) => dlarray(values, { type: 'double' }))
    const layer: Layer = instanceNormalizationLayer({ scale, offset, epsilon: 0.1 })
    initializeLayer(layer, [X], new RandomStream())
    const [Y] = runLayer(layer, [X], undefined, context)
    const expected = instancenorm(X, offset!, scale!, { epsilon: 0.1 })
    expect(Y!.dims).toBe(dims)
    expectClose(Y!.values(), expected.values(), DOUBLE)
  })

  it('gives the offset where nothing is averaged over', () => {
    const X = dlarray(randn([3, 4]), 'CB')
    const layer = instanceNormalizationLayer({ offset: [1, 2, 3] })
    initializeLayer(layer, [X], new RandomStream())
    const [Y] = runLayer(layer, [X], undefined, context)
    expect([...Y!.values()]).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
  })

  it('takes other parameters when they are given', () => {
    const X = dlarray(randn([4, 4, 2, 1]), 'SSCB')
    const layer = instanceNormalizationLayer()
    const parameters = { Offset: dlarray([7, 7]), Scale: dlarray([0, 0]) }
    const [Y] = runLayer(layer, [X], parameters, context)
    expect(new Set(Y!.values())).toEqual(new Set([7]))
  })
})

describe('gradients', () => {
  it('reach the parameters given and the input', () => {
    const random = { type: 'double', stream: new RandomStream(4) } as const
    const X = dlarray(randn([4, 3, 2, 3], random), 'SSCB')
    const weights = dlarray(randn([4, 3, 2, 3], random), 'SSCB')
    const parameters = { Offset: randn([1, 1, 2], random), Scale: randn([1, 1, 2], random) }
    const layer = instanceNormalizationLayer({ epsilon: 0.01 })
    const loss = (image: typeof X, given: typeof parameters) =>
      sum(times(runLayer(layer, [image], given, context)[0]!, weights), 'all')
    const gradients = dlfeval(
      (image, given) => dlgradient(loss(image, given), { image, offset: given.Offset, scale: given.Scale }),
      X,
      parameters,
    )
    const step = 1e-5
    for (const name of ['Offset', 'Scale'] as const) {
      const parameter = parameters[name]
      const gradient = (name === 'Offset' ? gradients.offset : gradients.scale).values()
      for (let i = 0; i < 2; i++) {
        const shifted = (by: number) =>
          dlarray(
            parameter.values().map((value, k) => (k === i ? value + by : value)),
            [1, 1, 2],
            { type: 'double' },
          )
        const at = (by: number) => loss(X, { ...parameters, [name]: shifted(by) }).item()
        const expected = (at(step) - at(-step)) / (2 * step)
        expect(Math.abs(gradient[i]! - expected)).toBeLessThan(1e-6)
      }
    }
    expect(gradients.image.size).toEqual(X.size)
  })
})

describe('offset and scale of different lengths', () => {
  it('are refused where they are given', () => {
    expect(() => instanceNormalizationLayer({ scale: [1, 2, 3], offset: [1, 2] })).toThrow(
      'expected one element for each channel in offset and in scale, but got 2 in offset and 3 in scale',
    )
    const layer = instanceNormalizationLayer({ scale: [1, 2, 3] })
    expect(() => {
      layer.offset = [1, 2]
    }).toThrow(OptionError)
    expect(layer.offset).toBeUndefined()
    layer.offset = [1, 2, 3]
    expect([...layer.offset!.values()]).toEqual([1, 2, 3])
  })
})
