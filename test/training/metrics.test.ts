import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DimensionError, TrainingError } from '../../src/errors.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { type MetricName, metricOf } from '../../src/training/metrics.js'

/** Scores and one-hot targets as C x B arrays, from rows of scores and classes. */
function batch(scores: readonly (readonly number[])[], classes: readonly number[]) {
  const C = scores[0]!.length
  const Y = dlarray(Float64Array.from(scores.flat()), [C, scores.length], 'CB', { type: 'double' })
  const onehot = classes.flatMap((k) => Array.from({ length: C }, (_, i) => (i === k ? 1 : 0)))
  const T = dlarray(Float64Array.from(onehot), [C, classes.length], 'CB', { type: 'double' })
  return { Y, T }
}

function value(name: MetricName, scores: readonly (readonly number[])[], classes: readonly number[]): number {
  const metric = metricOf(name)
  const { Y, T } = batch(scores, classes)
  metric.update([Y], [T])
  return metric.evaluate()
}

describe('metrics of classes', () => {
  // Predictions 0 0 1 1 2; truth 0 1 1 1 0. Class 0: 1 hit of 2 predicted, 2 occurring; class 1: 2 of 2, 3; class 2: 0 of 1, 0.
  const scores = [
    [0.8, 0.1, 0.1],
    [0.6, 0.3, 0.1],
    [0.1, 0.7, 0.2],
    [0.2, 0.5, 0.3],
    [0.1, 0.2, 0.7],
  ]
  const classes = [0, 1, 1, 1, 0]

  it('are right for a case worked by hand', () => {
    expect(value('accuracy', scores, classes)).toBeCloseTo(60, 12)
    expect(value('precision', scores, classes)).toBeCloseTo((1 / 2 + 1 + 0) / 3, 12)
    expect(value('recall', scores, classes)).toBeCloseTo((1 / 2 + 2 / 3 + 0) / 3, 12)
    expect(value('fscore', scores, classes)).toBeCloseTo((2 / 4 + 4 / 5 + 0) / 3, 12)
    // Class 0 scores 0.8 0.1 against 0.6 0.1 0.2: 3 + 0.5 of 6. Class 1 scores 0.3 0.7 0.5 against 0.1 0.2: 6 of 6.
    expect(value('auc', scores, classes)).toBeCloseTo((3.5 / 6 + 1) / 2, 12)
  })

  it('take the position of the class instead of one-hot targets', () => {
    const metric = metricOf('accuracy')
    const { Y } = batch(scores, classes)
    const T = dlarray(
      Float64Array.from(classes, (k) => k + 1),
      [1, 5],
      'CB',
      { type: 'double' },
    )
    metric.update([Y], [T])
    expect(metric.evaluate()).toBeCloseTo(60, 12)
  })

  it('read one channel as the score of the second of two classes', () => {
    const Y = dlarray([[0.9, 0.2, 0.6, 0.4]], 'CB', { type: 'double' })
    const T = dlarray([[1, 0, 0, 1]], 'CB', { type: 'double' })
    const accuracy = metricOf('accuracy')
    accuracy.update([Y], [T])
    expect(accuracy.evaluate()).toBe(50)
    const auc = metricOf('auc')
    auc.update([Y], [T])
    expect(auc.evaluate()).toBe(0.75)
  })

  it('count each pixel', () => {
    const Y = dlarray(Float64Array.of(0.9, 0.2, 0.1, 0.8), [2, 1, 2, 1], 'SSCB', { type: 'double' })
    const T = dlarray(Float64Array.of(1, 1, 0, 0), [2, 1, 2, 1], 'SSCB', { type: 'double' })
    const metric = metricOf('accuracy')
    metric.update([Y], [T])
    expect(metric.evaluate()).toBe(50)
  })

  it('give for mini-batches what they give for all at once', () => {
    const observation = fc.tuple(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 0, max: 2 }),
    )
    const names = ['accuracy', 'precision', 'recall', 'fscore', 'auc', 'rmse'] as const
    fc.assert(
      fc.property(fc.array(observation, { minLength: 2, maxLength: 30 }), fc.nat(), (observations, cut) => {
        const all = observations.map(([row]) => row)
        const truth = observations.map(([, k]) => k)
        const at = 1 + (cut % (observations.length - 1))
        for (const name of names) {
          const metric = metricOf(name)
          for (const [begin, end] of [
            [0, at],
            [at, observations.length],
          ]) {
            const { Y, T } = batch(all.slice(begin, end), truth.slice(begin, end))
            metric.update([Y], [T])
          }
          const whole = value(name, all, truth)
          if (Number.isNaN(whole)) expect(metric.evaluate()).toBeNaN()
          else expect(metric.evaluate()).toBeCloseTo(whole, 12)
          metric.reset()
          expect(metric.evaluate()).toBeNaN()
        }
      }),
    )
  })

  it('has an area under the curve that only the order of scores decides', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: -20, max: 20 }), fc.boolean()), { minLength: 2, maxLength: 20 })
    fc.assert(
      fc.property(rows, (pairs) => {
        const positives = pairs.filter(([, isPositive]) => isPositive).map(([score]) => score)
        const negatives = pairs.filter(([, isPositive]) => !isPositive).map(([score]) => score)
        let wins = 0
        for (const p of positives) for (const n of negatives) wins += p > n ? 1 : p === n ? 0.5 : 0
        const expected = wins / (positives.length * negatives.length)
        const scores = pairs.map(([score]) => [-score, Math.tanh(score / 10)])
        const area = value(
          'auc',
          scores,
          pairs.map(([, isPositive]) => (isPositive ? 1 : 0)),
        )
        if (Number.isNaN(expected)) expect(area).toBeNaN()
        else expect(area).toBeCloseTo(expected, 12)
      }),
    )
  })
})

describe('metrics of numbers', () => {
  it('rmse is the root of the mean over all elements', () => {
    const metric = metricOf('rmse')
    const Y = dlarray(
      [
        [1, 2],
        [3, 4],
      ],
      'CB',
      { type: 'double' },
    )
    const T = dlarray(
      [
        [1, 0],
        [3, 0],
      ],
      'CB',
      { type: 'double' },
    )
    metric.update([Y], [T])
    expect(metric.evaluate()).toBe(Math.sqrt(20 / 4))
  })

  it('functions are averaged over observations', () => {
    const metric = metricOf(function largest(Y) {
      return Math.max(...Y!.values())
    })
    const of = (values: number[]) => dlarray([values], 'CB')
    metric.update([of([1, 2, 3])], [of([0, 0, 0])])
    metric.update([of([7])], [of([0])])
    expect(metric.name).toBe('largest')
    expect(metric.evaluate()).toBe((3 * 3 + 7) / 4)
  })

  it('names what does not fit', () => {
    const of = (values: number[]) => dlarray([values], 'CB')
    expect(() => metricOf('rmse').update([of([1, 2])], [of([1])])).toThrow(DimensionError)
    expect(() => metricOf('accuracy').update([of([1, 2])], [of([1])])).toThrow(DimensionError)
    expect(() => metricOf('accuracy').update([of([1])], [])).toThrow(TrainingError)
    expect(() => metricOf(() => 'good' as never).update([of([1])], [of([1])])).toThrow(TrainingError)
  })
})
