import { describe, expect, expectTypeOf, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setThreads } from '../../../src/backends/current.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { padAdjointOperation, padOperation } from '../../../src/operations/arrays/pad.js'
import {
  convolutionBiasGradientOperation,
  convolutionFilterGradientOperation,
  dlconvOperation,
  dltranspconvOperation,
} from '../../../src/operations/convolution/convolution.js'
import { dlconv } from '../../../src/operations/convolution/dlconv.js'
import { dltranspconv } from '../../../src/operations/convolution/dltranspconv.js'
import { plus, times } from '../../../src/operations/elementwise/arithmetic.js'
import type { Operation, Sample } from '../../../src/operations/operation.js'
import { fullyconnect, fullyconnectOperation } from '../../../src/operations/products/fullyconnect.js'
import { mtimes } from '../../../src/operations/products/mtimes.js'
import { pagemtimes, pagemtimesOperation } from '../../../src/operations/products/pagemtimes.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { expectClose, SINGLE } from '../../support/close.js'

/** Central differences in float64 with a step of 1e-5: rounding and truncation both stay below this. */
const DIFFERENCES = 1e-8

let state = 1
function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.fround((state / 2 ** 32) * 2 - 1)
}

/** sum(weight .* Y .^ 2): not linear in Y, so that operations linear in their inputs have second derivatives too. */
function lossOf(weight: DlArray, Y: DlArray): DlArray {
  return sum(times(weight, times(Y, Y)), 'all')
}

type Inputs = Record<string, DlArray>
type AnyOperation = Operation<string, never, string, object>

function filled(size: readonly number[], format: string | undefined, type: 'double' | 'single', data?: Float64Array) {
  const count = size.reduce((a, b) => a * b, 1)
  const full = size.length < 2 ? [...size, 1] : size
  const values = data ?? Float64Array.from({ length: count }, random)
  return format ? dlarray(values, size, format as string, { type }) : dlarray(values, full, { type })
}

function inputsOf(
  sample: Sample<string, object>,
  type: 'double' | 'single',
  data: Record<string, Float64Array>,
): Inputs {
  const inputs: Inputs = {}
  for (const [name, spec] of Object.entries(sample.inputs)) {
    if (!spec) continue
    inputs[name] = filled(spec.size, spec.format, type, data[name]) as DlArray
    data[name] ??= Float64Array.from(inputs[name].values())
  }
  return inputs
}

const operations = [
  dlconvOperation,
  dltranspconvOperation,
  convolutionFilterGradientOperation,
  convolutionBiasGradientOperation,
  padOperation,
  padAdjointOperation,
  pagemtimesOperation,
  fullyconnectOperation,
] as unknown as AnyOperation[]

for (const one of operations)
  describe(one.name, () => {
    one.samples().forEach((sample, index) => {
      const run = (inputs: Inputs) => one.run(inputs as never, sample.options)
      const data: Record<string, Float64Array> = {}
      const doubles = inputsOf(sample, 'double', data)

      it(`sample ${index}: single agrees with double, and one thread with two`, () => {
        setThreads(1)
        const expected = run(doubles).values()
        const single = run(inputsOf(sample, 'single', data)).values()
        expectClose(single, expected, SINGLE)
        setThreads(2)
        expect(run(inputsOf(sample, 'single', data)).values()).toEqual(single)
      })

      it(`sample ${index}: first and second derivatives agree with differences`, () => {
        const Y = run(doubles)
        const dY = filled(Y.size, Y.dims || undefined, 'double') as DlArray
        const directions: Inputs = Object.fromEntries(
          Object.entries(doubles).map(([name, X]) => [name, filled(X.size, X.dims || undefined, 'double') as DlArray]),
        )
        const gradients = (inputs: Inputs, type: 'double' | 'single' = 'double') =>
          dlfeval((traced: Inputs) => {
            const weight =
              type === 'double'
                ? dY
                : (filled(Y.size, Y.dims || undefined, type, Float64Array.from(dY.values())) as DlArray)
            return dlgradient(lossOf(weight, run(traced)), traced)
          }, inputs)
        /** sum over inputs of direction times gradient, whose own gradient is the second derivative. */
        const second = dlfeval((traced: Inputs) => {
          const first = dlgradient(lossOf(dY, run(traced)), traced, { enableHigherDerivatives: true })
          const terms = Object.keys(traced).map((name) => sum(times(directions[name]!, first[name]!), 'all'))
          return dlgradient(
            terms.reduce((a, b) => plus(a, b)),
            traced,
          )
        }, doubles)
        const first = gradients(doubles)
        for (const [name, array] of Object.entries(gradients(inputsOf(sample, 'single', data), 'single')))
          expectClose(array.values(), first[name]!.values(), 2 * SINGLE, `${name} in single`)
        const loss = (inputs: Inputs) =>
          dot(
            run(inputs)
              .values()
              .map((y) => y * y),
            dY.values(),
          )
        const slope = (inputs: Inputs) => {
          const g = gradients(inputs)
          return Object.keys(inputs).reduce((total, n) => total + dot(g[n]!.values(), directions[n]!.values()), 0)
        }
        const step = 1e-5
        for (const name of Object.keys(doubles)) {
          const count = data[name]!.length
          for (const i of [0, 1, Math.floor(count / 2), count - 1]) {
            if (i < 0 || i >= count) continue
            const moved = (by: number) => {
              const values = Float64Array.from(data[name]!)
              values[i]! += by
              return { ...doubles, [name]: inputsOf(sample, 'double', { ...data, [name]: values })[name]! }
            }
            const difference = (f: (inputs: Inputs) => number) => (f(moved(step)) - f(moved(-step))) / (2 * step)
            const scale = 1 + Math.abs(first[name]!.values()[i]!)
            expect(Math.abs(first[name]!.values()[i]! - difference(loss)) / scale, name).toBeLessThan(DIFFERENCES)
            const curvature = second[name]!.values()[i]!
            expect(Math.abs(curvature - difference(slope)) / (1 + Math.abs(curvature)), `second ${name}`).toBeLessThan(
              DIFFERENCES,
            )
          }
        }
      })
    })
  })

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!
  return total
}

