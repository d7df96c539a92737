import { displayObject } from '../array/display.js'
import type { ArrayDatastore, CombinedDatastore } from '../data/datastore.js'
import type { BatchStream, PredictorData, TargetData } from '../data/minibatch.js'
import { className, OptionError } from '../errors.js'
import { readArguments } from '../layers/layer-arguments.js'
import type { NameValuePairs } from '../layers/property.js'
import { type MetricArgument, namesOf } from './metrics.js'
import type { FlatArray } from './network-data.js'
import { type OptionDefinition, optionDefinitions, read, type Solver, solvers } from './training-option-table.js'

export type { Solver }

/** Where training stands, for learn-rate schedules. */
export interface SchedulePosition {
  /** From 1. */
  readonly iteration: number
  /** From 1. */
  readonly epoch: number
  /** Iterations of one epoch, where the data tells how many there are. */
  readonly iterationsPerEpoch?: number
  readonly maxEpochs: number
}

/** A schedule of your own: the learn rate for a position, from `initialLearnRate`. */
export type LearnRateFunction = (initialLearnRate: number, position: SchedulePosition) => number

/** A schedule made by `warmupLearnRate`, `cosineLearnRate` and the like. */
export interface LearnRateScheduleObject {
  readonly frequencyUnit: 'epoch' | 'iteration'
  learnRate(initialLearnRate: number, position: SchedulePosition): number
}

export type LearnRateScheduleName =
  | 'none'
  | 'piecewise'
  | 'warmup'
  | 'polynomial'
  | 'exponential'
  | 'cosine'
  | 'cyclical'

export type LearnRateSchedule = LearnRateScheduleName | LearnRateFunction | LearnRateScheduleObject

/** What functions given as `outputFcn` are told. */
export interface OutputFcnInfo {
  readonly state: 'start' | 'iteration' | 'done'
  readonly epoch: number
  readonly iteration: number
  /** Seconds since training began. */
  readonly timeElapsed: number
  readonly learnRate: number
  readonly trainingLoss?: number
  readonly validationLoss?: number
  /** Values of `metrics` by name. */
  readonly trainingMetrics: Readonly<Record<string, number>>
  readonly validationMetrics: Readonly<Record<string, number>>
}

/** Called at the start, after each iteration and at the end; training stops when it returns true. */
export type OutputFcn = (info: OutputFcnInfo) => unknown

/** Data for validation, with its targets. */
export type ValidationData =
  | readonly [X: PredictorData | FlatArray, T: TargetData]
  | ArrayDatastore
  | CombinedDatastore
  | BatchStream

