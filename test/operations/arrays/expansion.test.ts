import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { scope } from '../../../src/memory/scope.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { minus, plus, rdivide, times } from '../../../src/operations/elementwise/arithmetic.js'
import { lt } from '../../../src/operations/elementwise/comparison.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { extents, formats, numbered, reader, subscriptsOf } from '../../support/arrays.js'
import { expectClose } from '../../support/close.js'
import { message } from '../../support/message.js'

// How two arrays combine element by element: formats, sizes and values.

/** Names of an array's dimensions: S1, S2, C1, ... */
function names(dims: string): string[] {
  return [...dims].map((label, d) => `${label}${[...dims.slice(0, d)].filter((other) => other === label).length + 1}`)
}

/** For every element of `Y` the two elements that belong to it, found by the names of dimensions. */
function* pairs(Y: DlArray, A: DlArray, B: DlArray): Generator<[number, number, number]> {
  const at = reader(Y)
  const atA = reader(A)
  const atB = reader(B)
  const positions = (X: DlArray) => {
    const own = names(X.dims)
    return names(Y.dims).map((name) => own.indexOf(name))
  }
  const pick = (X: DlArray, subscript: readonly number[]) => {
    const to = X.dims === '' ? subscript.map((_, d) => d) : positions(X)
    const result = X.size.map(() => 0)
    subscript.forEach((k, d) => {
      const position = to[d]!
      if (position >= 0 && position < X.ndims) result[position] = X.size[position] === 1 ? 0 : k
    })
    return result
  }
  for (const subscript of subscriptsOf(Y.size))
    yield [at(...subscript), atA(...pick(A, subscript)), atB(...pick(B, subscript))]
}

/** Two formats and sizes that go together: equal labels have equal extents, or 1 in one of them. */
const couples = fc
  .tuple(
    formats,
    formats,
    fc.dictionary(fc.constantFrom('S1', 'S2', 'C1', 'B1', 'T1', 'U1', 'U2'), extents),
    fc.infiniteStream(fc.boolean()),
  )
  .map(([a, b, table, flat]) => {
    const build = (format: string) =>
      [...names([...format].join(''))].map((name) => (flat.next().value ? 1 : (table[name] ?? 2)))
    return { a, sizeA: build(a), b, sizeB: build(b) }
  })

describe('two formatted arrays', () => {
  it('match by label, as in the examples of the documentation', () => {
    const X = numbered([2, 3, 2], 'SCB')
    const Y = dlarray([10, 20, 30], 'C', { type: 'double' })
    const Z = times(X, Y)
    expect(Z.dims).toBe('SCB')
    expect(Z.size).toEqual([2, 3, 2])
    const z = reader(Z)
    const x = reader(X)
    for (const [i, j, k] of subscriptsOf(Z.size)) expect(z(i!, j!, k!)).toBe(x(i!, j!, k!) * 10 * (j! + 1))

    const W = plus(numbered([2, 3, 4], 'SCB'), numbered([2, 5], 'ST'))
    expect(W.dims).toBe('SCBT')
    expect(W.size).toEqual([2, 3, 4, 5])
  })

  it.each([
    ['SCB', 'C', 'SCB'],
    ['C', 'SCB', 'SCB'],
    ['CB', 'SS', 'SSCB'],
    ['SS', 'S', 'SS'],
    ['S', 'SSS', 'SSS'],
    ['CT', 'BU', 'CBT'],
    ['CB', 'CB', 'CB'],
    ['SU', 'UU', 'SU'],
  ])('%s and %s give %s, whichever comes first', (a: string, b: string, expected) => {
    const ones = (format: string) => numbered([...format].map(() => 1), format) // biome-ignore format: short
    expect(plus(ones(a), ones(b)).dims).toBe(expected)
    expect(plus(ones(b), ones(a)).dims).toBe(expected)
  })

  it('puts a second S behind the first', () => {
    const Y = plus(numbered([4, 3], 'SS'), numbered([4], 'S'))
    const y = reader(Y)
    expect(y(2, 1)).toBe(1 + 2 + 4 + (1 + 2))
  })

  it('is what a loop over names of dimensions gives', () => {
    fc.assert(
      fc.property(couples, fc.boolean(), ({ a, sizeA, b, sizeB }, isSingle) =>
        scope(() => {
          const A = numbered(sizeA, a, isSingle ? 'single' : 'double')
          const B = numbered(sizeB, b, isSingle ? 'single' : 'double')
          const Y = plus(times(A, 100), B)
          for (const [y, x1, x2] of pairs(Y, A, B)) expect(y).toBe(100 * x1 + x2)
          const swapped = plus(B, times(A, 100))
          expect(swapped.dims).toBe(Y.dims)
          expect(swapped.size).toEqual(Y.size)
          expect(swapped.values()).toEqual(Y.values())
        }),
      ),
    )
  })
})

