import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numel } from '../../../src/array/format.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setThreads, wasmBackend } from '../../../src/backends/current.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { instancenorm } from '../../../src/operations/normalization/instancenorm.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose, SINGLE } from '../../support/close.js'
import { describeGolden, type GoldenArray } from '../../support/golden.js'
import { message } from '../../support/message.js'
import { normals } from '../../support/random.js'

interface Case {
  format: string
  epsilon: number
  x: GoldenArray
  scale: GoldenArray
  offset: GoldenArray
  dy: GoldenArray
  y: GoldenArray
  dx: GoldenArray
  dscale: GoldenArray
  doffset: GoldenArray
  second?: { v: GoldenArray; dx: GoldenArray; dscale: GoldenArray }
}

describeGolden<Case[]>('instancenorm', (cases) => {
  for (const type of ['double', 'single'] as const)
    for (const one of cases)
      it(`${one.format}, epsilon ${one.epsilon}, ${type}`, () => {
        const array = (values: GoldenArray, format: string) =>
          dlarray(Float64Array.from(values.data), values.size, format, { type })
        // Where planes hardly vary the gradient cancels: dy * scale / deviation is the magnitude of its terms.
        const scale = type === 'double' ? undefined : 1
        const tolerance = type === 'double' ? DOUBLE : SINGLE
        const dy = array(one.dy, one.format)
        const { epsilon } = one
        const result = dlfeval(
          (x, scale, offset) => {
            const y = instancenorm(x, offset, scale, { epsilon })
            const gradients = dlgradient(sum(times(dy, y), 'all'), { x, scale, offset })
            return { y, ...gradients }
          },
          array(one.x, one.format),
          array(one.scale, 'C'),
          array(one.offset, 'C'),
        )
        expect(result.y.dims).toBe(one.format.length === 1 ? `${one.format}U` : one.format)
        expectClose(result.y.values(), one.y.data, tolerance, 'y')
        expectClose(result.x.values(), one.dx.data, tolerance * 10, 'dx', scale)
        expectClose(result.scale.values(), one.dscale.data, tolerance * 10, 'dscale')
        expectClose(result.offset.values(), one.doffset.data, tolerance * 10, 'doffset')
        if (!one.second) return
        const v = array(one.second.v, one.format)
        const second = dlfeval(
          (x, scale, offset) => {
            const y = instancenorm(x, offset, scale, { epsilon })
            const dx = dlgradient(sum(times(dy, y), 'all'), x, { enableHigherDerivatives: true })
            return dlgradient(sum(times(v, dx), 'all'), { x, scale })
          },
          array(one.x, one.format),
          array(one.scale, 'C'),
          array(one.offset, 'C'),
        )
        expectClose(second.x.values(), one.second.dx.data, tolerance * 100, 'second dx', scale)
        expectClose(second.scale.values(), one.second.dscale.data, tolerance * 100, 'second dscale', scale)
      })
})

interface Drawn {
  size: readonly number[]
  format: string
  channels: number
  epsilon?: number
  seed?: number
  /** Element i of x and of dy; default: the normal number drawn for it. */
  values?: (i: number, normal: number) => number
  weights?: (i: number, normal: number) => number
}

/** y and the gradients of sum(dy y), in single and in double. */
function bothTypes({ size, format, channels, epsilon = 1e-5, seed = 5, values, weights }: Drawn) {
  const draw = normals(seed)
  const drawn = (of: Drawn['values']) =>
    Float64Array.from({ length: numel(size) }, (_, i) => {
      const normal = draw()
      return Math.fround(of ? of(i, normal) : normal)
    })
  const x = drawn(values)
  const dy = drawn(weights)
  const parameters = Float64Array.from({ length: channels }, (_, i) => 1 + (i % 16) / 8)
  const results = (type: 'single' | 'double') => {
    const array = (data: Float64Array, length: readonly number[], labels: string) =>
      dlarray(data, [...length], labels, { type })
    const results = dlfeval(
      (x, scale, offset) => {
        const y = instancenorm(x, offset, scale, { epsilon })
        return { y, ...dlgradient(sum(times(array(dy, size, format), y), 'all'), { x, scale, offset }) }
      },
      array(x, size, format),
      array(parameters, [channels], 'C'),
      array(parameters, [channels], 'C'),
    )
    const { y, x: dx, scale, offset } = results
    return { y: y.values(), x: dx.values(), scale: scale.values(), offset: offset.values() }
  }
  return { single: results('single'), double: results('double') }
}

