import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonical, numel } from '../../../src/array/format.js'
import { setBackend } from '../../../src/backends/current.js'
import { scope } from '../../../src/memory/scope.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { permute, transpose } from '../../../src/operations/arrays/permute.js'
import { reshape, squeeze, stripdims } from '../../../src/operations/arrays/relabel.js'
import { numbered, reader, shapes, shuffled, sizes, subscriptsOf } from '../../support/arrays.js'
import { message } from '../../support/message.js'

describe('stripdims', () => {
  it('loses the labels, or brings them to an order first', () => {
    const X = numbered([2, 3, 4], 'CBT')
    expect(stripdims(X).dims).toBe('')
    expect(stripdims(X).size).toEqual([2, 3, 4])
    expect(stripdims(X).values()).toEqual(X.values())
    expect(stripdims(X, 'BTC').size).toEqual([3, 4, 2])
    expect(stripdims(numbered([2, 3])).size).toEqual([2, 3])
  })

  it('undoes dlarray: stripdims(dlarray(x, f), f) is x', () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), ({ format, size }, isSingle) =>
        scope(() => {
          const x = numbered(size, '', isSingle ? 'single' : 'double')
          const X = dlarray(x, format)
          expect(X.dims.startsWith(canonical(format).replace(/U+$/, ''))).toBe(true)
          const back = stripdims(X, format)
          // A vector with one label is a column, whichever way it lay.
          if (format.length > 1) expect(back.size).toEqual(x.size)
          expect(back.values()).toEqual(x.values())
          // Labelled at once or afterwards is the same.
          const direct = numbered(size, format, isSingle ? 'single' : 'double')
          expect(direct.size).toEqual(X.size)
          expect(direct.dims).toBe(X.dims)
          expect(direct.values()).toEqual(X.values())
          expect(X.size.length).toBe(X.dims.length)
          expect(X.size.length).toBeGreaterThanOrEqual(2)
        }),
      ),
    )
  })
})

describe('permute', () => {
  it('moves dimension order[k] to k, and its inverse moves it back', () => {
    fc.assert(
      fc.property(sizes, fc.integer(), (size, seed) =>
        scope(() => {
          const X = numbered(size)
          const order = shuffled(
            X.size.map((_, d) => d + 1),
            seed,
          )
          const Y = permute(X, order)
          const at = reader(Y)
          const from = reader(X)
          for (const subscript of subscriptsOf(X.size))
            expect(at(...order.map((d) => subscript[d - 1]!))).toBe(from(...subscript))
          const inverse = order.map((_, d) => order.indexOf(d + 1) + 1)
          const back = permute(Y, [...inverse, ...[1, 2, 3, 4, 5].slice(inverse.length)].slice(0, order.length))
          expect(back.size).toEqual(X.size)
          expect(back.values()).toEqual(X.values())
        }),
      ),
    )
  })

  it('swaps equal labels of a formatted array, and no others', () => {
    const X = numbered([2, 3, 4], 'SSC')
    expect(permute(X, [2, 1, 3]).size).toEqual([3, 2, 4])
    expect(permute(X, [2, 1, 3]).dims).toBe('SSC')
    expect(message(() => permute(X, [3, 1, 2]))).toMatchInlineSnapshot(
      `"DimensionError: permute: expected an order that keeps the labels 'SSC' in place, but got [3, 1, 2]. Formatted arrays keep the order S, C, B, T, U: use stripdims first to move dimensions freely."`,
    )
  })

  it('takes dimensions beyond the last, which are singletons', () => {
    const Y = permute(numbered([2, 3]), [3, 1, 2])
    expect(Y.size).toEqual([1, 2, 3])
    expect(permute(numbered([2, 3]), [1, 2, 3]).size).toEqual([2, 3])
  })

  it('says what is wrong with an order', () => {
    for (const order of [[1], [1, 1], [0, 1], [1, 3], [1, 2.5]])
      expect(message(() => permute(numbered([2, 3]), order))).toMatch(
        /^DimensionError: permute: expected each of the dim/,
      )
  })

  it('transposes matrices', () => {
    expect(transpose(dlarray([[1, 2]])).toNested()).toEqual([[1], [2]])
    expect(transpose(numbered([2, 3], 'SS')).size).toEqual([3, 2])
    expect(message(() => transpose(numbered([2, 3], 'CB')))).toMatch(/keeps the labels 'CB' in place/)
    expect(message(() => transpose(numbered([2, 3, 4])))).toMatch(/an array with two dimensions/)
  })
})

