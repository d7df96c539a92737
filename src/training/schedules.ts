import { asText, OptionError, TrainingError } from '../errors.js'
import { cosineOfShare, integerPower } from './exact-functions.js'
import type {
  LearnRateSchedule,
  LearnRateScheduleObject,
  SchedulePosition,
  TrainingOptions,
} from './training-options.js'

// Learn-rate schedules. A schedule turns the initial learn rate and a position into the learn rate of that iteration; it
// keeps nothing between calls, so that a run that goes on from a checkpoint sees the same rates.

/** What every schedule object understands. */
export interface ScheduleSettings {
  /** Steps after which the next schedule of a list takes over. Default Infinity; 5 for warmup. */
  readonly numSteps?: number
  /** Whether a step is an epoch (default) or an iteration. */
  readonly frequencyUnit?: 'epoch' | 'iteration'
}

/** A schedule object with its settings. */
export interface LearnRateScheduleInstance extends LearnRateScheduleObject {
  readonly name: string
  readonly numSteps: number
}

interface Setting {
  readonly value: number
  readonly expects: string
  readonly accepts: (value: number) => boolean
}

const nonnegative = (value: number): Setting => ({
  value,
  expects: 'a finite number that is not negative',
  accepts: (x) => x >= 0 && Number.isFinite(x),
})
const positive = (value: number): Setting => ({
  value,
  expects: 'a positive finite number',
  accepts: (x) => x > 0 && Number.isFinite(x),
})
const steps = (value: number): Setting => ({
  value,
  expects: 'a positive whole number of steps',
  accepts: (x) => Number.isInteger(x) && x >= 1,
})

/** Makes a schedule object: its settings, checked, and the factor of the initial rate at step 0, 1, 2, ... */
function schedule<S extends string>(
  name: string,
  settings: Readonly<Record<S, Setting>>,
  defaultSteps: number,
  given: { readonly [K in NoInfer<S>]?: number } & ScheduleSettings,
  factor: (step: number, settings: Readonly<Record<S, number>>, numSteps: number) => number,
): LearnRateScheduleInstance & Readonly<Record<S, number>> {
  const accepted = [...Object.keys(settings), 'numSteps', 'frequencyUnit']
  if (typeof given !== 'object' || given === null)
    throw new OptionError({
      call: name,
      expects: 'settings as one object',
      got: asText(given),
      remedy: `Write ${name}({ numSteps: 10 }).`,
    })
  for (const key of Object.keys(given))
    if (!accepted.includes(key))
      throw new OptionError({
        call: name,
        expects: `settings among ${accepted.join(', ')}`,
        got: `'${key}'`,
        remedy: 'Check the spelling, or leave it out.',
      })
  const { numSteps = defaultSteps, frequencyUnit = 'epoch' } = given
  check(name, 'numSteps', numSteps, {
    value: defaultSteps,
    expects: 'a positive whole number of steps or Infinity',
    accepts: (x) => x === Number.POSITIVE_INFINITY || (Number.isInteger(x) && x >= 1),
  })
  if (frequencyUnit !== 'epoch' && frequencyUnit !== 'iteration')
    throw new OptionError({
      call: name,
      expects: "frequencyUnit 'epoch' or 'iteration'",
      got: asText(frequencyUnit),
      remedy: "Leave it out for 'epoch'.",
    })
  const values = {} as Record<S, number>
  for (const key of Object.keys(settings) as S[]) {
    values[key] = given[key] ?? settings[key].value
    check(name, key, values[key], settings[key])
  }
  return Object.freeze({
    name,
    ...values,
    numSteps,
    frequencyUnit,
    learnRate(initialLearnRate: number, { epoch, iteration }: SchedulePosition) {
      const step = (frequencyUnit === 'epoch' ? epoch : iteration) - 1
      return initialLearnRate * factor(step, values, numSteps)
    },
  })
}

function check(call: string, key: string, value: unknown, setting: Setting): void {
  if (typeof value === 'number' && setting.accepts(value)) return
  throw new OptionError({
    call,
    expects: `${key} to be ${setting.expects}`,
    got: asText(value),
    remedy: `Leave it out for ${setting.value}.`,
  })
}

/** Settings of {@link warmupLearnRate}, which says what they mean and their defaults. */
export interface WarmupSettings extends ScheduleSettings {
  readonly initialFactor?: number
  readonly finalFactor?: number
}

/**
 * A learn rate that rises linearly from `initialFactor` (default 0.1) to `finalFactor` (default 1) times the initial learn
 * rate in `numSteps` (default 5) steps, and stays there. Errors: an {@link OptionError} for settings out of range.
 * Source: MATLAB, `warmupLearnRate`; its defaults could not be confirmed.
 */
export function warmupLearnRate(settings: WarmupSettings = {}) {
  return schedule(
    'warmupLearnRate',
    { initialFactor: nonnegative(0.1), finalFactor: nonnegative(1) },
    5,
    settings,
    (step, { initialFactor, finalFactor }, numSteps) =>
      step >= numSteps ? finalFactor : initialFactor + ((finalFactor - initialFactor) * step) / numSteps,
  )
}

/** Settings of {@link piecewiseLearnRate}, which says what they mean and their defaults. */
export interface PiecewiseSettings extends ScheduleSettings {
  readonly dropFactor?: number
  readonly period?: number
}

