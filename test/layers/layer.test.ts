import fc from 'fast-check'
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setBackend } from '../../src/backends/current.js'
import { NetworkError } from '../../src/errors.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { copyLayer, inferLayer, initializeLayer, isLayer, type Layer, runLayer } from '../../src/layers/layer.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { dlarray } from '../../src/operations/dlarray.js'
import { RandomStream, randn } from '../../src/operations/random.js'

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