describe('reshape', () => {
  it('keeps the elements in order and loses the format', () => {
    const X = numbered([2, 3, 4], 'SCB')
    const Y = reshape(X, [4, 6])
    expect(Y.dims).toBe('')
    expect(Y.size).toEqual([4, 6])
    expect(Y.values()).toEqual(X.values())
    expect(reshape(X, [undefined, 8]).size).toEqual([3, 8])
    expect(reshape(X, [24]).size).toEqual([24, 1])
    expect(reshape(X, [2, 12, 1, 1]).size).toEqual([2, 12])
    expect(reshape(numbered([0, 3]), [5, 0]).size).toEqual([5, 0])
  })

  it.each([[[5, 5]], [[undefined, undefined]], [[undefined, 7]], [[-4, -6]], [[2.5, 9.6]]])(
    'does not accept %j for 24 elements',
    (size) => {
      expect(message(() => reshape(numbered([2, 3, 4]), size))).toMatch(/^DimensionError: reshape: expected/)
    },
  )

  it('says both numbers of elements', () => {
    expect(message(() => reshape(numbered([2, 3, 4], 'SCB'), [5, 5]))).toMatchInlineSnapshot(
      `"DimensionError: reshape: expected a size with 24 elements, as many as the array has, but got 5×5 (25 elements) for 2(S) × 3(C) × 4(B). Give sizes whose product is the number of elements."`,
    )
  })
})

describe('squeeze', () => {
  it.each([
    ['SSCB', [1, 3, 1, 4], 'SB', [3, 4]],
    ['SSCB', [1, 1, 3, 1], 'CU', [3, 1]],
    ['SSCB', [1, 1, 1, 1], 'UU', [1, 1]],
    ['CB', [1, 4], 'CB', [1, 4]],
    ['', [1, 1, 3], '', [3, 1]],
    ['', [1, 3], '', [1, 3]],
    ['', [2, 1, 3], '', [2, 3]],
  ])('%s %j becomes %s %j', (format: string, size, dims, squeezed) => {
    const Y = squeeze(numbered(size, format))
    expect(Y.dims).toBe(dims)
    expect(Y.size).toEqual(squeezed)
    expect(Y.numel).toBe(numel(size))
  })

  it('is another array even where nothing changes', () => {
    const X = numbered([2, 3])
    squeeze(X).dispose()
    expect(X.values().length).toBe(6)
  })
})

describe('on WebAssembly', () => {
  beforeAll(() => setBackend('wasm'))
  afterAll(() => setBackend('wasm'))

  it('permutes as the reference does, with more dimensions than one launch takes', () => {
    const size = [2, 1, 3, 2, 1, 2, 3, 2, 2, 2]
    const order = shuffled(
      size.map((_, d) => d + 1),
      5,
    )
    const expected = permute(numbered(size), order)
    const actual = permute(numbered(size, '', 'single'), order)
    expect(actual.size).toEqual(expected.size)
    expect(Array.from(actual.values())).toEqual(Array.from(expected.values()))
  })
})

it('transpose speaks under its own name', () => {
  const X = dlarray([[1, 2]], 'SC')
  expect(message(() => transpose(X))).toMatch(
    /^DimensionError: transpose: expected an order that keeps the labels 'SC'/,
  )
  expect(message(() => permute(X, [2, 1]))).toMatch(/^DimensionError: permute: /)
})