interface CommonOptions {
  /** Learn rate at the start. Default 0.01 for sgdm, 0.001 for adam and rmsprop. */
  readonly initialLearnRate: number
  /** How the learn rate changes: `'none'` (default), another name, a function, a schedule object; several take turns. */
  readonly learnRateSchedule: LearnRateSchedule | readonly LearnRateSchedule[]
  /** Factor of the schedule `'piecewise'`, 0 to 1. Default 0.1. */
  readonly learnRateDropFactor: number
  /** Epochs between drops of the schedule `'piecewise'`. Default 10. */
  readonly learnRateDropPeriod: number
  /** Passes over the data. Default 30. */
  readonly maxEpochs: number
  /**
   * Observations in a mini-batch. Default 128. Observations of data in memory that do not fill the last mini-batch of an epoch
   * are left out of it, others of them in each with `shuffle: 'every-epoch'`; all are used where there are fewer than one
   * mini-batch. Statistics of input layers are those of all observations.
   */
  readonly miniBatchSize: number
  /** When the order of observations is drawn: `'once'` before training (default), `'never'`, `'every-epoch'`. */
  readonly shuffle: 'once' | 'never' | 'every-epoch'
  /** Factor of the L2 penalty. Default 1e-4. */
  readonly l2Regularization: number
  /** Gradients larger than this are clipped. Default Infinity. */
  readonly gradientThreshold: number
  /** What is compared with the threshold: each gradient's norm (`'l2norm'`, default), that of all, or each element. */
  readonly gradientThresholdMethod: 'l2norm' | 'global-l2norm' | 'absolute-value'
  /** Whether statistics of input layers are computed anew from the training data. Default true. */
  readonly resetInputNormalization: boolean
  /**
   * How batch normalization layers get the statistics of prediction: `'moving'`, which `'auto'` (default) means too, joins those
   * of each mini-batch to the ones before; `'population'` does so until training is over, and then takes those of the
   * training set, in one more pass over its mini-batches. That pass follows the last validation. A signal that stops training, or this pass,
   * leaves those of `'moving'`.
   */
  readonly batchNormalizationStatistics: 'auto' | 'moving' | 'population'
  /** `[X, T]`, a datastore that holds both, or mini-batches, to validate with. Default: none. */
  readonly validationData: ValidationData | undefined
  /** Iterations between validations. Default 50. */
  readonly validationFrequency: number
  /** Training stops when the validation loss has not fallen below its smallest value this many times. Default Infinity. */
  readonly validationPatience: number
  /** Which network is returned. `'auto'` (default) is `'best-validation'` with validation data, otherwise `'last-iteration'`. */
  readonly outputNetwork: 'auto' | 'last-iteration' | 'best-validation'
  /** What decides which validation is best: `'loss'` (default) or one of the metrics. */
  readonly objectiveMetricName: string
  /**
   * Metrics to compute besides the loss, each under its own name; functions without one are called `metric`, or `metric_1`,
   * `metric_2` where there are several. Default: none.
   */
  readonly metrics: readonly MetricArgument[]
  /** Whether the table of progress is printed. Default true. */
  readonly verbose: boolean
  /** Iterations between rows of the table. Default 50. */
  readonly verboseFrequency: number
  /** `'training-progress'` writes a page with the curves. Default `'none'`. */
  readonly plots: 'none' | 'training-progress'
  /** Functions called at the start, after each iteration and at the end. */
  readonly outputFcn: readonly OutputFcn[]
  /** Folder for checkpoints, made where it is missing; `''` (default) for none. */
  readonly checkpointPath: string
  /** Epochs or iterations between checkpoints. Default 1. */
  readonly checkpointFrequency: number
  readonly checkpointFrequencyUnit: 'epoch' | 'iteration'
  readonly executionEnvironment: 'auto' | 'cpu'
  readonly preprocessingEnvironment: 'serial'
  /** Sequences of a mini-batch are padded to the longest (default) or cut to the shortest. */
  readonly sequenceLength: 'longest' | 'shortest'
  readonly sequencePaddingValue: number
  readonly sequencePaddingDirection: 'right' | 'left'
  /** Labels of the predictors' dimensions as they are in memory, one format for each input of the network. Default `'auto'`. */
  readonly inputDataFormats: 'auto' | readonly string[]
  /** Labels of the targets' dimensions as they are in memory. Default `'auto'`. */
  readonly targetDataFormats: 'auto' | readonly string[]
  readonly acceleration: 'auto' | 'none'
  /** Seed of every random number of training (initial values, order of observations). Default: the stream of `rng`. */
  readonly seed: number | undefined
  /** Stops training within one iteration; the network so far is returned. */
  readonly signal: AbortSignal | undefined
  /** Progress bar with speed and time left: `'auto'` (default) on a terminal while `verbose`, or true, or false. */
  readonly progress: boolean | 'auto'
  /**
   * Checkpoint file, or a folder of them (then the newest), from which training goes on. The solver, its factors, the
   * mini-batch size and whatever else decides what an iteration computes must be as before; `maxEpochs`, the learn rate and
   * its schedule, validation and output may change.
   */
  readonly resume: string | undefined
  /** Prints a line of the table. Default `console.log`. */
  readonly log: (line: string) => void
}

/** Options of stochastic gradient descent with momentum. */
export interface TrainingOptionsSGDM extends CommonOptions {
  readonly solver: 'sgdm'
  /** Share of the previous step, 0 to 1. Default 0.9. */
  readonly momentum: number
}

/** What {@link trainingOptions} gives for `'adam'`. */
export interface TrainingOptionsADAM extends CommonOptions {
  readonly solver: 'adam'
  /** Decay of the moving average of gradients, 0 or more and below 1. Default 0.9. */
  readonly gradientDecayFactor: number
  /** Decay of the moving average of squared gradients, 0 or more and below 1. Default 0.999. */
  readonly squaredGradientDecayFactor: number
  /** Added to the denominator. Default 1e-8. */
  readonly epsilon: number
}

