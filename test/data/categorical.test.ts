import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { categorical, categories } from '../../src/data/categorical.js'
import { DimensionError, OptionError } from '../../src/errors.js'

describe('categorical', () => {
  it('sorts text by character code and numbers by value', () => {
    expect(categories(categorical(['red', 'blue', 'Red', 'green']))).toEqual(['Red', 'blue', 'green', 'red'])
    expect(categories([10, 9, 2, 10])).toEqual(['2', '9', '10'])
    expect(categories([true, false])).toEqual(['false', 'true'])
    expect(categories(Uint8Array.of(3, 1, 3))).toEqual(['1', '3'])
  })

  it('keeps the order of a value set and renames it', () => {
    const labels = categorical([2, 0, 1, 7], [2, 1, 0], ['two', 'one', 'zero'])
    expect(labels.categories).toEqual(['two', 'one', 'zero'])
    expect([...labels]).toEqual(['two', 'zero', 'one', undefined])
    expect([...labels.codes]).toEqual([1, 3, 2, 0])
  })

  it('leaves missing values without a category', () => {
    const labels = categorical(['a', null, undefined, '', ' a ', Number.NaN])
    expect(labels.categories).toEqual(['a'])
    expect([...labels.codes]).toEqual([1, 0, 0, 0, 1, 0])
  })

  it('reads rows column by column', () => {
    const labels = categorical([
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ])
    expect(labels.size).toEqual([2, 3])
    expect(labels.toArray()).toEqual(['a', 'd', 'b', 'e', 'c', 'f'])
  })

  it('prints sizes and labels', () => {
    expect(String(categorical(['yes', null, 'no']))).toBe(
      '  3×1 categorical array\n\n     yes\n     <undefined>\n     no',
    )
  })

  it('names what is wrong', () => {
    expect(() => categorical(['a'], ['a', 'a'])).toThrow(OptionError)
    expect(() => categorical(['a'], ['a'], ['x', 'y'])).toThrow(OptionError)
    expect(() => categorical([['a', 'b'], ['c']])).toThrow(DimensionError)
    expect(() => categorical({ values: ['a'], size: [2, 1] })).toThrow(DimensionError)
    expect(() => categorical(undefined as never)).toThrow(OptionError)
  })

  it('gives back any labels', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }).filter((text) => text.trim() === text)), (texts) => {
        const labels = categorical(texts)
        expect(labels.toArray()).toEqual(texts)
        expect(labels.categories).toEqual([...new Set(texts)].sort())
      }),
    )
  })
})
