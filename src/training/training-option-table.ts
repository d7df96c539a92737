/** Every option of training: what it may be, its default, how it prints. The order is that in which MATLAB prints them. */

import * as v from 'valibot'
import { type DisplayValue, formatShort } from '../array/number-display.js'
import { metricNames } from './metrics.js'
import { holdsTargets } from './network-data.js'

export const solvers = ['sgdm', 'adam', 'rmsprop'] as const
export type Solver = (typeof solvers)[number]

export interface OptionDefinition {
  /** @internal Turns what is accepted into what is kept. Left out of declarations, where it costs users' compilers seconds. */
  readonly schema: v.GenericSchema
  /** What is accepted, as the end of a sentence. */
  readonly expects: string
  readonly default: (solver: Solver) => unknown
  /** Solvers that have the option; all of them where this is missing. */
  readonly solvers?: readonly Solver[]
  /** MATLAB's values that are known but not supported yet. */
  readonly planned?: readonly string[]
  /** The printed value; options without it are not printed: MATLAB does not have them. */
  readonly display?: (value: unknown) => string
}

export type ReadOption =
  | { readonly accepted: true; readonly value: unknown }
  | { readonly accepted: false; readonly isPlanned: boolean }

export function read(definition: OptionDefinition, value: unknown): ReadOption {
  const outcome = v.safeParse(definition.schema, value)
  if (outcome.success) return { accepted: true, value: outcome.output }
  const isPlanned = typeof value === 'string' && (definition.planned ?? []).includes(value.toLowerCase())
  return { accepted: false, isPlanned }
}

const short = (value: unknown): string => formatShort(value as DisplayValue)
/** MATLAB's newer options are strings, which print with double quotes; older ones are character vectors. */
const quoted = (value: unknown): string =>
  Array.isArray(value) ? list(value.map((entry) => `"${entry}"`)) : `"${String(value)}"`
const list = (entries: readonly string[]): string => (entries.length === 1 ? entries[0]! : `[${entries.join('    ')}]`)
/** Functions and objects of a list, by name. */
const functions = (value: unknown): string => {
  const entries = value as readonly { readonly name?: string }[]
  return entries.length === 0 ? '[]' : list(entries.map((entry) => `@${entry.name || '(...)'}`))
}

const always =
  <T>(value: T) =>
  () =>
    value

// The numbers that MATLAB's pages allow.
const positive = v.pipe(v.number(), v.gtValue(0), v.finite())
const positiveOrInfinite = v.pipe(v.number(), v.gtValue(0))
const nonnegative = v.pipe(v.number(), v.minValue(0), v.finite())
const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const decay = v.pipe(v.number(), v.minValue(0), v.ltValue(1))
const positiveInteger = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const positiveIntegerOrInfinite = v.union([positiveInteger, v.literal(Number.POSITIVE_INFINITY)])
const yesOrNo = v.union([
  v.boolean(),
  v.pipe(
    v.picklist([0, 1]),
    v.transform((value) => value === 1),
  ),
])
const anyFunction = v.function()

/** One of some words, in any case. */
function word<const W extends readonly [string, ...string[]]>(words: W) {
  return v.pipe(v.string(), v.toLowerCase(), v.picklist(words))
}

/** A list, or one entry as a list of one. */
function oneOrMany(entry: v.GenericSchema) {
  return v.pipe(
    v.union([v.array(entry), entry]),
    v.transform((value) => Object.freeze(Array.isArray(value) ? value : [value])),
  )
}

/** An option that is one of some words. */
function choice<const W extends readonly [string, ...string[]]>(
  words: W,
  rest: { readonly planned?: readonly string[]; readonly display?: (value: unknown) => string } = {},
): OptionDefinition {
  const [first] = words
  return {
    schema: word(words),
    expects: words.map((each) => `'${each}'`).join(' or '),
    default: always(first),
    display: short,
    ...rest,
  }
}

function number(schema: v.GenericSchema, expects: string, value: number): OptionDefinition {
  return { schema, expects, default: always(value), display: short }
}

function flag(value: boolean): OptionDefinition {
  return { schema: yesOrNo, expects: 'true or false', default: always(value), display: short }
}

const scheduleNames = ['none', 'piecewise', 'warmup', 'polynomial', 'exponential', 'cosine', 'cyclical'] as const
const schedule = v.union([
  word(scheduleNames),
  anyFunction,
  v.custom<object>(
    (value) =>
      typeof value === 'object' && value !== null && 'learnRate' in value && typeof value.learnRate === 'function',
  ),
])

const metric = v.union([
  word(metricNames),
  anyFunction,
  v.custom<object>((value) => typeof value === 'object' && value !== null && 'name' in value && 'evaluate' in value),
])

/** One letter for each dimension; C, B and T at most once. */
const format = v.pipe(v.string(), v.regex(/^(?!.*C.*C)(?!.*B.*B)(?!.*T.*T)[SCBTU]+$/))
const formats: OptionDefinition = {
  schema: v.union([word(['auto']), oneOrMany(format)]),
  expects: "'auto', or a format such as 'SSCB' (or one for each array)",
  default: always('auto'),
  display: quoted,
}

const dataWithTargets = v.custom<object>((value) => (Array.isArray(value) ? value.length === 2 : holdsTargets(value)))

