import { describe, expect, it } from 'vitest'
import { formatShortG } from '../../src/array/number-display.js'
import { OptionError, TrainingError } from '../../src/errors.js'
import { cosineOfShare, integerPower } from '../../src/training/exact-functions.js'
import { learnRateOf } from '../../src/training/learn-rate.js'
import {
  cosineLearnRate,
  cyclicalLearnRate,
  exponentialLearnRate,
  piecewiseLearnRate,
  polynomialLearnRate,
  warmupLearnRate,
} from '../../src/training/schedules.js'
import { type LearnRateSchedule, trainingOptions } from '../../src/training/training-options.js'

/** Rates at the first iteration of each epoch, ten iterations an epoch. */
function rates(
  learnRateSchedule: LearnRateSchedule | LearnRateSchedule[],
  epochs: readonly number[],
  { initialLearnRate = 1, maxEpochs = 10, iterationsPerEpoch = 10 as number | 'unknown' } = {},
): number[] {
  const rate = learnRateOf(trainingOptions('sgdm', { initialLearnRate, learnRateSchedule, maxEpochs }))
  return epochs.map((epoch) =>
    iterationsPerEpoch === 'unknown'
      ? rate({ epoch, iteration: epoch, maxEpochs })
      : rate({ epoch, iteration: (epoch - 1) * iterationsPerEpoch + 1, iterationsPerEpoch, maxEpochs }),
  )
}

function expectRates(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length)
  actual.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 12)
  })
}

describe('piecewise', () => {
  const options = trainingOptions('sgdm', {
    initialLearnRate: 0.05,
    learnRateSchedule: 'piecewise',
    learnRateDropFactor: 0.9,
    learnRateDropPeriod: 30,
  })

  it('is what MATLAB prints', () => {
    const rate = learnRateOf(options)
    const printed = [1, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550].map((epoch) =>
      formatShortG(rate({ epoch, iteration: epoch, maxEpochs: 550 })),
    )
    expect(printed).toEqual(
      '0.05 0.045 0.03645 0.032805 0.026572 0.021523 0.019371 0.015691 0.012709 0.011438 0.0092651 0.0075047'.split(
        ' ',
      ),
    )
    const half = learnRateOf({ ...options, initialLearnRate: 0.5 })
    const again = [50, 100, 150, 200].map((epoch) => formatShortG(half({ epoch, iteration: epoch, maxEpochs: 200 })))
    expect(again).toEqual(['0.45', '0.3645', '0.32805', '0.26572'])
  })

  it('drops after a whole period', () => {
    const rate = learnRateOf(options)
    const at = (epoch: number) => rate({ epoch, iteration: epoch, maxEpochs: 100 })
    expect([at(30), at(31)]).toEqual([0.05, 0.05 * 0.9])
  })

  it('as an object', () => {
    expectRates(rates(piecewiseLearnRate({ dropFactor: 0.5, period: 2 }), [1, 2, 3, 4, 5]), [1, 1, 0.5, 0.5, 0.25])
  })
})

describe('schedules by name', () => {
  it('none', () => expect(rates('none', [1, 7])).toEqual([1, 1]))
  it('warmup', () => expectRates(rates('warmup', [1, 2, 5, 6, 9]), [0.1, 0.28, 0.82, 1, 1]))
  it('polynomial', () => expectRates(rates('polynomial', [1, 6, 10]), [1, 0.5, 0.1]))
  it('exponential', () => expectRates(rates('exponential', [1, 6]), [1, 0.1]))
  it('cosine spans the whole training', () =>
    expectRates(rates('cosine', [1, 6, 10]), [1, 0.5, (1 + Math.cos(0.9 * Math.PI)) / 2]))
  it('cosine is the same at the start of epochs when the number of iterations is not known', () =>
    expectRates(rates('cosine', [1, 6, 10], { iterationsPerEpoch: 'unknown' }), rates('cosine', [1, 6, 10])))
  it('cosine changes within an epoch', () => {
    const rate = learnRateOf(
      trainingOptions('adam', { learnRateSchedule: 'cosine', initialLearnRate: 2, maxEpochs: 1 }),
    )
    expect(rate({ epoch: 1, iteration: 51, iterationsPerEpoch: 100, maxEpochs: 1 })).toBeCloseTo(1, 12)
  })
  it('cyclical', () => expectRates(rates('cyclical', [1, 6, 11]), [1, 10, 1]))
})

