import { asText, checkOptionNames, OptionError } from '../errors.js'
import { cosineOfShare, integerPower } from './exact-functions.js'
import type { LearnRateScheduleObject, SchedulePosition } from './training-options.js'

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
  checkOptionNames(name, given, accepted)
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

/** What is left of 1 when a share of the way is done. */
export function polynomial(share: number, power: number): number {
  const left = Math.max(0, 1 - share)
  return Number.isInteger(power) ? integerPower(left, power) : left ** power
}

/** The same along half a period of a cosine. */
export function cosine(share: number): number {
  return (1 + cosineOfShare(Math.min(1, share))) / 2
}