describe('a formatted and an unformatted array', () => {
  it('match by position and keep the format', () => {
    const X = numbered([2, 3, 4], 'SCB')
    const Y = plus(X, dlarray([[10, 20, 30]], { type: 'double' }))
    expect(Y.dims).toBe('SCB')
    for (const [y, x, b] of pairs(Y, X, dlarray([[10, 20, 30]]))) expect(y).toBe(x + b)
    expect(times(2, X).dims).toBe('SCB')
    expect(times(dlarray(2), X).dims).toBe('SCB')
  })

  it('label the further dimensions of the unformatted one U', () => {
    const Y = plus(numbered([2, 3], 'CB'), numbered([2, 1, 4]))
    expect(Y.dims).toBe('CBU')
    expect(Y.size).toEqual([2, 3, 4])
    expect(plus(numbered([2, 1, 4]), numbered([2, 3], 'CB')).dims).toBe('CBU')
  })

  it('combine without formats as plain arrays', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(extents, fc.constantFrom('both', 'a', 'b')), { minLength: 1, maxLength: 5 }),
        (plan) =>
          scope(() => {
            const A = numbered(plan.map(([n, who]) => (who === 'b' ? 1 : n)))
            const B = numbered(plan.map(([n, who]) => (who === 'a' ? 1 : n)))
            const Y = minus(A, B)
            expect(Y.dims).toBe('')
            expect(Y.numel).toBe(plan.reduce((total, [n]) => total * n, 1))
            for (const [y, a, b] of pairs(Y, A, B)) expect(y).toBe(a - b)
          }),
      ),
    )
  })
})

describe('classes', () => {
  it('single with double is single, with logical the other one, logical with logical single', () => {
    const of = (type: 'single' | 'double' | 'logical') => dlarray([1, 0], { type })
    expect(plus(of('single'), of('double')).underlyingType).toBe('single')
    expect(plus(of('double'), of('single')).underlyingType).toBe('single')
    expect(plus(of('double'), of('logical')).underlyingType).toBe('double')
    expect(plus(of('logical'), of('single')).underlyingType).toBe('single')
    expect(plus(of('logical'), of('logical')).values()).toEqual(Float32Array.of(2, 0))
    expect(plus(of('double'), 1).underlyingType).toBe('double')
    expect(lt(of('double'), of('single')).underlyingType).toBe('logical')
  })
})

describe('gradients', () => {
  it('come back in the size, format and class of the operands, for every pair of formats', () => {
    fc.assert(
      fc.property(couples, fc.constantFrom('', 'a', 'b'), fc.boolean(), ({ a, sizeA, b, sizeB }, mixed, isDouble) =>
        scope(() => {
          const type = isDouble ? 'double' : 'single'
          const A = numbered(sizeA, a, mixed === 'a' ? 'double' : type)
          const B = numbered(sizeB, b, mixed === 'b' ? 'double' : type)
          const gradients = dlfeval(
            (x: { A: DlArray; B: DlArray }) => dlgradient(sum(times(x.A, plus(x.B, 1)), 'all'), x),
            { A, B },
          )
          for (const name of ['A', 'B'] as const) {
            const X = { A, B }[name]
            expect(gradients[name].size).toEqual(X.size)
            expect(gradients[name].dims).toBe(X.dims)
            expect(gradients[name].underlyingType).toBe(X.underlyingType)
          }
          // d/dA sum(A (B + 1)): the sum of B + 1 over all that an element of A met.
          const Y = times(A, plus(B, 1))
          const expected = { A: new Float64Array(A.numel), B: new Float64Array(B.numel) }
          for (const [, x1, x2] of pairs(Y, A, B)) {
            expected.A[x1 - 1]! += x2 + 1
            expected.B[x2 - 1]! += x1
          }
          for (const name of ['A', 'B'] as const) {
            const inOrder = Array.from({ A, B }[name].values(), (number) => expected[name][number - 1]!)
            expectClose(gradients[name].values(), inOrder, 1e-6, name, 1)
          }
        }),
      ),
    )
  })

  it('of a quotient are those of central differences, expanded on both sides', () => {
    const A = dlarray([1, -2, 0.5], 'C', { type: 'double' })
    const B = dlarray([[2, 3, -1, 4]], 'CB', { type: 'double' })
    const loss = (a: DlArray, b: DlArray) => sum(times(rdivide(a, b), rdivide(a, b)), 'all')
    const gradients = dlfeval((a: DlArray, b: DlArray) => dlgradient(loss(a, b), [a, b]), A, B)
    const h = 1e-5
    for (const [which, X] of [A, B].entries()) {
      const base = X.values()
      const numeric = Float64Array.from(base, (_, i) => {
        const at = (step: number) => {
          const moved = dlarray(base.map((v, k) => (k === i ? v + step : v)), X.size, X.dims, { type: 'double' }) // biome-ignore format: one thing
          return (which === 0 ? loss(moved, B) : loss(A, moved)).item()
        }
        return (at(h) - at(-h)) / (2 * h)
      })
      expectClose(gradients[which]!.values(), numeric, 1e-8, String(which), 1)
    }
  })
})

describe('errors', () => {
  it('name the dimension, its label and both extents', () => {
    expect(message(() => plus(numbered([2, 3], 'CB'), numbered([2, 4], 'CB')))).toMatchInlineSnapshot(
      `"DimensionError: plus: expected equal extents, or an extent of 1, in dimension 2 (B), but got 3 and 4, combining 2(C) × 3(B) with 2(C) × 4(B). Arrays have incompatible sizes for this operation: give the dimensions equal extents, or labels that tell them apart."`,
    )
    expect(message(() => plus(numbered([2, 3]), numbered([3, 2])))).toMatchInlineSnapshot(
      `"DimensionError: plus: expected equal extents, or an extent of 1, in dimension 1, but got 2 and 3, combining 2×3 unformatted with 3×2 unformatted. Arrays have incompatible sizes for this operation: give the dimensions equal extents, or labels that tell them apart."`,
    )
    expect(message(() => plus(numbered([2, 3], 'CB'), { a: 1 } as never))).toMatchInlineSnapshot(
      `"DimensionError: plus: expected a dlarray or a number for B, but got object. Make an array with dlarray(values, format)."`,
    )
  })
})
