import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { scope } from '../../../src/memory/scope.js'
import { cat, horzcat, vertcat } from '../../../src/operations/arrays/concatenation.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { circshift, flip, repmat } from '../../../src/operations/arrays/rearrangement.js'
import { stripdims } from '../../../src/operations/arrays/relabel.js'
import { colon, index, type Subscript } from '../../../src/operations/arrays/subscripts.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { gt } from '../../../src/operations/elementwise/comparison.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { formats, numbered, reader, sizes, subscriptsOf } from '../../support/arrays.js'
import { message } from '../../support/message.js'

/** 1 4 7 / 2 5 8 / 3 6 9. */
const matrix = () => numbered([3, 3])

describe('index', () => {
  it.each<[string, Subscript[], unknown]>([
    ['one element', [2, 3], [[8]]],
    ['a row', [2, ':'], [[2, 5, 8]]],
    ['a column', [':', 'end'], [[7], [8], [9]]],
    ['lists', [[3, 1], [2, 2]], [[6, 6], [4, 4]]], // biome-ignore format: short
    ['a range', [colon(1, 'end', 2), ':'], [[1, 4, 7], [3, 6, 9]]], // biome-ignore format: short
    ['a range backwards', [colon('end', 1, -1), 1], [[3], [2], [1]]],
    ['a logical list', [[true, false, true], 2], [[4], [6]]],
    ['a short logical list', [[true], 2], [[4]]],
    ['an empty list', [[], ':'], []],
    ['an empty range', [colon(3, 2), 1], []],
    ['all elements', [':'], [[1], [2], [3], [4], [5], [6], [7], [8], [9]]],
    ['linear indices', [[1, 5, 9]], [[1], [5], [9]]],
    ['the last element', ['end'], [[9]]],
    ['dimensions beyond the last', [1, 2, 1, 1], [[4]]],
  ])('takes %s', (_, subscripts, expected) => {
    expect(index(matrix(), ...subscripts).toNested()).toEqual(expected)
  })

  it('repeats along a dimension beyond the last', () => {
    const Y = index(matrix(), 1, 2, [1, 1, 1])
    expect(Y.size).toEqual([1, 1, 3])
    expect(Y.values()).toEqual(Float64Array.of(4, 4, 4))
  })

  it('keeps the format with a subscript per dimension, and loses it with fewer', () => {
    const X = numbered([4, 3, 2], 'SCB')
    expect(index(X, 2, ':', ':').dims).toBe('SCB')
    expect(index(X, 2, ':', 1).size).toEqual([1, 3, 1])
    expect(index(X, ':', [4, 6]).dims).toBe('')
    expect(index(X, ':', [4, 6]).values()).toEqual(Float64Array.of(13, 14, 15, 16, 21, 22, 23, 24))
    expect(index(X, ':').size).toEqual([24, 1])
    expect(index(X, ':').dims).toBe('')
  })

  it('drops singleton dimensions at the end of unformatted arrays', () => {
    expect(index(numbered([3, 4, 5]), ':', ':', 2).size).toEqual([3, 4])
    expect(index(numbered([3, 4, 5], 'SSU'), ':', ':', 2).dims).toBe('SS')
    expect(index(numbered([3, 4, 5], 'SSB'), ':', ':', 2).dims).toBe('SSB')
  })

  it('takes a row from a row vector', () => {
    const row = dlarray([[5, 6, 7]])
    expect(index(row, [3, 1]).toNested()).toEqual([[7, 5]])
    expect(index(row, 'end').toNested()).toEqual([[7]])
    expect(index(row, ':').size).toEqual([3, 1])
    expect(index(dlarray([[5, 6, 7]], 'CB'), [1, 2]).dims).toBe('')
  })

  it('takes arrays as subscripts: logical ones choose, others number', () => {
    const X = matrix()
    expect(index(X, gt(X, 6)).toNested()).toEqual([[7], [8], [9]])
    expect(index(X, dlarray([2, 3]), 1).toNested()).toEqual([[2], [3]])
  })

  it('is what a loop over subscripts gives, with its gradient', () => {
    const chosen = (extent: number) =>
      extent === 0 ? fc.constant<number[]>([]) : fc.array(fc.integer({ min: 1, max: extent }), { maxLength: 5 })
    const cases = fc
      .tuple(sizes, fc.boolean())
      .chain(([size, isSingle]) =>
        fc.tuple(
          fc.constant(numbered(size).size),
          fc.constant(isSingle ? ('single' as const) : ('double' as const)),
          fc.tuple(...numbered(size).size.map(chosen)),
        ),
      )
    fc.assert(
      fc.property(cases, ([size, type, lists]) =>
        scope(() => {
          const X = numbered(size, '', type)
          const Y = index(X, ...lists)
          const at = reader(Y)
          const from = reader(X)
          const uses = new Float64Array(X.numel)
          for (const subscript of subscriptsOf(lists.map((list) => list.length))) {
            const value = from(...subscript.map((k, d) => lists[d]![k]! - 1))
            expect(at(...subscript)).toBe(value)
            uses[value - 1]! += 1
          }
          const gradient = dlfeval((x: DlArray) => dlgradient(sum(index(x, ...lists), 'all'), x), X)
          expect(Array.from(gradient.values())).toEqual(Array.from(uses))
        }),
      ),
    )
  })

  it('can be differentiated twice', () => {
    const X = numbered([4, 2])
    const second = dlfeval((x: DlArray) => {
      const y = index(x, [1, 1, 4], ':')
      const first = dlgradient(sum(times(times(y, y), y), 'all'), x, { enableHigherDerivatives: true })
      return dlgradient(sum(first, 'all'), x)
    }, X)
    expect(second.values()).toEqual(Float64Array.of(12, 0, 0, 24, 60, 0, 0, 48))
  })

  it('shuffles many observations quickly', () => {
    const X = numbered([10, 20000], 'CB', 'single')
    const order = Array.from({ length: 20000 }, (_, i) => ((i * 7919) % 20000) + 1)
    const before = performance.now()
    const Y = index(X, ':', order)
    expect(performance.now() - before).toBeLessThan(5000)
    expect(reader(Y)(3, 5)).toBe(Math.fround(10 * (order[5]! - 1) + 4))
  })

  const X = numbered([4, 3], 'CB')
  const cases: Record<string, () => unknown> = {
    zero: () => index(X, 0, 1),
    'past the end': () => index(X, 1, 4),
    fraction: () => index(X, 1.5, 1),
    'in a list': () => index(X, [1, 5], 1),
    'in a range': () => index(X, colon(1, 9), 1),
    'a step of nothing': () => index(X, colon(1, 3, 0), 1),
    'a logical list that is too long': () => index(X, [true, true, true, true, true], 1),
    'beyond the last dimension': () => index(X, 1, 1, 2),
    linear: () => index(X, 13),
    text: () => index(X, 'first' as never, 1),
    nothing: () => index(X),
    'no array': () => index(3 as never, 1),
  }
  it.each(Object.keys(cases))('error: %s', (name) => {
    expect(message(cases[name]!)).toMatchSnapshot()
  })
})

