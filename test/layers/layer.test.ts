import fc from 'fast-check'
import * as v from 'valibot'
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import type { ArrayInfo, DlArray } from '../../src/array/dlarray.js'
import { setBackend } from '../../src/backends/current.js'
import { NetworkError, OptionError } from '../../src/errors.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { copyLayer, isLayer, type Layer } from '../../src/layers/layer.js'
import { defineLayer } from '../../src/layers/layer-kind.js'
import { setState, stateOf } from '../../src/layers/layer-parameters.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { accepts, numeric, settable } from '../../src/layers/property.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { minus, plus } from '../../src/operations/elementwise/arithmetic.js'
import { runLayer } from '../support/layers.js'

beforeAll(() => setBackend('reference'))

const context = { training: true, random: new RandomStream() }

describe('the size rule', () => {
  const extent = fc.integer({ min: 1, max: 7 })
  const small = fc.integer({ min: 1, max: 3 })
  const pixels = fc.integer({ min: 0, max: 2 })
  const padding = fc.oneof(
    pixels,
    fc.tuple(pixels, pixels),
    fc.tuple(pixels, pixels, pixels, pixels),
    fc.constant('same' as const),
  )
  const layers: fc.Arbitrary<Layer> = fc.oneof(
    fc
      .tuple(fc.tuple(small, small), small, fc.tuple(small, small), fc.tuple(small, small), padding)
      .map(([size, filters, stride, dilationFactor, pad]) =>
        convolution2dLayer(size, filters, { stride, dilationFactor, padding: pad }),
      ),
    fc
      .tuple(fc.tuple(small, small), fc.tuple(small, small))
      .map(([size, stride]) => maxPooling2dLayer(size, { stride })),
    fc
      .tuple(small, small, small)
      .map(([size, filters, dilationFactor]) =>
        convolution1dLayer(size, filters, { dilationFactor, padding: 'causal' }),
      ),
    fc.constant(0).map(() => instanceNormalizationLayer()),
  )
  const inputs = fc.oneof(
    ...['SSCB', 'SSC', 'SCBT', 'SSCBT', 'CBT', 'SCB'].map((dims) =>
      fc.tuple(...Array.from(dims, () => extent)).map((size) => ({ size, dims, type: 'single' as const })),
    ),
  )

  it('tells what running gives, or refuses as running does', () => {
    fc.assert(
      fc.property(layers, inputs, (layer, input) => {
        let outputs: ReturnType<typeof inferLayer>
        try {
          outputs = inferLayer(layer, [input])
        } catch (error) {
          expect(error).toBeInstanceOf(NetworkError)
          expect(() => initializeLayer(layer, [input], new RandomStream())).toThrow(NetworkError)
          return
        }
        initializeLayer(layer, [input], new RandomStream(1))
        const [Y] = runLayer(layer, [dlarray(randn(input.size), input.dims)], undefined, context)
        expect({ size: Y!.size, dims: Y!.dims, type: Y!.underlyingType }).toEqual(outputs[0])
      }),
      { numRuns: 300 },
    )
  })
})

interface RunningMeanLayer extends Layer {
  decay: number
  readonly runningMean: DlArray | undefined
}

describe('a kind of layer with state and several inputs', () => {
  const perChannel = (inputs: readonly ArrayInfo[]) => [inputs[0]!.size[inputs[0]!.dims.indexOf('C')]!, 1]
  const kind = defineLayer<RunningMeanLayer>({
    functionName: 'runningMeanLayer',
    className: 'RunningMeanLayer',
    typeName: 'Running Mean',
    defaultName: 'mean',
    description: () => 'Running mean of 2 inputs',
    inputNames: ['in1', 'in2'],
    properties: [
      settable('decay', accepts(v.number(), 'a number', 'It is 0.5 by default.'), 0.5),
      numeric('runningMean'),
    ],
    display: () => [{ properties: ['name', 'numInputs', 'decay'] }],
    state: [{ name: 'RunningMean', property: 'runningMean', initial: 2, size: (_, inputs) => perChannel(inputs) }],
    output: (_, inputs) => inputs.slice(0, 1),
    compute: (_, [A, B], { RunningMean }) => [minus(plus(A!, B!), dlarray(RunningMean!, 'C'))],
  })
  const input = { size: [2, 3], dims: 'CB', type: 'single' as const }
  let A: DlArray
  beforeAll(() => {
    A = dlarray(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      'CB',
    )
  })

  it('initializes, lists, runs and replaces its state', () => {
    const layer = kind.create(['Decay', 0.25])
    expect(stateOf(layer)).toEqual([{ name: 'RunningMean', value: undefined }])
    expect(() => runLayer(layer, [A, A], undefined, context)).toThrow('RunningMean to be initialized')
    initializeLayer(layer, [input, input], new RandomStream())
    expect(stateOf(layer)[0]!.value!.size).toEqual([2, 1])
    const run = () => [...runLayer(layer, [A, A], undefined, context)[0]!.values()]
    expect(run()).toEqual([0, 6, 2, 8, 4, 10])
    setState(layer, 'RunningMean', dlarray([0, 1]))
    expect(run()).toEqual([2, 7, 4, 9, 6, 11])
    expect(() => setState(layer, 'Mean', A)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: layer '' (Running Mean: Running mean of 2 inputs): expected a state parameter among 'RunningMean', but got 'Mean'. Check the spelling.]`,
    )
    expect(() => setState(layer, 'RunningMean', A)).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: layer '' (Running Mean: Running mean of 2 inputs): expected 2 elements for RunningMean (2×1), but got 6 (2×3). Give an array of that size.]`,
    )
  })

  it('names and counts its inputs', () => {
    const layer = kind.create([])
    expect([layer.numInputs, layer.inputNames]).toEqual([2, ['in1', 'in2']])
    expect(() => inferLayer(layer, [input])).toThrowErrorMatchingInlineSnapshot(
      `[NetworkError: layer '' (Running Mean: Running mean of 2 inputs): expected 2 inputs (in1, in2), but got 1; the input is 2(C) × 3(B). Connect as many layers to it.]`,
    )
    expect(String(layer)).toMatchInlineSnapshot(`
      "  RunningMeanLayer with properties:

               Name: ''
          NumInputs: 2
              Decay: 0.5000"
    `)
  })
})