describe('instancenorm', () => {
  it('keeps the order of unformatted data', () => {
    const values = Float64Array.from({ length: 24 }, (_, i) => Math.sin(i * 1.7))
    const formatted = dlarray(values, [4, 3, 2], 'TCB', { type: 'double' })
    const plain = dlarray(values, [4, 3, 2], { type: 'double' })
    const one = dlarray([1, 1, 1], { type: 'double' })
    const zero = dlarray([0, 0, 0], { type: 'double' })
    const Y = instancenorm(plain, zero, one, { dataFormat: 'TCB' })
    expect(Y.size).toEqual([4, 3, 2])
    expect(Y.dims).toBe('')
    const F = instancenorm(formatted, zero, one)
    expect(F.size).toEqual([3, 2, 4])
    expect(F.dims).toBe('CBT')
    expect((Y.toNested() as number[][][])[3]![2]![1]).toBeCloseTo((F.toNested() as number[][][])[2]![1]![3]!, 12)
  })

  it.each([
    ['SSCB', [57, 31, 3, 2]],
    ['CBT', [3, 2, 1001]],
    ['SSCB', [700, 500, 1, 1]],
    ['SSCB', [2, 2, 37, 5]],
  ] as const)('keeps the digits of data with mean 1e4 and deviation 1e-2: %s %s', (format, size) => {
    const draw = normals(3)
    const count = numel(size)
    const channels = size[format.indexOf('C')]!
    const values = Float64Array.from({ length: count }, () => Math.fround(1e4 + 1e-2 * draw()))
    const weights = Float64Array.from({ length: count }, () => Math.fround(draw()))
    const parameters = Float64Array.from({ length: channels }, (_, i) => 1 + i / 8)
    const [single, double] = (['single', 'double'] as const).map((type) => {
      const dy = dlarray(weights, [...size], format, { type })
      return dlfeval(
        (x, scale, offset) => {
          const y = instancenorm(x, offset, scale)
          return { y, ...dlgradient(sum(times(dy, y), 'all'), { x, scale, offset }) }
        },
        dlarray(values, [...size], format, { type }),
        dlarray(parameters, [channels], 'C', { type }),
        dlarray(parameters, [channels], 'C', { type }),
      )
    })
    for (const name of ['y', 'x', 'scale', 'offset'] as const)
      expectClose(single![name].values(), double![name].values(), SINGLE, name)
  })

  it.each([
    // planes of one element to as many as go together, and fours of planes that are not full
    ['SSCB', [1, 1, 5, 3]],
    ['SSCB', [2, 1, 3, 7]],
    ['SSCB', [3, 1, 6, 5]],
    ['SSCB', [2, 2, 1, 9]],
    ['SSCB', [5, 1, 4, 4]],
    ['SSCB', [3, 2, 7, 3]],
    ['SSCB', [7, 1, 2, 9]],
    ['SSCB', [8, 8, 3, 21]],
    // runs that lie apart: rows joined, rows that are left, parts of rows, blocks of columns and columns that are left
    ['CT', [1, 100003]],
    ['CT', [3, 70001]],
    ['SCBT', [3, 2, 5, 2222]],
    ['CBT', [45, 31, 67]],
    ['SCBT', [5, 7, 9, 333]],
    ['CBT', [64, 67, 40]],
    ['SCU', [33, 5, 400]],
    ['SCBT', [128, 3, 11, 17]],
  ] as const)('gives what double gives, and the same bits on any number of threads: %s %s', async (format, size) => {
    const draw = normals(11)
    const count = numel(size)
    const channels = size[format.indexOf('C')]!
    // the first element of every 37th lies far from the others: no shift
    const values = Float64Array.from({ length: count }, (_, i) => Math.fround(3 + draw() + (i % 37 === 0 ? 50 : 0)))
    const weights = Float64Array.from({ length: count }, () => Math.fround(draw()))
    const parameters = Float64Array.from({ length: channels }, (_, i) => 1 + (i % 16) / 8)
    const results = (type: 'single' | 'double') => {
      const array = (data: Float64Array, length: readonly number[], labels: string) =>
        dlarray(data, [...length], labels, { type })
      const dy = array(weights, size, format)
      const { y, x, scale, offset } = dlfeval(
        (x, scale, offset) => {
          const y = instancenorm(x, offset, scale)
          return { y, ...dlgradient(sum(times(dy, y), 'all'), { x, scale, offset }) }
        },
        array(values, size, format),
        array(parameters, [channels], 'C'),
        array(parameters, [channels], 'C'),
      )
      return { y: y.values(), x: x.values(), scale: scale.values(), offset: offset.values() }
    }
    const double = results('double')
    const single = results('single')
    // gradients of tiny planes cancel: their terms are as large as dy scale / deviation
    for (const name of ['y', 'x', 'scale', 'offset'] as const)
      expectClose(single[name], double[name], SINGLE, name, name === 'y' ? undefined : 1)
    setThreads(1)
    const alone = results('single')
    setThreads(2)
    await wasmBackend().ready()
    expect(results('single')).toEqual(alone)
    expect(single).toEqual(alone)
  })

  it('is not a number where an element is infinite, in that plane alone', () => {
    for (const [format, size] of [
      ['SSCB', [1, 1, 2, 3]],
      ['SSCB', [3, 3, 2, 3]],
      ['CBT', [2, 3, 40]],
    ] as const) {
      const count = numel(size)
      const planes = 6
      const values = Float64Array.from({ length: count }, (_, i) => Math.sin(i))
      values[0] = Number.POSITIVE_INFINITY
      const Y = instancenorm(dlarray(values, [...size], format), dlarray([1, 2]), dlarray([1, 2])).values()
      const ofFirst = (i: number) => (format === 'CBT' ? i % planes === 0 : i < count / planes)
      for (let i = 0; i < count; i++) expect(Number.isNaN(Y[i]!), `${format} ${i}`).toBe(ofFirst(i))
    }
  })

  it.each([1e-300, 1e-45])('divides by no zero where the channel is constant and epsilon is %d', (epsilon) => {
    const results = (type: 'single' | 'double') =>
      dlfeval(
        (x, scale, offset) => {
          const y = instancenorm(x, offset, scale, { epsilon })
          return { y, ...dlgradient(sum(times(y, y), 'all'), { scale, offset }) }
        },
        dlarray([[3], [3], [3]], 'SC', { type }),
        dlarray([2], 'C', { type }),
        dlarray([5], 'C', { type }),
      )
    for (const type of ['single', 'double'] as const) {
      const { y, scale, offset } = results(type)
      expect([...y.values()], type).toEqual([5, 5, 5])
      expect([scale.item(), offset.item()], type).toEqual([0, 30])
    }
  })

  it('adds the very epsilon to a double variance', () => {
    const X = dlarray([[-1e-150], [1e-150]], 'SC', { type: 'double' })
    const one = dlarray([1], 'C', { type: 'double' })
    const Y = instancenorm(X, dlarray([0], 'C', { type: 'double' }), one, { epsilon: 1e-300 })
    expectClose(Y.values(), [-Math.SQRT1_2, Math.SQRT1_2], DOUBLE)
  })

  it.each(['single', 'double'] as const)('has gradients of 0 where planes have no elements: %s', (type) => {
    const parameter = () => dlarray([1, 2, 3], 'C', { type })
    const { x, scale, offset } = dlfeval(
      (x, scale, offset) => dlgradient(sum(instancenorm(x, offset, scale), 'all'), { x, scale, offset }),
      dlarray(new Float32Array(0), [0, 3], 'SC', { type }),
      parameter(),
      parameter(),
    )
    expect(x.size).toEqual([0, 3])
    expect([...scale.values()]).toEqual([0, 0, 0])
    expect([...offset.values()]).toEqual([0, 0, 0])
  })

  it.each([1, 2, 3, 4, 5, 9, 16, 33, 64])('is right where squares are too large for float32: planes of %i', (inner) => {
    const channels = 5
    const values = Array.from({ length: inner * channels }, (_, i) => {
      const large = i % 3 === 0 ? 1e20 : -3e38 / (1 + (i % 7))
      // beside planes that are small
      return Math.floor(i / inner) % 3 === 1 ? Math.sin(i) : large
    })
    const { single, double } = bothTypes({ size: [inner, channels], format: 'SC', channels, values: (i) => values[i]! })
    for (const name of ['y', 'scale', 'offset'] as const) expectClose(single[name], double[name], SINGLE, name)
    expectClose(single.x, double.x, SINGLE, 'x', 1)
  })

  it.each([
    [400, 5],
    [20000, 20],
    [40000, 2],
  ])('is right where squares are too large for float32: planes of %i, %i of them', (inner, channels) => {
    const { single, double } = bothTypes({
      size: [inner, channels],
      format: 'SC',
      channels,
      // beside planes and parts that are small
      values: (i, normal) => (Math.floor(i / 16384) % 3 === 1 ? normal : normal * (i % 3 === 0 ? 1e20 : -1e30)),
    })
    for (const name of ['y', 'scale', 'offset'] as const) expectClose(single[name], double[name], SINGLE, name)
    expectClose(single.x, double.x, SINGLE, 'x', 1)
  })

  it.each([
    [2, 1e-5],
    [2, 1e-2],
    [3, 1e-5],
    [3, 1e-12],
  ])('keeps the digits of dX, which cancels, in planes of %i with epsilon %d', (inner, epsilon) => {
    const planes = 4096
    const { single, double } = bothTypes({ size: [inner, 1, planes], format: 'SCB', channels: 1, epsilon })
    for (let plane = 0; plane < planes; plane++) {
      const of = (all: ArrayLike<number>) => Array.prototype.slice.call(all, plane * inner, (plane + 1) * inner)
      // of each plane on its own: of two elements next to nothing is left
      expectClose(of(single.x), of(double.x), inner === 2 ? 2e-6 : 5e-5, `dx of plane ${plane}`)
    }
  })

  it('has gradients of tiny planes that agree with double: sizes, channels, observations, what is not a number', () => {
    fc.assert(
      fc.property(
        fc.record({
          inner: fc.integer({ min: 1, max: 64 }),
          channels: fc.integer({ min: 1, max: 9 }),
          observations: fc.integer({ min: 1, max: 5 }),
          mean: fc.constantFrom(0, 1, 1e4),
          first: fc.constantFrom(0, 0, 100),
          epsilon: fc.constantFrom(1e-5, 0.1),
          strange: fc.array(fc.tuple(fc.nat(), fc.constantFrom(Number.NaN, Infinity, -Infinity)), { maxLength: 2 }),
          isOfX: fc.boolean(),
          seed: fc.integer({ min: 1, max: 1000 }),
        }),
        ({ inner, channels, observations, mean, first, epsilon, strange, isOfX, seed }) => {
          const count = inner * channels * observations
          const places = new Map(strange.map(([place, value]) => [place % count, value]))
          const { single, double } = bothTypes({
            size: [inner, channels, observations],
            format: 'SCB',
            channels,
            epsilon,
            seed,
            values: (i, normal) => (isOfX ? places.get(i) : undefined) ?? mean + normal + (i % inner === 0 ? first : 0),
            weights: (i, normal) => (isOfX ? undefined : places.get(i)) ?? normal,
          })
          // what an infinite dy leaves, infinite or not a number, depends on the order of sums
          const finite = (all: ArrayLike<number>) =>
            Float64Array.from(all, (x) => (Number.isFinite(x) ? x : Number.NaN))
          for (const name of ['y', 'x', 'scale', 'offset'] as const) {
            const scale = name === 'y' ? undefined : 1 / Math.sqrt(epsilon)
            expectClose(finite(single[name]), finite(double[name]), SINGLE, name, scale)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('takes its options as one object', () => {
    const X = dlarray([[1], [2]], 'SC')
    const [zero, one] = [dlarray([0]), dlarray([1])]
    const given = (...options: unknown[]) =>
      message(() => (instancenorm as (...given: unknown[]) => unknown)(X, zero, one, ...options))
    expect(given('Epsilon', 1e-3)).toBe(
      'OptionError: instancenorm: expected options as one object, but got "Epsilon". Write them as in { epsilon: value }.',
    )
    expect(given(null)).toContain('but got null')
    expect(given({ epsilon: '1' })).toContain("expected a positive finite epsilon, but got '1'")
  })
})