describe('cat', () => {
  it('joins along dimensions and labels', () => {
    const A = dlarray([[1, 2]], 'CB')
    const B = dlarray([[3, 4]], 'CB')
    expect(cat(1, A, B).toNested()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(cat('B', A, B).toNested()).toEqual([[1, 2, 3, 4]])
    expect(cat(2, A, B).dims).toBe('CB')
    expect(horzcat(A, B).toNested()).toEqual([[1, 2, 3, 4]])
    expect(vertcat(A, B, A).toNested()).toEqual([
      [1, 2],
      [3, 4],
      [1, 2],
    ])
    expect(cat(3, A, B).size).toEqual([1, 2, 2])
    expect(cat(3, A, B).dims).toBe('CBU')
    expect(cat(3, A).size).toEqual([1, 2])
  })

  it('takes the format of those that have one', () => {
    const A = dlarray([[1, 2]], 'CB')
    expect(cat(1, stripdims(A), A).dims).toBe('CB')
    expect(cat(1, stripdims(A), stripdims(A)).dims).toBe('')
  })

  it('takes the class of MATLAB', () => {
    const of = (type: 'single' | 'double' | 'logical') => dlarray([1], { type })
    expect(cat(1, of('double'), of('single')).underlyingType).toBe('single')
    expect(cat(1, of('double'), of('logical')).underlyingType).toBe('double')
    expect(cat(1, of('logical'), of('logical')).underlyingType).toBe('logical')
  })

  it('puts index apart and together again, in values and gradients', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), fc.boolean(), (size, d, cut, isSingle) =>
        scope(() => {
          const X = numbered(size, '', isSingle ? 'single' : 'double')
          const along = d % X.ndims
          const middle = cut % (X.size[along]! + 1)
          const part = (x: DlArray, from: number, to: number) =>
            index(x, ...X.size.map((_, k) => (k === along ? colon(from, to) : (':' as const))))
          const joined = (x: DlArray) => cat(along + 1, part(x, 1, middle), part(x, middle + 1, X.size[along]!))
          expect(joined(X).size).toEqual(X.size)
          expect(joined(X).values()).toEqual(X.values())
          const gradient = dlfeval((x: DlArray) => {
            const Y = joined(x)
            return dlgradient(sum(times(Y, Y), 'all'), x)
          }, X)
          expect(Array.from(gradient.values())).toEqual(Array.from(X.values(), (v) => 2 * v))
        }),
      ),
    )
  })

  const A = dlarray([[1, 2]], 'CB')
  const cases: Record<string, () => unknown> = {
    'different formats': () => cat(1, A, dlarray([[1, 2]], 'SB') as DlArray),
    'different extents': () => cat(1, A, dlarray([[1, 2, 3]], 'CB')),
    'no such label': () => cat('T', A),
    'a label twice': () => cat('S', numbered([2, 2], 'SS')),
    'dimension 0': () => cat(0, A),
    'no arrays': () => cat(1),
    'a number': () => cat(1, A, 3 as never),
  }
  it.each(Object.keys(cases))('error: %s', (name) => {
    expect(message(cases[name]!)).toMatchSnapshot()
  })
})