const counted = (size: readonly number[], format?: string) =>
  filled(
    size,
    format,
    'double',
    Float64Array.from({ length: size.reduce((a, b) => a * b, 1) }, (_, i) => i + 1),
  ) as DlArray

describe('dlconv', () => {
  it('is a correlation: weights are not turned round', () => {
    const X = dlarray([[1], [2], [4], [8]], 'SC', { type: 'double' })
    const weights = dlarray([[1], [10]], { type: 'double' })
    expect([...dlconv(X, weights, 0).values()]).toEqual([21, 42, 84])
  })

  it('puts the odd pixel of same padding at the end', () => {
    const X = dlarray([[1], [2], [4], [8]], 'SC', { type: 'double' })
    const weights = dlarray([[1], [10]], { type: 'double' })
    expect([...dlconv(X, weights, 0, { padding: 'same' }).values()]).toEqual([21, 42, 84, 8])
    expect([...dlconv(X, weights, 0, { padding: 'causal' }).values()]).toEqual([10, 21, 42, 84])
    expect([...dlconv(X, weights, 0, { padding: 'same', stride: 3 }).values()]).toEqual([21, 8])
  })

  it('pads with values, with edges and with mirror images', () => {
    const X = dlarray([[1], [2], [4], [8]], 'SC', { type: 'double' })
    const one = dlarray([[1]], { type: 'double' })
    const padded = (paddingValue: Parameters<typeof dlconv>[3] & object) => [
      ...dlconv(X, one, 0, { padding: [2, 3], ...paddingValue }).values(),
    ]
    expect(padded({ paddingValue: 7 })).toEqual([7, 7, 1, 2, 4, 8, 7, 7, 7])
    expect(padded({ paddingValue: 'replicate' })).toEqual([1, 1, 1, 2, 4, 8, 8, 8, 8])
    expect(padded({ paddingValue: 'symmetric-include-edge' })).toEqual([2, 1, 1, 2, 4, 8, 8, 4, 2])
    expect(padded({ paddingValue: 'symmetric-exclude-edge' })).toEqual([4, 2, 1, 2, 4, 8, 4, 2, 1])
  })

  it('differentiates padding with mirror images', () => {
    const dX = dlfeval(
      (X: DlArray) => {
        const Y = dlconv(X, dlarray([[1]], { type: 'double' }), 0, { padding: [2, 0], paddingValue: 'replicate' })
        return dlgradient(sum(Y, 'all'), X)
      },
      dlarray([[5], [6]], 'SC', { type: 'double' }) as DlArray,
    )
    expect([...dX.values()]).toEqual([3, 1])
  })

  it('convolves over time when X has no S or the weights have a T', () => {
    const X = counted([2, 3, 5], 'CBT')
    const weights = counted([3, 2, 4])
    const Y = dlconv(X, weights, 1, { padding: 'causal' })
    expect([Y.dims, Y.size]).toEqual(['CBT', [4, 3, 5]])
    // The same as space: X as S, C, B.
    const S = dlarray(X.values(), [2, 3, 5], 'CBS', { type: 'double' })
    const inSpace = dlconv(S, weights, 1, { padding: 'causal' })
    const [y, s] = [Y.toNested() as number[][][], inSpace.toNested() as number[][][]]
    expect(y[3]![2]![4]).toBe(s[4]![3]![2])
    const image = counted([5, 3, 2, 4], 'SCBT')
    const both = dlconv(image, counted([2, 3, 3, 7]), 0, { weightsFormat: 'STCU' })
    expect([both.dims, both.size]).toEqual(['SCBT', [4, 7, 2, 2]])
    const alone = dlconv(image, counted([2, 3, 7]), 0)
    expect([alone.dims, alone.size]).toEqual(['SCBT', [4, 7, 2, 4]])
  })

  it('takes weights in any order, with or without labels', () => {
    const X = counted([5, 4, 3, 2], 'SSCB')
    const weights = counted([2, 3, 3, 4])
    const expected = [...dlconv(X, weights, 2).values()]
    const turned = dlarray(weights.values(), [2, 3, 3, 4], 'SSCU', { type: 'double' })
    expect([...dlconv(X, turned, 2).values()]).toEqual(expected)
    const bias = counted([4])
    const moved = Float64Array.from({ length: 72 }, (_, i) => {
      const [u, c, rest] = [i % 4, Math.floor(i / 4) % 3, Math.floor(i / 12)]
      return weights.values()[rest + 6 * (c + 3 * u)]!
    })
    const plain = dlarray(moved, [4, 3, 2, 3], { type: 'double' })
    expect([...dlconv(X, plain, bias, { weightsFormat: 'UCSS' }).values()]).toEqual([
      ...dlconv(X, weights, bias).values(),
    ])
  })

  it('keeps the order of unformatted data', () => {
    const X = dlarray(counted([3, 5, 4, 2]).values(), [3, 5, 4, 2], { type: 'double' })
    const Y = dlconv(X, counted([2, 2, 3, 6]), 0, { dataFormat: 'CSSB' })
    expect([Y.dims, Y.size]).toEqual(['', [6, 4, 3, 2]])
  })

  it('says what does not fit', () => {
    const X = counted([5, 4, 3, 2], 'SSCB')
    expect(() => dlconv(X, counted([2, 2, 4, 6]), 0)).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: dlconv: expected weights for the 3 channels of X, but got weights of 2×2×4×6, which take 4 channels (4 in each of 1 groups), and X of 5(S) × 4(S) × 3(C) × 2(B). Give weights [filter..., channels, filters, groups] that fit, or name their dimensions with weightsFormat.]`,
    )
    expect(() => dlconv(X, counted([6, 2, 3, 6]), 0)).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: dlconv: expected a filter that is not larger than the padded image, but got a filter reaching over 6×2 for an image of 5×4 padded by 0, 0 before and 0, 0 after. Use a smaller filter or dilationFactor, or more padding ('same' keeps the size).]`,
    )
    expect(() => dlconv(X, counted([2, 2, 3, 6]), counted([5]))).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: dlconv: expected a bias with one element for each of the 6 filters, but got 5×1 unformatted. Give 6 elements, a scalar, or no bias.]`,
    )
    expect(() => dlconv(X, counted([2, 2, 3, 6]), 0, { stride: 0 })).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: dlconv: expected for stride a positive whole number, or one for each of the 2 dimensions, but got 0. Give stride one number or 2 of them.]`,
    )
    expect(() => dlconv(X, counted([2, 2, 3, 6]), 0, { padding: [1, 2, 3] })).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: dlconv: expected for padding whole numbers of 0 or more: one, 2 of them, or [[begins], [ends]] with 2 in each row, but got [1,2,3]. Write [[top, left], [bottom, right]] to give each edge its own padding.]`,
    )
    expect(() => dlconv(X, counted([2, 2, 3, 6]), 0, { padding: 'causal' })).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: dlconv: expected padding 'causal' with one dimension to convolve over, but got 2 dimensions. Use 'same' or numbers.]`,
    )
    expect(() => dlconv(counted([5, 4]), counted([2, 2]), 0)).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: dlconv: expected an array with a channel dimension (C) and one to three dimensions to convolve over (S), but got 5×4 unformatted. Label it with dlarray(X, format) or give dataFormat.]`,
    )
    expect(() => dlconv(X, counted([2, 2, 3, 6]), 0, { weightsFormat: 'SCUU' })).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: dlconv: expected weights with one S for each S of X, but got weights labelled 'SCUU' for X of 5(S) × 4(S) × 3(C) × 2(B). Name the weights' dimensions SS, C, U (filters) and, for groups, U again.]`,
    )
  })
})

