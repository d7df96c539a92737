import { afterAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setBackend } from '../../../src/backends/current.js'
import { DimensionError, OptionError } from '../../../src/errors.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { normalDistribution } from '../../../src/operations/arrays/normal-distribution.js'
import { times, uminus } from '../../../src/operations/elementwise/arithmetic.js'
import { eq, ge, gt, le, lt, ne } from '../../../src/operations/elementwise/comparison.js'
import { gelu } from '../../../src/operations/elementwise/gelu.js'
import { clippedrelu, elu, leakyrelu } from '../../../src/operations/elementwise/leakyrelu.js'
import { power } from '../../../src/operations/elementwise/power.js'
import { relu } from '../../../src/operations/elementwise/relu.js'
import { abs } from '../../../src/operations/elementwise/rounding.js'
import { sigmoid } from '../../../src/operations/elementwise/sigmoid.js'
import { max, min } from '../../../src/operations/reductions/extremum.js'
import { prod } from '../../../src/operations/reductions/prod.js'
import { softmax } from '../../../src/operations/reductions/softmax.js'
import { sum } from '../../../src/operations/reductions/sum.js'

const NAN = Number.NaN
const INF = Number.POSITIVE_INFINITY

afterAll(() => setBackend('wasm'))

/** The results on both backends, which must agree exactly for what is asked here. */
function onBoth(compute: () => DlArray): number[] {
  const results = (['reference', 'wasm'] as const).map((backend) => {
    setBackend(backend)
    return [...compute().values()]
  })
  setBackend('wasm')
  expect(results[1]).toEqual(results[0])
  return results[1]!
}

function slope(f: (x: DlArray) => DlArray, at: number[]): number[] {
  return onBoth(() => dlfeval((x) => dlgradient(sum(f(x), 'all'), x), dlarray(at, [at.length])))
}

describe('comparisons', () => {
  const A = dlarray([1, 2, NAN, 4, 5, INF], [6])
  const B = dlarray([1, 3, NAN, 3, NAN, INF], [6])

  it('give logical arrays; NaN equals nothing', () => {
    expect(onBoth(() => eq(A, B))).toEqual([1, 0, 0, 0, 0, 1])
    expect(onBoth(() => ne(A, B))).toEqual([0, 1, 1, 1, 1, 0])
    expect(onBoth(() => lt(A, B))).toEqual([0, 1, 0, 0, 0, 0])
    expect(onBoth(() => le(A, B))).toEqual([1, 1, 0, 0, 0, 1])
    expect(onBoth(() => gt(A, B))).toEqual([0, 0, 0, 1, 0, 0])
    expect(onBoth(() => ge(A, 4))).toEqual([0, 0, 0, 1, 1, 1])
    expect(eq(A, B).underlyingType).toBe('logical')
    expect(eq(dlarray([1], { type: 'double' }), 1).underlyingType).toBe('logical')
  })

  it('match labels and refuse other sizes', () => {
    expect(lt(dlarray([1, 2, 3], 'C'), dlarray([2, 2], 'B')).toNested()).toEqual([
      [true, true],
      [false, false],
      [false, false],
    ])
    expect(() => eq(A, dlarray([1, 2], [2]))).toThrow(DimensionError)
  })
})

describe('rectifiers', () => {
  const at = [-2, -0.5, 0, 0.5, 7, NAN, -INF]

  it('have the values that their definitions give, on both backends', () => {
    const X = () => dlarray(at, [at.length])
    expect(onBoth(() => relu(X()))).toEqual([0, 0, 0, 0.5, 7, NAN, 0])
    expect(onBoth(() => leakyrelu(X(), 0.5))).toEqual([-1, -0.25, 0, 0.5, 7, NAN, -INF])
    expect(onBoth(() => clippedrelu(X(), 6))).toEqual([0, 0, 0, 0.5, 6, NAN, 0])
    expect(onBoth(() => abs(X()))).toEqual([2, 0.5, 0, 0.5, 7, NAN, INF])
    expect(onBoth(() => uminus(X())).slice(0, 2)).toEqual([2, 0.5])
    const alpha = elu(X(), 3).values()
    expect(alpha[0]).toBeCloseTo(3 * Math.expm1(-2), 6)
    expect(alpha[6]).toBe(-3)
  })

  it('have slopes that are 0 or 1 where they are straight', () => {
    expect(slope(relu, at.slice(0, 5))).toEqual([0, 0, 0, 1, 1])
    expect(slope((x) => leakyrelu(x, 0.25), at.slice(0, 5))).toEqual([0.25, 0.25, 1, 1, 1])
    expect(slope((x) => clippedrelu(x, 6), at.slice(0, 5))).toEqual([0, 0, 0, 1, 0])
    expect(slope(abs, at.slice(0, 5))).toEqual([-1, -1, 0, 1, 1])
    // alpha below 0 and at 0
    expect(slope((x) => elu(x, 0), at.slice(0, 5))).toEqual([0, 0, 1, 1, 1])
  })

  it('refuse numbers that are none', () => {
    expect(() => leakyrelu(dlarray([1]), NAN)).toThrow(OptionError)
    expect(() => clippedrelu(dlarray([1]), 0)).toThrow(/ceiling above 0/)
    expect(() => gelu(dlarray([1]), { approximation: 'erf' as never })).toThrow(/'none' or 'tanh'/)
  })
})