/** What {@link trainingOptions} gives for `'rmsprop'`. */
export interface TrainingOptionsRMSProp extends CommonOptions {
  readonly solver: 'rmsprop'
  /** Decay of the moving average of squared gradients, 0 or more and below 1. Default 0.9. */
  readonly squaredGradientDecayFactor: number
  /** Added to the denominator. Default 1e-8. */
  readonly epsilon: number
}

/** What `trainingOptions` makes: every option with its value, frozen. */
export type TrainingOptions = TrainingOptionsSGDM | TrainingOptionsADAM | TrainingOptionsRMSProp

type OptionsOf<S extends Solver> = Extract<TrainingOptions, { readonly solver: S }>

/** Options as they may be given: lists of one as that one. */
export type TrainingOptionsArguments<S extends Solver = Solver> = Partial<
  Omit<OptionsOf<S>, 'solver' | 'metrics' | 'outputFcn' | 'inputDataFormats' | 'targetDataFormats'>
> & {
  readonly metrics?: MetricArgument | readonly MetricArgument[]
  readonly outputFcn?: OutputFcn | readonly OutputFcn[]
  readonly inputDataFormats?: string | readonly string[]
  readonly targetDataFormats?: string | readonly string[]
}

/**
 * Options of training with `trainnet`, checked and complete.
 *
 * The solver is `'sgdm'`, `'adam'` or `'rmsprop'`; options follow as an object with names in camelCase or as MATLAB's
 * name-value pairs (`'MaxEpochs', 4`), names in any case. Every option stands, with its default and unit, in
 * {@link TrainingOptionsSGDM}, {@link TrainingOptionsADAM} and {@link TrainingOptionsRMSProp}. The result is frozen and
 * prints as MATLAB prints it.
 *
 * Throws an {@link OptionError} for a solver or an option that does not exist, belongs to another solver or is not
 * supported, and for a value outside its range. Source: MATLAB, `trainingOptions`.
 */
export function trainingOptions<const S extends Solver>(solver: S, options?: TrainingOptionsArguments<S>): OptionsOf<S>
export function trainingOptions<const S extends Solver>(solver: S, ...pairs: NameValuePairs): OptionsOf<S>
export function trainingOptions(...given: unknown[]): TrainingOptions {
  const call = 'trainingOptions'
  refusePlanned(given)
  const names = Object.keys(optionDefinitions)
  const { solver, ...options } = readArguments(call, copied(given), { names: ['solver'], required: 1 }, names)
  const known = checkSolver(solver)
  const result: Record<string, unknown> = Object.create(printing)
  result.solver = known
  for (const [name, definition] of Object.entries(optionDefinitions))
    if (belongsTo(definition, known)) result[name] = definition.default(known)
  for (const [name, value] of Object.entries(options)) if (value !== undefined) result[name] = check(name, value, known)
  checkTogether(result as unknown as TrainingOptions)
  return Object.freeze(result) as unknown as TrainingOptions
}

/** Arguments without the solver that options have when they are copied from a result. */
function copied(given: readonly unknown[]): unknown[] {
  const last = given.at(-1)
  if (given.length !== 2 || typeof last !== 'object' || last === null || !('solver' in last)) return [...given]
  const { solver, ...options } = last
  return [given[0], options]
}

function checkSolver(solver: unknown): Solver {
  const name = typeof solver === 'string' ? solver.toLowerCase() : undefined
  const known = solvers.find((candidate) => candidate === name)
  if (known) return known
  const planned = name === 'lbfgs' || name === 'lm'
  throw new OptionError({
    call: 'trainingOptions',
    expects: `one of the solvers ${solvers.map((candidate) => `'${candidate}'`).join(', ')}`,
    got: planned ? `'${name}', which is not supported yet` : printed(solver),
    remedy: "Begin with the solver: trainingOptions('sgdm', { maxEpochs: 4 }).",
  })
}

function belongsTo(definition: OptionDefinition, solver: Solver): boolean {
  return definition.solvers?.includes(solver) ?? true
}

