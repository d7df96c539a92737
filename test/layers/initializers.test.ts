import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import type { WeightsInitializerName } from '../../src/layers/initializers.js'
import { initializeLayer } from '../../src/layers/layer-running.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

beforeAll(() => setBackend('reference'))

const image = { size: [28, 28, 8, 1], dims: 'SSCB', type: 'single' as const }

function filters(initializer: WeightsInitializerName, numFilters = 64): Float32Array | Float64Array {
  const layer = convolution2dLayer(5, numFilters, { weightsInitializer: initializer })
  initializeLayer(layer, [image], new RandomStream(1))
  expect(layer.weights?.size).toEqual([5, 5, 8, numFilters])
  expect(layer.weights?.underlyingType).toBe('single')
  return layer.weights!.values()
}

function moments(values: ArrayLike<number>): { mean: number; variance: number; kurtosis: number } {
  const list = Array.from(values)
  const mean = list.reduce((a, b) => a + b, 0) / list.length
  const power = (n: number) => list.reduce((sum, value) => sum + (value - mean) ** n, 0) / list.length
  return { mean, variance: power(2), kurtosis: power(4) / power(2) ** 2 }
}

/** 12800 values: the relative deviation of their variance is below sqrt(2/12800) = 1.25 %; four of them are allowed. */
const VARIANCE = 0.05

describe('weights of a 5-by-5 convolution of 8 channels with 64 filters', () => {
  it('glorot: uniform with variance 2 / (fanIn + fanOut)', () => {
    const bound = Math.sqrt(6 / (25 * 8 + 25 * 64))
    const values = filters('glorot')
    const { mean, variance, kurtosis } = moments(values)
    expect(Math.abs(mean)).toBeLessThan(bound / 50)
    expect(variance / (bound ** 2 / 3)).toBeCloseTo(1, 1)
    expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(VARIANCE)
    // 9/5 for a uniform, 3 for a normal distribution.
    expect(Math.abs(kurtosis - 1.8)).toBeLessThan(0.05)
    expect(Math.max(...values)).toBeLessThanOrEqual(bound)
    expect(Math.max(...values)).toBeGreaterThan(0.99 * bound)
    expect(Math.min(...values)).toBeLessThan(-0.99 * bound)
  })

  it('he: normal with variance 2 / fanIn', () => {
    const { mean, variance, kurtosis } = moments(filters('he'))
    expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(2 / 200 / 12800))
    expect(Math.abs(variance / (2 / 200) - 1)).toBeLessThan(VARIANCE)
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.2)
  })

  it('narrow-normal: normal with deviation 0.01', () => {
    const { mean, variance, kurtosis } = moments(filters('narrow-normal'))
    expect(Math.abs(mean)).toBeLessThan(4e-4)
    expect(Math.abs(variance / 1e-4 - 1)).toBeLessThan(VARIANCE)
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.2)
  })

  it.each([
    ['columns, when there are fewer filters than elements in each', 64],
    ['rows, when there are more', 300],
  ])('orthogonal: orthonormal %s', (_, count) => {
    const values = filters('orthogonal', count)
    const rows = 200
    const vectors =
      count <= rows
        ? Array.from({ length: count }, (_, j) => Array.from({ length: rows }, (_, i) => values[i + rows * j]!))
        : Array.from({ length: rows }, (_, i) => Array.from({ length: count }, (_, j) => values[i + rows * j]!))
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
    for (let a = 0; a < vectors.length; a += 7)
      for (let b = 0; b < vectors.length; b += 5)
        expect(Math.abs(dot(vectors[a]!, vectors[b]!) - (a === b ? 1 : 0))).toBeLessThan(1e-6)
  })

  it('zeros and ones', () => {
    expect(new Set(filters('zeros'))).toEqual(new Set([0]))
    expect(new Set(filters('ones'))).toEqual(new Set([1]))
  })

  it('the same for the same seed', () => {
    expect(filters('glorot')).toEqual(filters('glorot'))
  })
})

describe('other layers', () => {
  it('fully connected: glorot with inputs and outputs, bias zeros', () => {
    const layer = fullyConnectedLayer(10)
    initializeLayer(layer, [{ size: [12, 12, 20, 1], dims: 'SSCB', type: 'single' }], new RandomStream(1))
    const bound = 0.0455645
    const values = layer.weights!.values()
    expect(layer.weights!.size).toEqual([10, 2880])
    expect(layer.bias!.size).toEqual([10, 1])
    expect(layer.inputSize).toBe(2880)
    expect(Math.max(...values)).toBeLessThan(bound)
    expect(Math.max(...values)).toBeGreaterThan(0.999 * bound)
    expect(new Set(layer.bias!.values())).toEqual(new Set([0]))
  })

  it('draw in the order of their parameters from one stream', () => {
    const layer = convolution1dLayer(2, 2, { weightsInitializer: 'narrow-normal', biasInitializer: 'narrow-normal' })
    initializeLayer(layer, [{ size: [9, 1, 1], dims: 'SCB', type: 'single' }], new RandomStream(5))
    const random = new RandomStream(5)
    const expected = Array.from({ length: 6 }, () => Math.fround(0.01 * random.normal()))
    expect([...layer.weights!.values(), ...layer.bias!.values()]).toEqual(expected)
    expect(layer.bias!.size).toEqual([1, 2])
  })

  it('call a function with the size, and take flat or shaped values', () => {
    const sizes: number[][] = []
    const layer = convolution2dLayer([2, 3], 4, {
      weightsInitializer: (size) => {
        sizes.push(size)
        return Float32Array.from({ length: 2 * 3 * 8 * 4 }, (_, i) => i)
      },
      biasInitializer: (size) => {
        sizes.push(size)
        return [[[1, 2, 3, 4]]]
      },
    })
    initializeLayer(layer, [image], new RandomStream())
    expect(sizes).toEqual([
      [2, 3, 8, 4],
      [1, 1, 4],
    ])
    expect(layer.weights!.values()[7]).toBe(7)
    expect([...layer.bias!.values()]).toEqual([1, 2, 3, 4])
  })

  it('refuse what a function returns with another size', () => {
    const layer = convolution2dLayer(2, 4, { weightsInitializer: () => [[1, 2]], name: 'conv' })
    expect(() => initializeLayer(layer, [image], new RandomStream())).toThrowErrorMatchingInlineSnapshot(
      `[NetworkError: layer 'conv' (2-D Convolution: 4 2×2 convolutions with stride [1  1] and padding [0  0  0  0]): expected a function for weightsInitializer that returns an array of size 2×2×8×4, but got one that returned 1×2 unformatted; the input is 28(S) × 28(S) × 8(C) × 1(B). It is called with the size; return a dlarray of that size, or as many numbers in a typed array.]`,
    )
    const text = convolution2dLayer(2, 4, { weightsInitializer: () => 'ones' as never, name: 'conv' })
    expect(() => initializeLayer(text, [image], new RandomStream())).toThrowErrorMatchingInlineSnapshot(
      `[NetworkError: layer 'conv' (2-D Convolution: 4 2×2 convolutions with stride [1  1] and padding [0  0  0  0]): expected a function for weightsInitializer that returns an array of size 2×2×8×4, but got one that returned 'ones'; the input is 28(S) × 28(S) × 8(C) × 1(B). It is called with the size; return a dlarray of that size, or as many numbers in a typed array.]`,
    )
  })
})