describe('layers', () => {
  it('are told from other values', () => {
    expect(isLayer(reluLayer())).toBe(true)
    expect(isLayer(copyLayer(reluLayer()))).toBe(true)
    for (const other of [undefined, null, 'relu', {}, reluLayer, { name: '', className: 'ReLULayer' }])
      expect(isLayer(other)).toBe(false)
  })

  it('keep values when initialized again, also for another input', () => {
    const layer = convolution2dLayer(3, 2)
    const input = (height: number) => ({ size: [height, 8, 3, 1], dims: 'SSCB', type: 'single' as const })
    initializeLayer(layer, [input(8)], new RandomStream(1))
    const before = layer.weights!.values()
    initializeLayer(layer, [input(9)], new RandomStream(2))
    expect(layer.weights!.values()).toEqual(before)
  })

  it('stay as they were when initialization fails', () => {
    const layer = convolution2dLayer(3, 2, { biasInitializer: () => [1, 2, 3] })
    const input = { size: [8, 8, 3, 1], dims: 'SSCB', type: 'single' as const }
    expect(() => initializeLayer(layer, [input], new RandomStream())).toThrow(NetworkError)
    expect(layer.numChannels).toBe('auto')
    expect(layer.weights).toBeUndefined()
  })

  it('share no list that can be changed', () => {
    const layer = reluLayer()
    expect(() => (layer.inputNames as string[]).push('z')).toThrow(TypeError)
    expect(() => (layer.outputNames as string[]).push('z')).toThrow(TypeError)
    expect([reluLayer().numInputs, reluLayer().inputNames, reluLayer().outputNames]).toEqual([1, ['in'], ['out']])
  })

  it('describe what comes out of arrays as of descriptions', () => {
    const X = dlarray(new Float32Array(24), [2, 3, 4], 'SCB')
    expect(inferLayer(reluLayer(), [X])).toEqual([{ size: [2, 3, 4], dims: 'SCB', type: 'single' }])
    expect(inferLayer(softmaxLayer(), [X])).toEqual([{ size: [2, 3, 4], dims: 'SCB', type: 'single' }])
  })

  it('refuse an assignment to a property they do not have', () => {
    const layer = instanceNormalizationLayer({ name: 'norm' })
    const assign = (name: string) => Object.assign(layer, { [name]: 1 })
    expect(() => assign('epsilom')).toThrow(
      'InstanceNormalizationLayer.epsilom: expected a property among epsilon, scaleInitializer, offsetInitializer, scale, ' +
        'offset, scaleLearnRateFactor, offsetLearnRateFactor, scaleL2Factor, offsetL2Factor, name, but got ' +
        "'epsilom'. Check the spelling.",
    )
    expect(() => assign('toJSON')).toThrow(OptionError)
    expect(Object.keys(layer)).toEqual([])
    layer.epsilon = 1e-3
    expect([layer.epsilon, copyLayer(layer).epsilon]).toEqual([1e-3, 1e-3])
    expect(() => Object.assign(copyLayer(layer), { foo: 1 })).toThrow(OptionError)
  })

  it('have types', () => {
    const layer = instanceNormalizationLayer({ epsilon: 1e-3 })
    expectTypeOf(layer.epsilon).toEqualTypeOf<number>()
    expectTypeOf(layer.scale).toEqualTypeOf<DlArray | undefined>()
    expectTypeOf(layer.numChannels).toEqualTypeOf<'auto' | number>()
    expectTypeOf(layer).toExtend<Layer>()
    // None of these is called: what matters is that the compiler refuses them.
    const refused = () => {
      // @ts-expect-error read-only
      layer.numChannels = 3
      // @ts-expect-error read-only
      layer.numInputs = 3
      // @ts-expect-error no such option
      instanceNormalizationLayer({ eps: 1e-3 })
      // @ts-expect-error a number
      instanceNormalizationLayer({ epsilon: '1e-3' })
      // @ts-expect-error no such initializer
      instanceNormalizationLayer({ scaleInitializer: 'glorot' })
      // @ts-expect-error a name needs a value
      instanceNormalizationLayer('Epsilon')
      // @ts-expect-error the number of filters is missing
      convolution2dLayer(5)
      // @ts-expect-error pooling is not causal
      maxPooling2dLayer(2, { padding: 'causal' })
      // @ts-expect-error extents, not a number
      imageInputLayer(28)
    }
    expect(refused).toBeTypeOf('function')
  })
})
