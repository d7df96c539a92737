import { OptionError, TrainingError } from '../errors.js'
import { integerPower } from './exact-functions.js'
import { cosine, cyclicalLearnRate, polynomial, warmupLearnRate } from './schedules.js'
import type { LearnRateSchedule, SchedulePosition, TrainingOptions } from './training-options.js'

// The learn rate of every iteration, from the options of training: a schedule, or several one after the other.

type RateFunction = (initialLearnRate: number, position: SchedulePosition) => number

interface Part {
  readonly rate: RateFunction
  readonly numSteps: number
  readonly unit: 'epoch' | 'iteration'
}

type Options = Pick<
  TrainingOptions,
  'initialLearnRate' | 'learnRateSchedule' | 'learnRateDropFactor' | 'learnRateDropPeriod'
>

/**
 * The learn rate at a position, from the options of training.
 *
 * `'polynomial'` (a line to 0), `'exponential'` (to a hundredth) and `'cosine'` (to 0) span the whole training, changing with
 * every iteration where the number of iterations is known, otherwise with every epoch; `'warmup'` and `'cyclical'` are the
 * schedule objects with their defaults. In a list each schedule counts its steps from its own beginning and gives way after
 * `numSteps`; what follows one without end is an {@link OptionError}.
 */
export function learnRateOf(options: Options): (position: SchedulePosition) => number {
  const { learnRateSchedule, initialLearnRate } = options
  const list = (Array.isArray(learnRateSchedule) ? learnRateSchedule : [learnRateSchedule]) as LearnRateSchedule[]
  const parts = list.map((one) => partOf(one, options))
  const endless = parts.findIndex((part) => part.numSteps === Number.POSITIVE_INFINITY)
  if (endless >= 0 && endless < parts.length - 1)
    throw new OptionError({
      call: 'trainingOptions',
      expects: 'learn-rate schedules with an end before the last of a list',
      got: `no end of number ${endless + 1} of ${parts.length}`,
      remedy: 'Give it numSteps: piecewiseLearnRate({ numSteps: 20 }), for instance.',
    })
  return (position) => {
    const { part, relative } = partAt(parts, position)
    const rate = part.rate(initialLearnRate, relative)
    if (typeof rate === 'number' && rate >= 0 && Number.isFinite(rate)) return rate
    throw new TrainingError({
      call: 'trainnet',
      expects: 'a learn rate that is a finite number and not negative',
      got: `${String(rate)} from the schedule at iteration ${position.iteration}, epoch ${position.epoch}`,
      remedy: 'Correct the function given as learnRateSchedule.',
    })
  }
}

/** The part of a list whose turn it is, and the position counted from its beginning. */
function partAt(parts: readonly Part[], position: SchedulePosition): { part: Part; relative: SchedulePosition } {
  let epochs = 0
  let iterations = 0
  for (const [i, part] of parts.entries()) {
    const relative = {
      ...position,
      epoch: position.epoch - epochs,
      iteration: position.iteration - iterations,
      maxEpochs: position.maxEpochs - epochs,
    }
    const done = part.unit === 'epoch' ? relative.epoch > part.numSteps : relative.iteration > part.numSteps
    if (!done || i === parts.length - 1) return { part, relative }
    const perEpoch = position.iterationsPerEpoch
    if (part.unit === 'epoch') {
      epochs += part.numSteps
      iterations = perEpoch === undefined ? countOnlyEpochs(parts, i, iterations) : epochs * perEpoch
    } else {
      iterations += part.numSteps
      epochs = perEpoch === undefined ? countOnlyIterations(parts, i, epochs) : Math.floor(iterations / perEpoch)
    }
  }
  throw new Error('a list of schedules is never empty')
}

function countOnlyEpochs(parts: readonly Part[], last: number, iterations: number): number {
  if (parts.slice(last).every((part) => part.unit === 'epoch')) return iterations
  throw mixedUnits()
}

function countOnlyIterations(parts: readonly Part[], last: number, epochs: number): number {
  if (parts.slice(last).every((part) => part.unit === 'iteration')) return epochs
  throw mixedUnits()
}

function mixedUnits(): OptionError {
  return new OptionError({
    call: 'trainnet',
    expects: 'learn-rate schedules with one frequencyUnit, or data that tell their number of observations',
    got: 'epochs and iterations in one list, and data of unknown length',
    remedy: 'Use the same frequencyUnit in all schedules of the list.',
  })
}

function partOf(one: LearnRateSchedule, options: Options): Part {
  const endless = { numSteps: Number.POSITIVE_INFINITY, unit: 'epoch' as const }
  if (typeof one === 'function') return { ...endless, rate: one }
  if (typeof one === 'object') {
    const numSteps = 'numSteps' in one && typeof one.numSteps === 'number' ? one.numSteps : Number.POSITIVE_INFINITY
    return { numSteps, unit: one.frequencyUnit, rate: (initial, position) => one.learnRate(initial, position) }
  }
  switch (one) {
    case 'none':
      return { ...endless, rate: (initial) => initial }
    case 'piecewise':
      return {
        ...endless,
        rate: (initial, { epoch }) =>
          initial * integerPower(options.learnRateDropFactor, Math.floor((epoch - 1) / options.learnRateDropPeriod)),
      }
    case 'warmup':
      return partOf(warmupLearnRate(), options)
    case 'cyclical':
      return partOf(cyclicalLearnRate(), options)
    case 'polynomial':
      return { ...endless, rate: (initial, position) => initial * polynomial(shareDone(position), 1) }
    case 'exponential':
      return { ...endless, rate: (initial, position) => initial * FINAL_SHARE ** shareDone(position) }
    case 'cosine':
      return { ...endless, rate: (initial, position) => initial * cosine(shareDone(position)) }
  }
}

/** What the schedule `'exponential'` leaves of the learn rate at the end of training. */
const FINAL_SHARE = 0.01

/** The share of the whole training that is done before this iteration. */
function shareDone({ iteration, epoch, iterationsPerEpoch, maxEpochs }: SchedulePosition): number {
  if (iterationsPerEpoch === undefined) return (epoch - 1) / maxEpochs
  return (iteration - 1) / (iterationsPerEpoch * maxEpochs)
}