describe('schedule objects', () => {
  const at = (schedule: LearnRateSchedule, iterations: number[]) => {
    const rate = learnRateOf(trainingOptions('sgdm', { initialLearnRate: 2, learnRateSchedule: schedule }))
    return iterations.map((iteration) =>
      rate({ iteration, epoch: 1 + Math.floor((iteration - 1) / 5), iterationsPerEpoch: 5, maxEpochs: 30 }),
    )
  }
  const frequencyUnit = 'iteration'
  it('warmup by iterations', () =>
    expectRates(
      at(warmupLearnRate({ initialFactor: 0, finalFactor: 2, numSteps: 4, frequencyUnit }), [1, 3, 5, 9]),
      [0, 2, 4, 4],
    ))
  it('by epochs, the rate stays within an epoch', () =>
    expectRates(at(exponentialLearnRate({ dropFactor: 0.25, period: 2 }), [1, 5, 6, 11]), [2, 2, 1, 0.5]))
  it('polynomial', () =>
    expectRates(
      at(polynomialLearnRate({ initialFactor: 1, finalFactor: 0.5, period: 4, power: 2, frequencyUnit }), [1, 3, 5, 9]),
      [2, 2 * (0.5 + 0.5 * 0.25), 1, 1],
    ))
  it('cosine with warm restarts', () => {
    const schedule = cosineLearnRate({ finalFactor: 0.5, period: 2, periodGrowthFactor: 2, frequencyUnit })
    expectRates(at(schedule, [1, 2, 3, 5, 7]), [2, 1.5, 2, 1.5, 2])
    expectRates(at(cosineLearnRate({ period: 2, frequencyUnit }), [1, 2, 3, 4]), [2, 1, 2, 1])
  })
  it('cyclical', () =>
    expectRates(at(cyclicalLearnRate({ maxFactor: 3, period: 4, stepRatio: 0.25, frequencyUnit }), [1, 2, 3, 4, 5]), [
      2,
      6,
      2 * (1 + 2 * (0.5 / 0.75)),
      2 * (1 + 2 * (0.25 / 0.75)),
      2,
    ]))
  it('show their settings and cannot be changed', () => {
    const schedule = warmupLearnRate({ numSteps: 3 })
    expect(schedule).toMatchObject({ initialFactor: 0.1, finalFactor: 1, numSteps: 3, frequencyUnit: 'epoch' })
    expect(Object.isFrozen(schedule)).toBe(true)
  })
  it('check their settings', () => {
    expect(() => warmupLearnRate({ numSteps: 0 })).toThrow(OptionError)
    expect(() => warmupLearnRate({ initialFactor: -1 })).toThrow(/initialFactor/)
    expect(() => cyclicalLearnRate({ stepRatio: 1 })).toThrow(/stepRatio/)
    expect(() => cosineLearnRate({ periodGrowthFactor: 0.5 })).toThrow(/periodGrowthFactor/)
    expect(() => cosineLearnRate({ frequencyUnit: 'day' as never })).toThrow(/frequencyUnit/)
    expect(() => piecewiseLearnRate({ factor: 1 } as never)).toThrow(/'factor'/)
  })
})

describe('functions and lists', () => {
  it('a function of the initial rate and the position', () => {
    const timeBased = (initial: number, { iteration }: { iteration: number }) => initial / (1 + 0.1 * iteration)
    expectRates(rates(timeBased, [1, 2]), [1 / 1.1, 1 / 2.1])
  })
  it('a rate that is no rate stops with an error', () => {
    expect(() => rates(() => Number.NaN, [1])).toThrow(TrainingError)
    expect(() => rates(() => -1, [1])).toThrow(/not negative/)
  })
  it('take turns, each from its own beginning', () => {
    const list = [warmupLearnRate({ initialFactor: 0, numSteps: 2 }), 'cosine'] as LearnRateSchedule[]
    expectRates(rates(list, [1, 2, 3, 5, 7]), [
      0,
      0.5,
      1,
      (1 + Math.cos((2 / 8) * Math.PI)) / 2,
      (1 + Math.cos((4 / 8) * Math.PI)) / 2,
    ])
    const three = [
      warmupLearnRate({ initialFactor: 0.5, numSteps: 10, frequencyUnit: 'iteration' }),
      piecewiseLearnRate({ dropFactor: 0.5, period: 1, numSteps: 2 }),
      exponentialLearnRate({ dropFactor: 0.1, period: 1 }),
    ]
    expectRates(rates(three, [1, 2, 3, 4, 5]), [0.5, 1, 0.5, 1, 0.1])
  })
  it('nothing may follow a schedule without end', () => {
    expect(() => rates(['piecewise', 'cosine'], [1])).toThrow(/no end of number 1 of 2/)
  })
  it('both units need data of known length', () => {
    const list = [warmupLearnRate({ numSteps: 2, frequencyUnit: 'iteration' }), piecewiseLearnRate()]
    expect(() => rates(list, [5], { iterationsPerEpoch: 'unknown' })).toThrow(/one frequencyUnit/)
    const iterations = [
      warmupLearnRate({ numSteps: 2, frequencyUnit: 'iteration' }),
      piecewiseLearnRate({ frequencyUnit: 'iteration', period: 1 }),
    ]
    expectRates(rates(iterations, [3, 4], { iterationsPerEpoch: 'unknown' }), [1, 0.1])
  })
})

describe('functions without the host', () => {
  it('powers', () => {
    for (const base of [0, 0.1, 0.9, 0.999, 1])
      for (const exponent of [0, 1, 2, 7, 100, 12345])
        expect(Math.abs(integerPower(base, exponent) - base ** exponent)).toBeLessThan(
          1e-12 * base ** exponent + 1e-300,
        )
  })
  it('half a cosine', () => {
    for (let i = 0; i <= 1000; i++) {
      const share = i / 1000
      expect(Math.abs(cosineOfShare(share) - Math.cos(Math.PI * share))).toBeLessThan(1e-15)
    }
    expect([cosineOfShare(0), cosineOfShare(0.5), cosineOfShare(1)]).toEqual([1, 0, -1])
  })
})