describe('dltranspconv', () => {
  it('is the adjoint of dlconv with the same weights', () => {
    const [X, Y] = [counted([7, 6, 3, 2], 'SSCB'), counted([3, 2, 4, 2], 'SSCB')]
    const weights = counted([3, 4, 3, 4])
    const options = { stride: 2 }
    const forward = dot(dlconv(X, weights, 0, options).values(), Y.values())
    expect(dot(dltranspconv(Y, weights, 0, options).values(), X.values())).toBe(forward)
  })

  it('with same cropping multiplies the size by the stride', () => {
    expect(
      dltranspconv(counted([7, 7, 3], 'SSC'), counted([3, 3, 2, 3]), 0, { stride: 2, cropping: 'same' }).size,
    ).toEqual([14, 14, 2])
  })

  it('enlarges over time', () => {
    const Y = dltranspconv(counted([2, 3, 5], 'CBT'), counted([2, 4, 2]), 0, { stride: 2 })
    expect([Y.dims, Y.size]).toEqual(['CBT', [4, 3, 10]])
  })
})

describe('products', () => {
  it('mtimes multiplies matrices, and anything by a scalar', () => {
    const A = dlarray(
      [
        [1, 2],
        [3, 4],
      ],
      { type: 'double' },
    )
    const B = dlarray(
      [
        [5, 6],
        [7, 8],
      ],
      { type: 'double' },
    )
    expect(mtimes(A, B).toNested()).toEqual([
      [19, 22],
      [43, 50],
    ])
    expect(mtimes(A, 2).toNested()).toEqual([
      [2, 4],
      [6, 8],
    ])
    const X = counted([2, 3], 'CB')
    expect(mtimes(dlarray([[2]], { type: 'double' }), X).dims).toBe('CB')
    expect(() => mtimes(X, X)).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: mtimes: expected two unformatted matrices, as many columns of A as rows of B, or a scalar and an array, but got 2(C) × 3(B) times 2(C) × 3(B). Use stripdims first, or fullyconnect.]`,
    )
    expect(() => mtimes(A, counted([3, 2]))).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: mtimes: expected two unformatted matrices, as many columns of A as rows of B, or a scalar and an array, but got 2×2 unformatted times 3×2 unformatted. Transpose one of them, or use times for element-wise products.]`,
    )
  })

  it('pagemtimes expands pages and transposes them', () => {
    const A = counted([2, 3, 4])
    expect(pagemtimes(A, counted([3, 5])).size).toEqual([2, 5, 4])
    expect(pagemtimes(A, 'transpose', counted([2, 5]), 'none').size).toEqual([3, 5, 4])
    expect(() => pagemtimes(A, counted([3, 5, 3]))).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: pagemtimes: expected unformatted arrays: as many columns of A as rows of B, and pages that are equal or 1, but got 2×3×4 unformatted times 3×5×3 unformatted. Transpose or reshape one of them.]`,
    )
  })

  it('fullyconnect flattens S and C and keeps B and T', () => {
    const Y = fullyconnect(counted([3, 2, 2, 5], 'SSCB'), counted([4, 12]), counted([4]))
    expect([Y.dims, Y.size]).toEqual(['CB', [4, 5]])
    expect(Y.values()[0]).toBe(Array.from({ length: 12 }, (_, i) => (1 + 4 * i) * (i + 1)).reduce((a, b) => a + b, 1))
    expect(fullyconnect(counted([2, 3, 5], 'CBT'), counted([4, 2]), 1).size).toEqual([4, 3, 5])
    expect(fullyconnect(counted([2, 3, 5], 'SCT'), counted([4, 6]), 1).dims).toBe('CT')
  })

  it('the compiler knows the format of a fully connected result', () => {
    const values = new Float32Array(12)
    const weights = dlarray(new Float32Array(24), [2, 12])
    expectTypeOf(fullyconnect(dlarray(values, [2, 3, 2, 1], 'SSCB'), weights)).toEqualTypeOf<DlArray<'CB'>>()
    expectTypeOf(fullyconnect(dlarray(values, [6, 2, 1], 'SCT'), weights)).toEqualTypeOf<DlArray<'CT'>>()
    expectTypeOf(fullyconnect(dlarray(values, [6, 2], 'SC'), weights)).toEqualTypeOf<DlArray<'CU'>>()
    expect(fullyconnect(dlarray(values, [6, 2], 'SC'), weights).dims).toBe('CU')
  })

  it('fullyconnect takes labelled weights', () => {
    const X = counted([3, 2], 'CB')
    const weights = counted([4, 3])
    const expected = [...fullyconnect(X, weights).values()]
    expect([...fullyconnect(X, dlarray(weights, 'UC')).values()]).toEqual(expected)
    expect([...fullyconnect(X, weights, 0, { weightsFormat: 'UC' }).values()]).toEqual(expected)
    expect(() => fullyconnect(X, counted([4, 2]))).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: fullyconnect: expected weights with 3 columns, one for each S and C element of an observation of X, but got weights of 4×2 for X of 3(C) × 2(B). Give weights of outputs × 3.]`,
    )
    expect(() => fullyconnect(X, weights, counted([3]))).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: fullyconnect: expected a bias with one element for each of the 4 outputs, but got 3×1 unformatted. Give 4 elements, a scalar, or no bias.]`,
    )
  })
})