describe('gelu', () => {
  it('is x times the normal distribution, or its approximation', () => {
    const X = dlarray([-3, -1, 0, 0.5, 2], [5], { type: 'double' })
    const exact = [...X.values()].map((x) => x * normalDistribution(x))
    gelu(X)
      .values()
      .forEach((y, i) => {
        expect(y).toBeCloseTo(exact[i]!, 14)
      })
    const approximate = gelu(X, { approximation: 'tanh' }).values()
    approximate.forEach((y, i) => {
      const x = X.values()[i]!
      expect(y).toBeCloseTo(0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))), 14)
    })
    expect(Math.max(...approximate.map((y, i) => Math.abs(y - exact[i]!)))).toBeGreaterThan(1e-5)
  })

  it('rests on a distribution function with known values', () => {
    // Abramowitz and Stegun, table 26.1, and the tail by its asymptotic series
    expect(normalDistribution(0)).toBe(0.5)
    expect(normalDistribution(1)).toBeCloseTo(0.841344746068543, 15)
    expect(normalDistribution(-2)).toBeCloseTo(0.022750131948179, 15)
    expect(normalDistribution(-10) / 7.61985302416053e-24).toBeCloseTo(1, 12)
    expect(normalDistribution(3) + normalDistribution(-3)).toBe(1)
    expect(normalDistribution(2.9999999) / normalDistribution(3)).toBeCloseTo(1, 9)
    expect(normalDistribution(NAN)).toBeNaN()
  })
})

describe('power', () => {
  it('is differentiated where the base is 0', () => {
    expect(slope((x) => power(x, 2), [0, 3])).toEqual([0, 6])
    expect(slope((x) => power(x, 3), [0, 2])).toEqual([0, 12])
    expect(slope((x) => power(x, 1), [0, 2])).toEqual([1, 1])
    expect(slope((x) => power(x, 0), [0, 2])).toEqual([0, 0])
    expect(
      slope((x) => power(2, x), [0, 3])
        .map((y) => y / Math.log(2))
        .map((y) => Math.round(y * 1e5) / 1e5),
    ).toEqual([1, 8])
  })

  it('has higher derivatives', () => {
    const third = dlfeval(
      (x) => {
        const options = { enableHigherDerivatives: true }
        const first = dlgradient(sum(power(x, 3), 'all'), x, options)
        const second = dlgradient(sum(first, 'all'), x, options)
        return dlgradient(sum(second, 'all'), x)
      },
      dlarray([0, 1.5, -2], [3], { type: 'double' }),
    )
    expect([...third.values()]).toEqual([6, 6, 6])
  })
})

