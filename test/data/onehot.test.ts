import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { categorical } from '../../src/data/categorical.js'
import { onehotdecode, onehotencode, scores2label } from '../../src/data/onehot.js'
import { DimensionError, OptionError } from '../../src/errors.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'

const colors = ['red', 'blue', 'red', 'green', 'yellow', 'blue']

describe('onehotencode', () => {
  // The examples of MATLAB's page "onehotencode".
  it('encodes a row along dimension 1', () => {
    const labels = categorical([colors])
    expect(labels.categories).toEqual(['blue', 'green', 'red', 'yellow'])
    expect(onehotencode(labels, 1, 'double').toNested()).toEqual([
      [0, 1, 0, 0, 0, 1],
      [0, 0, 0, 1, 0, 0],
      [1, 0, 1, 0, 0, 0],
      [0, 0, 0, 0, 1, 0],
    ])
  })

  it('encodes a column along dimension 2', () => {
    expect(onehotencode(categorical(colors), 2, 'double').toNested()).toEqual([
      [0, 0, 1, 0],
      [1, 0, 0, 0],
      [0, 0, 1, 0],
      [0, 1, 0, 0],
      [0, 0, 0, 1],
      [1, 0, 0, 0],
    ])
  })

  it('makes an element of none of the class names NaN in all of them', () => {
    const expected = [
      [0, NaN, 0, 0, 0, 1],
      [0, NaN, 1, 0, 1, 0],
      [1, NaN, 0, 1, 0, 0],
    ]
    const animals = [['dog', 'fish', 'cat', 'dog', 'cat', 'bird']]
    const classNames = ['bird', 'cat', 'dog']
    expect(onehotencode(animals, 1, 'double', { classNames }).toNested()).toEqual(expected)
    expect(onehotencode(categorical(animals), 1, 'double', { classNames }).toNested()).toEqual(expected)
    expect(onehotencode(animals, 1, 'ClassNames', classNames).size).toEqual([3, 6])
  })

  it('puts the classes of a segmentation third', () => {
    const labels = categorical({ values: ['a', 'b', 'b', 'a'], size: [2, 2] })
    const encoded = onehotencode(labels, 3, 'double')
    expect(encoded.size).toEqual([2, 2, 2])
    expect([...encoded.values()]).toEqual([1, 0, 0, 1, 0, 1, 1, 0])
  })

  it('is single unless asked otherwise', () => {
    expect(onehotencode(categorical(['a', 'b']), 2, 'logical').underlyingType).toBe('logical')
    expect(onehotencode(['a', 'b'], 2, 'double').underlyingType).toBe('double')
  })

  it('names what is wrong', () => {
    expect(() => onehotencode(categorical(colors), 1)).toThrow(DimensionError)
    expect(() => onehotencode([1, 2, 3], 2)).toThrow(/classNames/)
    expect(() => onehotencode(['a', null], 2, 'logical')).toThrow(OptionError)
    expect(() => onehotencode(['a'], 0)).toThrow(OptionError)
    expect(() => onehotencode(['a'], 2, { classes: ['a'] } as never)).toThrow(OptionError)
  })
})

describe('onehotdecode', () => {
  it('gives the class of the largest value', () => {
    const probabilities = [
      [0.2938, 0.0568, 0.2365, 0.2546, 0.1582],
      [0.3895, 0.4174, 0.0154, 0.0137, 0.1641],
    ]
    const classes = ['Red', 'Yellow', 'Green', 'Blue', 'Purple']
    expect(onehotdecode(probabilities, classes, 2, 'string')).toEqual(['Red', 'Yellow'])
    expect(onehotdecode(probabilities, classes, 2).size).toEqual([2, 1])
    expect(onehotdecode(probabilities, classes, 2).categories).toEqual(classes)
  })

  it('gives numbers for classes that are numbers, and nothing for NaN', () => {
    const scores = [
      [0, NaN, 1],
      [1, NaN, 1],
    ]
    expect([...onehotdecode(scores, [5, 7], 1, 'double').values()]).toEqual([7, NaN, 5])
    expect(onehotdecode(scores, [5, 7], 1, 'string')).toEqual(['7', undefined, '5'])
  })

  it('takes as many classes as there are scores', () => {
    expect(() => onehotdecode([[1, 0]], ['a', 'b', 'c'], 2)).toThrow(DimensionError)
  })

  it('undoes onehotencode along any dimension', () => {
    const size = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 })
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 5 }), fc.nat(), (extents, featureDim, seed) => {
        if (featureDim <= extents.length) extents[featureDim - 1] = 1
        const count = extents.reduce((product, extent) => product * extent, 1)
        const values = Array.from({ length: count }, (_, i) => 'pqr'[(i * 7 + seed) % 3]!)
        const labels = categorical({ values, size: extents }, ['p', 'q', 'r'])
        const encoded = onehotencode(labels, featureDim, 'double')
        expect(onehotdecode(encoded, labels, featureDim, 'string')).toEqual(values)
      }),
    )
  })
})

describe('scores2label', () => {
  it('reads observations in rows', () => {
    const labels = scores2label(
      [
        [0.1, 0.9],
        [0.8, 0.2],
        [0.3, 0.7],
      ],
      ['no', 'yes'],
    )
    expect(labels.toArray()).toEqual(['yes', 'no', 'yes'])
    expect(labels.size).toEqual([3, 1])
  })

  it('reads formatted scores along C', () => {
    const scores = dlarray(Float64Array.of(0.1, 0.9, 0.8, 0.2), [2, 2], 'CB', { type: 'double' })
    expect(scores2label(scores, ['no', 'yes']).toArray()).toEqual(['yes', 'no'])
    expect(scores2label(scores, ['no', 'yes']).size).toEqual([2, 1])
  })

  it('names what is wrong', () => {
    expect(() => scores2label([[1, 2]], ['a'])).toThrow(/1 classes/)
    expect(() => scores2label([[1, 2]], ['a', 'a'])).toThrow(OptionError)
  })
})
