import { beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setBackend } from '../../src/backends/current.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { normalDensity, normalDistribution } from '../../src/operations/arrays/normal-distribution.js'
import { exp, expm1, log, log1p } from '../../src/operations/elementwise/exponential.js'
import { gelu, normalDensityOperation, normalDistributionOperation } from '../../src/operations/elementwise/gelu.js'
import { elu } from '../../src/operations/elementwise/leakyrelu.js'
import { power } from '../../src/operations/elementwise/power.js'
import { round, sign } from '../../src/operations/elementwise/rounding.js'
import { sigmoid, softplus, swish, tanh } from '../../src/operations/elementwise/sigmoid.js'
import { cos, sin, tan } from '../../src/operations/elementwise/trigonometric.js'

// The module's own elementary functions against float64, in units in the last place of a float.

/** The distance of neighbouring floats at y; that of denormals below the normal numbers. */
function ulp(y: number): number {
  const magnitude = Math.abs(y)
  return magnitude < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(magnitude)) - 23)
}

/** Floats of both signs: `count` per power of two from 2^from to 2^to. */
function spread(from: number, to: number, count = 40): Float32Array {
  const values: number[] = []
  let state = 12345
  for (let exponent = from; exponent < to; exponent++)
    for (let i = 0; i < count; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      const x = 2 ** exponent * (1 + state / 2 ** 32)
      values.push(x, -x)
    }
  return Float32Array.from(values)
}

function single(values: ArrayLike<number>): DlArray {
  return dlarray(Float32Array.from(values), [values.length])
}

interface Case {
  name: string
  compute: (X: DlArray) => DlArray
  value: (x: number) => number
  inputs: Float32Array
  /** Largest error in ulp. */
  ulps: number
}

const logistic = (x: number) => 1 / (1 + Math.exp(-x))
const positive = (values: Float32Array) => values.map(Math.abs)

const cases: Case[] = [
  { name: 'exp', compute: exp, value: Math.exp, inputs: spread(-30, 7), ulps: 1 },
  { name: 'expm1', compute: expm1, value: Math.expm1, inputs: spread(-140, 7), ulps: 2 },
  { name: 'log', compute: log, value: Math.log, inputs: positive(spread(-149, 128)), ulps: 1 },
  { name: 'log near 1', compute: log, value: Math.log, inputs: spread(-20, -2).map((x) => 1 + x), ulps: 1 },
  { name: 'log1p', compute: log1p, value: Math.log1p, inputs: positive(spread(-140, 127)), ulps: 2 },
  {
    name: 'log1p below 0',
    compute: log1p,
    value: Math.log1p,
    inputs: positive(spread(-140, -1)).map((x) => -x),
    ulps: 2,
  },
  { name: 'sin', compute: sin, value: Math.sin, inputs: spread(-140, 128), ulps: 2 },
  { name: 'cos', compute: cos, value: Math.cos, inputs: spread(-30, 128), ulps: 2 },
  { name: 'tan', compute: tan, value: Math.tan, inputs: spread(-140, 128), ulps: 3 },
  { name: 'tanh', compute: tanh, value: Math.tanh, inputs: spread(-140, 6), ulps: 2 },
  { name: 'sigmoid', compute: sigmoid, value: logistic, inputs: spread(-30, 6), ulps: 2 },
  {
    name: 'softplus',
    compute: softplus,
    value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    inputs: spread(-30, 6),
    ulps: 2,
  },
  { name: 'swish', compute: swish, value: (x) => x * logistic(x), inputs: spread(-100, 6), ulps: 3 },
  {
    name: 'normalDistribution',
    compute: (X) => normalDistributionOperation.run({ X }),
    value: normalDistribution,
    inputs: spread(-30, 3),
    ulps: 6,
  },
  {
    name: 'normalDensity',
    compute: (X) => normalDensityOperation.run({ X }),
    value: normalDensity,
    inputs: spread(-30, 3),
    ulps: 3,
  },
  { name: 'gelu', compute: (X) => gelu(X), value: (x) => x * normalDistribution(x), inputs: spread(-100, 3), ulps: 7 },
]

beforeAll(() => setBackend('wasm'))