/**
 * A learn rate that is multiplied by `dropFactor` (default 0.1) after each `period` (default 10) steps: at step s, counted
 * from 0, `dropFactor^floor(s / period)` times the initial rate. Source: MATLAB, `piecewiseLearnRate`.
 */
export function piecewiseLearnRate(settings: PiecewiseSettings = {}) {
  return schedule(
    'piecewiseLearnRate',
    { dropFactor: nonnegative(0.1), period: steps(10) },
    Number.POSITIVE_INFINITY,
    settings,
    (step, { dropFactor, period }) => integerPower(dropFactor, Math.floor(step / period)),
  )
}

/** Settings of {@link polynomialLearnRate}, which says what they mean and their defaults. */
export interface PolynomialSettings extends ScheduleSettings {
  readonly initialFactor?: number
  readonly finalFactor?: number
  readonly period?: number
  readonly power?: number
}

/**
 * A learn rate that goes from `initialFactor` (default 1) to `finalFactor` (default 0) times the initial rate in `period`
 * (default 10) steps: at step s `finalFactor + (initialFactor - finalFactor) * (1 - s / period)^power` (power 1 by default, a
 * line), then stays. Source: MATLAB, `polynomialLearnRate`; its defaults could not be confirmed.
 */
export function polynomialLearnRate(settings: PolynomialSettings = {}) {
  return schedule(
    'polynomialLearnRate',
    { initialFactor: nonnegative(1), finalFactor: nonnegative(0), period: steps(10), power: positive(1) },
    Number.POSITIVE_INFINITY,
    settings,
    (step, { initialFactor, finalFactor, period, power }) =>
      finalFactor + (initialFactor - finalFactor) * polynomial(step / period, power),
  )
}

/** Settings of {@link exponentialLearnRate}, which says what they mean and their defaults. */
export interface ExponentialSettings extends ScheduleSettings {
  readonly dropFactor?: number
  readonly period?: number
}

/**
 * A learn rate that decays smoothly by `dropFactor` (default 0.1) in each `period` (default 10) of steps: at step s
 * `dropFactor^(s / period)` times the initial rate. Source: MATLAB, `exponentialLearnRate`; its defaults could not be confirmed.
 */
export function exponentialLearnRate(settings: ExponentialSettings = {}) {
  return schedule(
    'exponentialLearnRate',
    { dropFactor: nonnegative(0.1), period: steps(10) },
    Number.POSITIVE_INFINITY,
    settings,
    (step, { dropFactor, period }) => dropFactor ** (step / period),
  )
}

/** Settings of {@link cosineLearnRate}, which says what they mean and their defaults. */
export interface CosineSettings extends ScheduleSettings {
  readonly initialFactor?: number
  readonly finalFactor?: number
  readonly period?: number
  readonly periodGrowthFactor?: number
}

/**
 * A learn rate that falls along half a cosine from `initialFactor` (default 1) to `finalFactor` (default 0) times the initial
 * rate in `period` (default 10) steps, and then starts again with a period `periodGrowthFactor` (default 1) times as long:
 * `finalFactor + (initialFactor - finalFactor) * (1 + cos(pi s / period)) / 2` at step s of a period.
 * Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017; MATLAB, `cosineLearnRate`.
 */
export function cosineLearnRate(settings: CosineSettings = {}) {
  return schedule(
    'cosineLearnRate',
    {
      initialFactor: nonnegative(1),
      finalFactor: nonnegative(0),
      period: steps(10),
      periodGrowthFactor: {
        ...positive(1),
        expects: 'a finite number of 1 or more',
        accepts: (x) => x >= 1 && x < 1e6,
      },
    },
    Number.POSITIVE_INFINITY,
    settings,
    (step, { initialFactor, finalFactor, period, periodGrowthFactor }) => {
      let within = step
      let length = period
      if (periodGrowthFactor === 1) within = step % period
      else
        while (within >= length) {
          within -= length
          length *= periodGrowthFactor
        }
      return finalFactor + (initialFactor - finalFactor) * cosine(within / length)
    },
  )
}

/** Settings of {@link cyclicalLearnRate}, which says what they mean and their defaults. */
export interface CyclicalSettings extends ScheduleSettings {
  readonly maxFactor?: number
  readonly period?: number
  readonly stepRatio?: number
}

/**
 * A learn rate that rises linearly to `maxFactor` (default 10) times the initial rate and back in each `period` (default 10) of
 * steps; the rise takes the share `stepRatio` (default 0.5, between 0 and 1) of it.
 * Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017; MATLAB, `cyclicalLearnRate`; its defaults could
 * not be confirmed.
 */
export function cyclicalLearnRate(settings: CyclicalSettings = {}) {
  return schedule(
    'cyclicalLearnRate',
    {
      maxFactor: positive(10),
      period: steps(10),
      stepRatio: { value: 0.5, expects: 'a number between 0 and 1, both excluded', accepts: (x) => x > 0 && x < 1 },
    },
    Number.POSITIVE_INFINITY,
    settings,
    (step, { maxFactor, period, stepRatio }) => {
      const phase = (step % period) / period
      const height = phase <= stepRatio ? phase / stepRatio : (1 - phase) / (1 - stepRatio)
      return 1 + (maxFactor - 1) * height
    },
  )
}

function polynomial(share: number, power: number): number {
  const left = Math.max(0, 1 - share)
  return Number.isInteger(power) ? integerPower(left, power) : left ** power
}

function cosine(share: number): number {
  return (1 + cosineOfShare(Math.min(1, share))) / 2
}

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