/** MATLAB's options that have no counterpart here so far. */
const notYet = [
  'categoricalInputEncoding',
  'categoricalTargetEncoding',
  'normalizeTargets',
  'maxIterations',
  'gradientTolerance',
  'stepTolerance',
  'initialInverseHessianFactor',
  'maxNumLineSearchIterations',
  'lineSearchMethod',
  'historySize',
  'initialDampingFactor',
  'maxDampingFactor',
  'dampingIncreaseFactor',
  'dampingDecreaseFactor',
]

function refusePlanned(given: readonly unknown[]): void {
  const options = given[1]
  const isObject = given.length === 2 && typeof options === 'object' && options !== null
  const asked = isObject ? Object.keys(options) : given
  for (const name of asked) {
    const planned = notYet.find((each) => typeof name === 'string' && each.toLowerCase() === name.toLowerCase())
    if (planned !== undefined)
      throw new OptionError({
        call: 'trainingOptions',
        expects: 'options that are supported',
        got: `${planned}, which is not supported yet`,
        remedy: 'Leave it out.',
      })
  }
}

/** The value of an option as it is kept. */
function check(name: string, value: unknown, solver: Solver): unknown {
  const definition = optionDefinitions[name]!
  if (!belongsTo(definition, solver))
    throw new OptionError({
      call: 'trainingOptions',
      expects: `options of the solver '${solver}'`,
      got: `${name}, an option of ${definition.solvers!.map((other) => `'${other}'`).join(' and ')}`,
      remedy: 'Leave it out, or choose that solver.',
    })
  const outcome = read(definition, value)
  if (outcome.accepted) return outcome.value
  throw new OptionError({
    call: 'trainingOptions',
    expects: `${name} to be ${definition.expects}`,
    got: outcome.isPlanned ? `${printed(value)}, which is not supported yet` : printed(value),
    remedy: 'Change the value, or leave the option out for its default.',
  })
}

/** What only shows when all options are known. */
function checkTogether(options: TrainingOptions): void {
  const metrics = namesOf(options.metrics)
  const twice = metrics.find((name, i) => metrics.indexOf(name) !== i)
  if (twice !== undefined)
    throw new OptionError({
      call: 'trainingOptions',
      expects: 'metrics with different names, as histories are kept by name',
      got: `'${twice}' twice`,
      remedy: 'Leave one out, or give its function another name.',
    })
  if (options.objectiveMetricName !== 'loss' && !metrics.includes(options.objectiveMetricName))
    throw new OptionError({
      call: 'trainingOptions',
      expects: "objectiveMetricName to be 'loss' or the name of one of the metrics",
      got: `'${options.objectiveMetricName}' with ${metrics.length === 0 ? 'no metrics' : `metrics ${metrics.join(', ')}`}`,
      remedy: 'Add it to metrics.',
    })
  if (options.outputNetwork === 'best-validation' && options.validationData === undefined)
    throw new OptionError({
      call: 'trainingOptions',
      expects: "validationData with outputNetwork 'best-validation'",
      got: 'no validationData',
      remedy: "Give validationData, or choose outputNetwork 'last-iteration'.",
    })
}

function printed(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value)
  if (Array.isArray(value)) return `[${value.slice(0, 5).map(printed).join(', ')}${value.length > 5 ? ', ...' : ''}]`
  return typeof value === 'function' ? 'a function' : `a ${className(value)}`
}

/** What options inherit: their text. */
const printing = {
  toString(this: TrainingOptions): string {
    return displayTrainingOptions(this)
  },
  [Symbol.for('nodejs.util.inspect.custom')](this: TrainingOptions): string {
    return displayTrainingOptions(this)
  },
}

const classNames = {
  sgdm: 'TrainingOptionsSGDM',
  adam: 'TrainingOptionsADAM',
  rmsprop: 'TrainingOptionsRMSProp',
} as const

function displayTrainingOptions(options: TrainingOptions): string {
  const values = options as unknown as Readonly<Record<string, unknown>>
  const rows: [string, string][] = []
  for (const [key, definition] of Object.entries(optionDefinitions))
    if (key in values && definition.display)
      rows.push([key.charAt(0).toUpperCase() + key.slice(1), definition.display(values[key])])
  return displayObject({ className: classNames[options.solver], groups: [{ rows }] })
}