describe('flip, circshift, repmat', () => {
  it('reverse, move on and repeat', () => {
    const X = dlarray(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      'CB',
    )
    expect(flip(X).toNested()).toEqual([
      [4, 5, 6],
      [1, 2, 3],
    ])
    expect(flip(X, 'B').toNested()).toEqual([
      [3, 2, 1],
      [6, 5, 4],
    ])
    expect(flip(dlarray([[1, 2, 3]])).toNested()).toEqual([[3, 2, 1]])
    expect(flip(X, 3).toNested()).toEqual(X.toNested())
    expect(circshift(X, 1, 2).toNested()).toEqual([
      [3, 1, 2],
      [6, 4, 5],
    ])
    expect(circshift(X, -4, 'B').toNested()).toEqual([
      [2, 3, 1],
      [5, 6, 4],
    ])
    expect(circshift(X, 1).toNested()).toEqual([
      [4, 5, 6],
      [1, 2, 3],
    ])
    expect(repmat(X, [1, 2]).toNested()).toEqual([
      [1, 2, 3, 1, 2, 3],
      [4, 5, 6, 4, 5, 6],
    ])
    expect(repmat(X, 2).size).toEqual([4, 6])
    expect(repmat(X, [1, 1, 3]).dims).toBe('CBU')
    expect(repmat(X, [1, 0]).size).toEqual([2, 0])
    for (const Y of [flip(X), circshift(X, 1), repmat(X, 2)]) expect(Y.dims).toBe('CB')
  })

  it('have gradients', () => {
    const X = numbered([2, 2])
    const gradient = dlfeval((x: DlArray) => {
      const Y = repmat(flip(circshift(x, 1)), [2, 3])
      return dlgradient(sum(times(Y, Y), 'all'), x)
    }, X)
    expect(gradient.values()).toEqual(Float64Array.of(12, 24, 36, 48))
  })

  it('say what is wrong', () => {
    const X = numbered([2, 2], 'CB')
    expect(message(() => flip(X, 'S'))).toMatch(/^DimensionError: flip: expected a dimension/)
    expect(message(() => circshift(X, 0.5))).toMatch(/^DimensionError: circshift: expected a whole number/)
    expect(message(() => repmat(X, [1, -1]))).toMatch(/^DimensionError: repmat: expected a count/)
    expect(message(() => repmat(X, []))).toMatch(/^DimensionError: repmat: expected a count/)
  })
})

describe('formats that fast-check draws', () => {
  it('survive an index of everything', () => {
    fc.assert(
      fc.property(formats, (format) =>
        scope(() => {
          const X = numbered([...format].map((_, d) => (d % 3) + 1), format) // biome-ignore format: short
          const Y = index(X, ...X.size.map(() => ':' as const))
          expect(Y.dims).toBe(X.dims)
          expect(Y.values()).toEqual(X.values())
        }),
      ),
    )
  })
})