describe('elementary functions in single precision', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', (_, { compute, value, inputs, ulps }) => {
    const actual = compute(single(inputs)).values()
    let worst = 0
    let where = ''
    inputs.forEach((x, i) => {
      const expected = value(x)
      if (!Number.isFinite(Math.fround(expected))) {
        expect(actual[i], `at ${x}`).toBe(Math.fround(expected))
        return
      }
      const error = Math.abs(actual[i]! - expected) / ulp(expected)
      if (error <= worst) return
      worst = error
      where = `${error.toFixed(2)} ulp at ${x}: ${actual[i]}, expected ${expected}`
    })
    expect(worst, where).toBeLessThanOrEqual(ulps)
  })

  it('power, also where the logarithm is multiplied by much', () => {
    const a = positive(spread(-8, 8, 30))
    const b = spread(-4, 4, 60).slice(0, a.length)
    const near = spread(-12, -2, 30).map((x) => 1 + x)
    const large = spread(3, 9, 60).slice(0, near.length)
    for (const [bases, exponents] of [
      [a, b],
      [near, large],
    ] as const) {
      const n = Math.min(bases.length, exponents.length)
      const actual = power(single(bases.slice(0, n)), single(exponents.slice(0, n))).values()
      for (let i = 0; i < n; i++) {
        const expected = bases[i]! ** exponents[i]!
        if (Number.isFinite(Math.fround(expected)))
          expect(Math.abs(actual[i]! - expected) / ulp(expected), `${bases[i]}^${exponents[i]}`).toBeLessThanOrEqual(1)
        else expect(actual[i]).toBe(Math.fround(expected))
      }
    }
  })

  it('gives the limits at zeros, infinities and NaN', () => {
    const special = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
    const at = (compute: (X: DlArray) => DlArray) => [...compute(single(special)).values()]
    const inf = Number.POSITIVE_INFINITY
    const nan = Number.NaN
    expect(at(exp)).toEqual([1, 1, inf, 0, nan])
    expect(at(expm1)).toEqual([0, -0, inf, -1, nan])
    expect(at(log)).toEqual([-inf, -inf, inf, nan, nan])
    expect(at(log1p)).toEqual([0, -0, inf, nan, nan])
    expect(at(sin)).toEqual([0, -0, nan, nan, nan])
    expect(at(cos)).toEqual([1, 1, nan, nan, nan])
    expect(at(tan)).toEqual([0, -0, nan, nan, nan])
    expect(at(tanh)).toEqual([0, -0, 1, -1, nan])
    expect(at(sigmoid)).toEqual([0.5, 0.5, 1, 0, nan])
    expect(at(softplus).slice(2)).toEqual([inf, 0, nan])
    expect(at(swish)).toEqual([0, -0, inf, 0, nan])
    expect(at((X) => gelu(X))).toEqual([0, -0, inf, 0, nan])
    expect(at((X) => elu(X, 2))).toEqual([0, -0, inf, -2, nan])
    expect(at(sign)).toEqual([0, -0, 1, -1, nan])
  })

  it('powers of zeros, infinities and negative numbers', () => {
    const values = [
      0,
      -0,
      1,
      -1,
      2,
      -2,
      0.5,
      -0.5,
      3,
      -3,
      2.5,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ]
    const bases = values.flatMap((a) => values.map(() => a))
    const exponents = values.flatMap(() => values)
    const actual = power(single(bases), single(exponents)).values()
    bases.forEach((a, i) => {
      const b = exponents[i]!
      // IEEE 754: 1 to any power is 1, and so is -1 to an infinite one
      const expected = a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b
      if (Number.isNaN(expected)) expect(actual[i], `${a}^${b}`).toBeNaN()
      else
        expect(
          Object.is(actual[i], Math.fround(expected)) || Math.abs(actual[i]! - expected) < 1e-6,
          `${a}^${b} = ${actual[i]}`,
        ).toBe(true)
    })
  })

  it('rounds halves away from zero', () => {
    expect([...round(single([0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, 8388609])).values()]).toEqual([
      1, -1, 2, 3, -3, 0, 8388609,
    ])
  })
})