describe('prod', () => {
  it('is differentiated where elements are 0', () => {
    expect(slope((x) => prod(x, 'all'), [2, 3, 4])).toEqual([12, 8, 6])
    expect(slope((x) => prod(x, 'all'), [2, 0, 4])).toEqual([0, 8, 0])
    expect(slope((x) => prod(x, 'all'), [0, 0, 4])).toEqual([0, 0, 0])
  })

  it.each([[[2, 3, 4]], [[2, 0, 4]], [[0, 0, 4]], [[0, 0, 0, 5, 2]], [[3]], [[3, 0]], [[1, 2, 0, 3, 0, 4, 5]]])(
    'has the second derivative of a product, at zeros too: %j',
    (values) => {
      const count = values.length
      const without = (i: number, j: number) =>
        values.reduce((product, value, k) => (k === i || k === j ? product : product * value), 1)
      for (let i = 0; i < count; i++) {
        const chosen = dlarray(
          values.map((_, k) => Number(k === i)),
          [count, 1],
          { type: 'double' },
        )
        const row = dlfeval(
          (x) => {
            const first = dlgradient(prod(x, 'all'), x, { enableHigherDerivatives: true })
            return dlgradient(sum(times(first, chosen), 'all'), x)
          },
          dlarray(values, [count, 1], { type: 'double' }),
        )
        expect([...row.values()]).toEqual(values.map((_, j) => (i === j ? 0 : without(i, j))))
      }
    },
  )

  it('has the third derivative at zeros', () => {
    const x = dlarray([0, 0, 0, 7], [4, 1], { type: 'double' })
    const along = (gradient: DlArray, i: number) =>
      times(
        gradient,
        dlarray(
          [0, 1, 2, 3].map((k) => Number(k === i)),
          [4, 1],
          { type: 'double' },
        ),
      )
    const third = dlfeval((x) => {
      const options = { enableHigherDerivatives: true }
      const first = dlgradient(prod(x, 'all'), x, options)
      const second = dlgradient(sum(along(first, 0), 'all'), x, options)
      return dlgradient(sum(along(second, 1), 'all'), x)
    }, x)
    expect([...third.values()]).toEqual([0, 0, 7, 0])
  })
})

describe('max and min', () => {
  it('leave the gradient with the chosen element', () => {
    expect(slope((x) => max(x, 1), [0, 1, 2])).toEqual([0, 1, 1])
    expect(slope((x) => min(1, x), [0, 1, 2])).toEqual([1, 0, 0])
    expect(slope((x) => max(x, [], 'all'), [1, 3, 2])).toEqual([0, 1, 0])
    // shared between equals
    expect(slope((x) => max(x, [], 'all'), [3, 3, 2])).toEqual([0.5, 0.5, 0])
  })

  it('choose from something, and take dimensions or a second array', () => {
    expect(() => max(dlarray([], [0, 3]), [], 1)).toThrow(OptionError)
    expect(() => (max as (...all: unknown[]) => DlArray)(dlarray([1]), 2, 1)).toThrow(/two arrays and dimensions/)
    const X = dlarray([1, 5, 2, 7, 3, 4], [3, 2], 'CB')
    expect(max(X, 'all').item()).toBe(7)
    expect(min(X, 'all').item()).toBe(1)
    expect([...max(X, 'C').values()]).toEqual([5, 7])
    expect([...min(X, [], [1, 2]).values()]).toEqual([1])
    expect([...max(X, [], 2).values()]).toEqual([7, 5, 4])
    expect(() => max(X, [1, 2] as never)).toThrow(/Write max\(X, \[\], \[1,2\]\)/)
    // @ts-expect-error 'S' is not a dimension of 'CB'
    expect(() => max(X, 'S')).toThrow(/'S' labels no dimension/)
    expect(() => max(dlarray([1, 2], 'C'), [], 'S' as never)).toThrow(/'S' labels no dimension/)
  })
})

describe('softmax and sigmoid', () => {
  it('do not overflow', () => {
    expect(onBoth(() => softmax(dlarray([1000, 1000, -1000], 'C')))).toEqual([0.5, 0.5, 0])
    expect(onBoth(() => sigmoid(dlarray([1000, -1000, 0], [3])))).toEqual([1, 0, 0.5])
  })

  it('keep the order of unformatted data, and need channels', () => {
    const X = dlarray([0, 0, 0, Math.log(3), 0, Math.log(3)], [2, 3], { type: 'double' })
    const Y = softmax(X, { dataFormat: 'CB' })
    expect(Y.dims).toBe('')
    expect([...Y.values()].map((y) => Math.round(y * 1e9) / 1e9)).toEqual([0.5, 0.5, 0.25, 0.75, 0.25, 0.75])
    const turned = softmax(X, { dataFormat: 'BC' })
    expect(turned.size).toEqual([2, 3])
    expect(turned.values()[0]).toBeCloseTo(1 / 3, 12)
    expect(() => softmax(X)).toThrow(DimensionError)
  })
})
