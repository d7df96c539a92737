import fc from 'fast-check'
import { expect, test } from 'vitest'
import { categorical } from '../../src/data/categorical.js'
import { DimensionError, OptionError } from '../../src/errors.js'
import { accuracyOf, confusionmat, displayConfusion } from '../../src/training/confusion.js'

test('rows are true classes, columns predicted ones', () => {
  const confusion = confusionmat([1, 1, 1, 2, 2, 10], [1, 2, 1, 2, 2, 1])
  expect(confusion.classNames).toEqual(['1', '2', '10'])
  expect(confusion.counts).toEqual([
    [2, 1, 0],
    [0, 2, 0],
    [1, 0, 0],
  ])
  expect(accuracyOf(confusion)).toBeCloseTo(400 / 6, 12)
})

test('a given order of classes, classes that do not occur, and observations without a label', () => {
  const truth = ['dog', 'cat', 'dog', null, 'cat']
  const predicted = ['dog', 'dog', Number.NaN, 'cat', 'cat']
  expect(confusionmat(truth, predicted, ['dog', 'bird', 'cat']).counts).toEqual([
    [1, 0, 0],
    [0, 0, 0],
    [1, 0, 1],
  ])
  expect(confusionmat(truth, predicted).classNames).toEqual(['cat', 'dog'])
  expect(confusionmat([], []).counts).toEqual([])
})

test('typed arrays of class numbers', () => {
  const confusion = confusionmat(new Uint8Array([0, 9, 9]), new Uint8Array([0, 9, 0]), [0, 9])
  expect(confusion.counts).toEqual([
    [1, 0],
    [1, 1],
  ])
})

test('the sums of rows and columns are the numbers of labels', () => {
  const labels = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 50 })
  fc.assert(
    fc.property(labels, (pairs) => {
      const { counts } = confusionmat(
        pairs.map(([truth]) => truth),
        pairs.map(([, predicted]) => predicted),
        [0, 1, 2, 3, 4, 5],
      )
      for (let label = 0; label < 6; label++) {
        const rowSum = counts[label]!.reduce((sum, count) => sum + count, 0)
        const columnSum = counts.reduce((sum, row) => sum + row[label]!, 0)
        expect(rowSum).toBe(pairs.filter(([truth]) => truth === label).length)
        expect(columnSum).toBe(pairs.filter(([, predicted]) => predicted === label).length)
      }
    }),
  )
})

test('errors', () => {
  expect(() => confusionmat([1], [1, 2])).toThrow(DimensionError)
  expect(() => confusionmat(['a'], ['b'], ['a'])).toThrow(/label 'b' with the classes a/)
  expect(() => confusionmat(['a'], ['a'], ['a', 'a'])).toThrow(OptionError)
})

test('as text', () => {
  const text = displayConfusion({
    classNames: ['cat', 'elephant', 'dog'],
    counts: [
      [978, 0, 2],
      [1, 9, 0],
      [0, 0, 0],
    ],
  })
  expect(text).toBe(
    [
      '             predicted',
      '      true        cat  elephant       dog  correct',
      '       cat        978         ·         2   99.8 %',
      '  elephant          1         9         ·   90.0 %',
      '       dog          ·         ·         ·',
    ].join('\n'),
  )
})

test('takes categorical labels', () => {
  const truth = categorical(['a', 'b', 'b', 'c'])
  const { classNames, counts } = confusionmat(truth, categorical(['a', 'b', 'a', 'c']))
  expect(classNames).toEqual(['a', 'b', 'c'])
  expect(counts).toEqual([
    [1, 0, 0],
    [1, 1, 0],
    [0, 0, 1],
  ])
})