export const optionDefinitions: Readonly<Record<string, OptionDefinition>> = {
  momentum: { ...number(unit, 'a number from 0 to 1', 0.9), solvers: ['sgdm'] },
  gradientDecayFactor: { ...number(decay, 'a number from 0 to below 1', 0.9), solvers: ['adam'] },
  squaredGradientDecayFactor: {
    ...number(decay, 'a number from 0 to below 1', 0.999),
    default: (solver) => (solver === 'rmsprop' ? 0.9 : 0.999),
    solvers: ['adam', 'rmsprop'],
  },
  epsilon: { ...number(positive, 'a positive number', 1e-8), solvers: ['adam', 'rmsprop'] },
  initialLearnRate: {
    ...number(positive, 'a positive number', 0.01),
    default: (solver) => (solver === 'sgdm' ? 0.01 : 0.001),
  },
  maxEpochs: number(positiveInteger, 'a positive whole number', 30),
  learnRateSchedule: {
    schema: v.union([
      schedule,
      v.pipe(
        v.array(schedule),
        v.minLength(1),
        v.transform((entries) => Object.freeze(entries)),
      ),
    ]),
    expects: `${scheduleNames.map((name) => `'${name}'`).join(', ')}, a function, a schedule object, or a list of these`,
    default: always('none'),
    display: (value) =>
      typeof value === 'string'
        ? short(value)
        : list([value].flat().map((entry) => (typeof entry === 'string' ? short(entry) : functions([entry])))),
  },
  learnRateDropFactor: number(unit, 'a number from 0 to 1', 0.1),
  learnRateDropPeriod: number(positiveInteger, 'a positive whole number of epochs', 10),
  miniBatchSize: number(positiveInteger, 'a positive whole number of observations', 128),
  shuffle: choice(['once', 'never', 'every-epoch']),
  checkpointFrequency: number(positiveInteger, 'a positive whole number', 1),
  checkpointFrequencyUnit: choice(['epoch', 'iteration']),
  sequenceLength: choice(['longest', 'shortest']),
  preprocessingEnvironment: choice(['serial'], { planned: ['background', 'parallel'] }),
  l2Regularization: number(nonnegative, 'a number that is not negative', 1e-4),
  gradientThresholdMethod: choice(['l2norm', 'global-l2norm', 'absolute-value']),
  gradientThreshold: number(positiveOrInfinite, 'a positive number or Infinity', Number.POSITIVE_INFINITY),
  verbose: flag(true),
  verboseFrequency: number(positiveInteger, 'a positive whole number of iterations', 50),
  validationData: {
    schema: dataWithTargets,
    expects: '[X, T], a datastore or a source of mini-batches',
    default: always(undefined),
    display: (value) => (value === undefined ? '[]' : Array.isArray(value) ? '{1×2 cell}' : '[1×1 datastore]'),
  },
  validationFrequency: number(positiveInteger, 'a positive whole number of iterations', 50),
  validationPatience: number(
    positiveIntegerOrInfinite,
    'a positive whole number or Infinity',
    Number.POSITIVE_INFINITY,
  ),
  objectiveMetricName: {
    schema: v.pipe(v.string(), v.nonEmpty()),
    expects: "'loss' or the name of a metric",
    default: always('loss'),
    display: short,
  },
  checkpointPath: { schema: v.string(), expects: 'a folder', default: always(''), display: short },
  executionEnvironment: choice(['auto', 'cpu'], {
    planned: ['gpu', 'multi-gpu', 'parallel', 'parallel-auto', 'parallel-cpu', 'parallel-gpu'],
  }),
  outputFcn: {
    schema: oneOrMany(anyFunction),
    expects: 'a function or a list of functions',
    default: always(Object.freeze([])),
    display: functions,
  },
  metrics: {
    schema: oneOrMany(metric),
    expects: `${metricNames.map((name) => `'${name}'`).join(', ')}, a function, a metric object, or a list of these`,
    default: always(Object.freeze([])),
    display: (value) => {
      const entries = value as readonly (string | { readonly name: string })[]
      if (entries.length === 0) return '[]'
      return list(entries.map((entry) => (typeof entry === 'string' ? `"${entry}"` : functions([entry]))))
    },
  },
  plots: choice(['none', 'training-progress']),
  sequencePaddingValue: number(v.number(), 'a number', 0),
  sequencePaddingDirection: choice(['right', 'left']),
  inputDataFormats: formats,
  targetDataFormats: formats,
  resetInputNormalization: flag(true),
  batchNormalizationStatistics: choice(['auto', 'moving', 'population']),
  outputNetwork: choice(['auto', 'last-iteration', 'best-validation']),
  acceleration: choice(['auto', 'none'], { display: quoted }),

  // Not MATLAB's.
  seed: {
    schema: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
    expects: 'a whole number from 0 to 4294967295',
    default: always(undefined),
  },
  signal: { schema: v.instance(AbortSignal), expects: 'an AbortSignal', default: always(undefined) },
  progress: { schema: v.union([yesOrNo, word(['auto'])]), expects: "true, false or 'auto'", default: always('auto') },
  resume: {
    schema: v.pipe(v.string(), v.nonEmpty()),
    expects: 'a checkpoint file or a folder of checkpoints',
    default: always(undefined),
  },
  log: { schema: anyFunction, expects: 'a function of a line', default: always((line: string) => console.log(line)) },
}
