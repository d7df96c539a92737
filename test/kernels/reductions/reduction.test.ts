import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { setBackend, setThreads, wasmBackend } from '../../../src/backends/current.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { max, min } from '../../../src/operations/reductions/extremum.js'
import { mean, std, variance } from '../../../src/operations/reductions/mean.js'
import { prod } from '../../../src/operations/reductions/prod.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { expectClose, SINGLE } from '../../support/close.js'
import { normals } from '../../support/random.js'

beforeAll(async () => {
  setBackend('wasm')
  setThreads(2)
  await wasmBackend().ready()
})
afterAll(() => setThreads(1))

describe('reductions in single precision', () => {
  it('sums ten million terms to the last digits, with the same bits for one and two threads', () => {
    const draw = normals(2)
    const values = new Float32Array(1e7)
    let expected = 0
    for (let i = 0; i < values.length; i++) {
      values[i] = 0.5 + 0.25 * (i % 16 === 0 ? draw() : values[i - (i % 16)]!)
      expected += values[i]!
    }
    const X = dlarray(values, [1e7, 1])
    const two = sum(X, 'all').item()
    setThreads(1)
    const one = sum(X, 'all').item()
    setThreads(2)
    expect(one).toBe(two)
    // one rounding of the result and the small ones of blocks of 512
    expect(Math.abs(two / expected - 1)).toBeLessThan(1.2e-7)
    X.dispose()
  })

  it('reduces every choice of dimensions of odd sizes', () => {
    const size = [7, 5, 3, 6]
    const draw = normals(8)
    const values = Float64Array.from({ length: 630 }, () => Math.fround(draw()))
    const functions = {
      sum,
      mean,
      prod,
      max: (X: never, over: never) => max(X, [], over),
      min: (X: never, over: never) => min(X, [], over),
    }
    for (const [name, reduce] of Object.entries(functions))
      for (let choice = 1; choice < 16; choice++) {
        const over = [1, 2, 3, 4].filter((_, d) => choice & (1 << d))
        const [single, double] = (['single', 'double'] as const).map((type) =>
          (reduce as typeof sum)(dlarray(values, size, { type }), over),
        )
        expect(single!.size).toEqual(double!.size)
        expectClose(single!.values(), double!.values(), SINGLE, `${name} over ${over}`)
      }
  })

  it('leaves NaN out of max and min, and keeps it in sums', () => {
    const X = dlarray(
      [
        [1, Number.NaN, Number.NaN],
        [Number.NaN, 5, Number.NaN],
        [3, -2, Number.NaN],
      ],
      { type: 'single' },
    )
    for (const backend of ['wasm', 'reference'] as const) {
      setBackend(backend)
      expect([...max(X, [], 1).values()]).toEqual([3, 5, Number.NaN])
      expect([...min(X, [], 1).values()]).toEqual([1, -2, Number.NaN])
      expect([...max(X, [], 2).values()]).toEqual([1, 5, 3])
      expect([...max(X, 2).values()]).toEqual([2, 2, 3, 2, 5, 2, 2, 2, 2])
      expect(sum(X, 'all').item()).toBeNaN()
    }
    setBackend('wasm')
  })

  it('keeps labels and sizes, as MATLAB prints them', () => {
    const X = dlarray(
      Float64Array.from({ length: 24 }, (_, i) => i + 1),
      [4, 3, 2],
      'SCB',
      { type: 'double' },
    )
    expect(mean(X, 'S').toNested()).toEqual([
      [
        [2.5, 14.5],
        [6.5, 18.5],
        [10.5, 22.5],
      ],
    ])
    expect(mean(X, 'S').dims).toBe('SCB')
    expect(max(X, [], 'CB').size).toEqual([4, 1, 1])
    expect(variance(X, 0, 'S').values()[0]).toBeCloseTo(5 / 3, 12)
    expect(variance(X, 1, 'S').values()[0]).toBeCloseTo(5 / 4, 12)
    expect(std(X, 1, 'S').values()[0]).toBeCloseTo(Math.sqrt(5 / 4), 12)
    expect(variance(dlarray([[3]]), 0, 'all').item()).toBe(0)
  })

  it('take arrays alone', () => {
    const list = [dlarray([1, 2])] as never
    const calls = { sum, mean, prod, var: (X: never) => variance(X), max: (X: never) => max(X, [], 'all') }
    for (const [name, call] of Object.entries(calls))
      expect(() => call(list), name).toThrow(`${name}: expected a dlarray for X, but got a JavaScript array`)
  })

  it.each(['single', 'double'] as const)('are NaN of no elements: %s', (type) => {
    expect(mean(dlarray([], { type }), 'all').item()).toBeNaN()
    expect(variance(dlarray([], { type }), 0, 'all').item()).toBeNaN()
    expect(variance(dlarray([], { type }), 1, 'all').item()).toBeNaN()
    const X = dlarray(new Float32Array(0), [0, 3], 'SC', { type })
    expect([...mean(X, 'S').values()]).toEqual([Number.NaN, Number.NaN, Number.NaN])
    expect(
      sum(X, 'S')
        .values()
        .every((value) => value === 0),
    ).toBe(true)
    expect(prod(dlarray([[2, 3, 4]]), 'all').item()).toBe(24)
  })
})
