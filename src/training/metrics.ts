/** Measures of how good predictions are, gathered over mini-batches: the value is that of all observations together. */

import { type DlArray, isdlarray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { DimensionError, TrainingError } from '../errors.js'
import { channelLayout } from '../operations/arrays/layout.js'

/** Metrics known by name. */
export const metricNames = ['accuracy', 'auc', 'fscore', 'precision', 'recall', 'rmse'] as const
/** The metrics that are known by their names. */
export type MetricName = (typeof metricNames)[number]

/** A metric of your own: outputs of the network first, then targets, giving one number (or a scalar array) for a mini-batch. */
export type MetricFunction = (...outputsThenTargets: DlArray[]) => DlArray | number

/** A metric that gathers what it needs from mini-batches and then gives its value for all of them. */
export interface Metric {
  /** How tables and histories call it. */
  readonly name: string
  /** Whether a larger value is better; undefined means larger. */
  readonly maximize?: boolean
  /** Forgets everything gathered. */
  reset(): void
  /** Takes the predictions and targets of one mini-batch. */
  update(outputs: readonly DlArray[], targets: readonly DlArray[]): void
  /** The value for everything gathered; NaN where there is none, as for nothing: histories show it, and no network is best by it. */
  evaluate(): number
}

/** The value of a metric. Throws a {@link TrainingError} where that of a user's own is no number. */
export function measured(metric: Metric): number {
  const value: unknown = metric.evaluate()
  if (typeof value === 'number') return value
  throw new TrainingError({
    call: `metric ${metric.name}`,
    expects: 'a number from evaluate()',
    got: kindOf(value),
    remedy: 'Return NaN where there is no value.',
  })
}

/** What the option `metrics` takes. */
export type MetricArgument = MetricName | MetricFunction | Metric

/**
 * How histories call some metrics: by their names, functions without one `metric`, or `metric_1`, `metric_2` where there are
 * several.
 */
export function namesOf(metrics: readonly MetricArgument[]): string[] {
  const names = metrics.map((metric) => (typeof metric === 'string' ? metric : metric.name))
  const unnamed = names.filter((name) => name === '').length
  let number = 0
  return names.map((name) => name || (unnamed === 1 ? 'metric' : `metric_${++number}`))
}

/** The metrics of the option `metrics`, each under its name. */
export function metricsOf(metrics: readonly MetricArgument[]): Metric[] {
  const names = namesOf(metrics)
  return metrics.map((metric, i) => metricOf(metric, names[i]))
}

/** The metric for an entry of the option `metrics`. Names apply to the network's first output. */
export function metricOf(argument: MetricArgument, name?: string): Metric {
  if (typeof argument === 'function') return functionMetric(argument, name || argument.name || 'metric')
  if (typeof argument === 'object') return argument
  switch (argument) {
    case 'accuracy':
      return accuracyMetric()
    case 'rmse':
      return rmseMetric()
    case 'auc':
      return aucMetric()
    case 'precision':
      return classMetric('precision', ({ hits, predicted }) => hits / predicted)
    case 'recall':
      return classMetric('recall', ({ hits, occurring }) => hits / occurring)
    case 'fscore':
      return classMetric('fscore', ({ hits, predicted, occurring }) => (2 * hits) / (predicted + occurring))
    default:
      return argument satisfies never
  }
}

// --- Classes ------------------------------------------------------------------------------------------------------------

/** The scores and the true class at one place of one observation. */
type Visit = (scores: (channel: number) => number, trueClass: number) => void

/**
 * Goes through all places of all observations. Targets are one-hot or probabilities (the largest is the class), or hold
 * the position of the class counted from 1 in a single channel. One channel of scores means two classes, the second with
 * the score itself. Places whose target is NaN are left out.
 */
function visitClasses(call: string, Y: DlArray | undefined, T: DlArray | undefined, visit: Visit): number {
  const { outputs, targets } = present(call, Y, T)
  const scores = channelLayout(outputs, call)
  const truth = channelLayout(targets, call)
  const isIndex = truth.channels === 1 && scores.channels > 1
  const fits =
    scores.inner === truth.inner &&
    scores.observations === truth.observations &&
    scores.outer === truth.outer &&
    (isIndex || scores.channels === truth.channels)
  if (!fits) throw mismatch(call, outputs, targets)
  const y = outputs.storage.view()
  const t = targets.storage.view()
  const isBinary = scores.channels === 1
  const positions = scores.inner * scores.observations * scores.outer
  for (let position = 0; position < positions; position++) {
    const inner = position % scores.inner
    const rest = (position - inner) / scores.inner
    const first = inner + scores.inner * scores.channels * rest
    const firstTarget = inner + truth.inner * truth.channels * rest
    let trueClass: number
    if (isIndex) trueClass = t[firstTarget]! - 1
    else if (isBinary) trueClass = t[firstTarget]! >= 0.5 ? 1 : 0
    else trueClass = argmax(truth.channels, (channel) => t[firstTarget + channel * truth.inner]!)
    if (Number.isNaN(t[firstTarget]!)) continue
    visit(
      isBinary
        ? (channel) => (channel === 1 ? y[first]! : 1 - y[first]!)
        : (channel) => y[first + channel * scores.inner]!,
      trueClass,
    )
  }
  return isBinary ? 2 : scores.channels
}

/** The first of the largest; -1 when all are NaN. */
function argmax(count: number, value: (index: number) => number): number {
  let best = -1
  let largest = Number.NEGATIVE_INFINITY
  for (let index = 0; index < count; index++) {
    const candidate = value(index)
    if (candidate > largest || (best < 0 && candidate === largest)) {
      best = index
      largest = candidate
    }
  }
  return best
}

function present(call: string, outputs: DlArray | undefined, targets: DlArray | undefined) {
  if (outputs && targets) return { outputs, targets }
  throw new TrainingError({
    call,
    expects: 'predictions and targets',
    got: outputs ? 'no targets' : 'no predictions',
    remedy: 'Give data with targets.',
  })
}

function mismatch(call: string, outputs: DlArray, targets: DlArray): DimensionError {
  return new DimensionError({
    call,
    expects: 'predictions and targets of the same size',
    got: `predictions of ${describe(outputs)} and targets of ${describe(targets)}`,
    remedy: 'Class labels are given as labels (strings, or categorical), numbers as an array like the predictions.',
  })
}

/** Share of right classes, in percent. */
function accuracyMetric(): Metric {
  let right = 0
  let all = 0
  return {
    name: 'accuracy',
    maximize: true,
    reset() {
      right = 0
      all = 0
    },
    update([Y], [T]) {
      const channels = Y?.dims.includes('C') ? Math.max(2, Y.size[Y.dims.indexOf('C')]!) : 0
      visitClasses('accuracy', Y, T, (scores, trueClass) => {
        all++
        if (argmax(channels, scores) === trueClass) right++
      })
    },
    evaluate: () => (100 * right) / all,
  }
}

interface ClassCounts {
  readonly hits: number
  readonly predicted: number
  readonly occurring: number
}

/**
 * A measure of each class, averaged over the classes that occur among targets or predictions (macro average). A class whose
 * measure is 0 / 0 (never predicted, for precision; never occurring, for recall) counts as 0.
 */
function classMetric(name: string, measure: (counts: ClassCounts) => number): Metric {
  let hits: number[] = []
  let predicted: number[] = []
  let occurring: number[] = []
  return {
    name,
    maximize: true,
    reset() {
      hits = []
      predicted = []
      occurring = []
    },
    update([Y], [T]) {
      const channels = Y?.dims.includes('C') ? Math.max(2, Y.size[Y.dims.indexOf('C')]!) : 0
      visitClasses(name, Y, T, (scores, trueClass) => {
        const prediction = argmax(channels, scores)
        occurring[trueClass] = (occurring[trueClass] ?? 0) + 1
        if (prediction >= 0) predicted[prediction] = (predicted[prediction] ?? 0) + 1
        if (prediction === trueClass) hits[trueClass] = (hits[trueClass] ?? 0) + 1
      })
    },
    evaluate() {
      let sum = 0
      let classes = 0
      for (let k = 0; k < Math.max(predicted.length, occurring.length); k++) {
        const counts = { hits: hits[k] ?? 0, predicted: predicted[k] ?? 0, occurring: occurring[k] ?? 0 }
        if (counts.predicted + counts.occurring === 0) continue
        classes++
        sum += measure(counts) || 0
      }
      return sum / classes
    },
  }
}

/**
 * Area under the receiver operating characteristic: for each class against the others the probability that a random
 * observation of it scores higher than a random other one (equal scores count half), averaged over the classes for which
 * there are both. Two classes with one score each way give the same area twice. Keeps all scores: a number for each class
 * and observation. Source: Hanley, McNeil, "The meaning and use of the area under a ROC curve", 1982.
 */
function aucMetric(): Metric {
  let scoresOf: number[][] = []
  let truth: number[] = []
  return {
    name: 'auc',
    maximize: true,
    reset() {
      scoresOf = []
      truth = []
    },
    update([Y], [T]) {
      const channels = Y?.dims.includes('C') ? Math.max(2, Y.size[Y.dims.indexOf('C')]!) : 0
      while (scoresOf.length < channels) scoresOf.push([])
      visitClasses('auc', Y, T, (scores, trueClass) => {
        for (let k = 0; k < channels; k++) scoresOf[k]!.push(scores(k))
        truth.push(trueClass)
      })
    },
    evaluate() {
      const areas = scoresOf
        .map((scores, k) =>
          areaUnderCurve(
            scores,
            truth.map((trueClass) => trueClass === k),
          ),
        )
        .filter((area) => !Number.isNaN(area))
      return areas.reduce((sum, area) => sum + area, 0) / areas.length
    },
  }
}

function areaUnderCurve(scores: readonly number[], isPositive: readonly boolean[]): number {
  const order = scores.map((_, index) => index).sort((a, b) => scores[a]! - scores[b]!)
  let below = 0
  let pairs = 0
  for (let begin = 0; begin < order.length; ) {
    let end = begin
    let positives = 0
    while (end < order.length && scores[order[end]!] === scores[order[begin]!])
      if (isPositive[order[end++]!]) positives++
    // A NaN equals nothing, itself included.
    if (end === begin) return Number.NaN
    const negatives = end - begin - positives
    pairs += positives * (below + negatives / 2)
    below += negatives
    begin = end
  }
  return pairs / (below * (scores.length - below))
}

// --- Numbers ------------------------------------------------------------------------------------------------------------

/** Root of the mean squared difference, over all elements of all observations. */
function rmseMetric(): Metric {
  let squares = 0
  let elements = 0
  return {
    name: 'rmse',
    maximize: false,
    reset() {
      squares = 0
      elements = 0
    },
    update([Y], [T]) {
      const { outputs, targets } = present('rmse', Y, T)
      const isAlike =
        outputs.dims === targets.dims && outputs.size.every((extent, position) => extent === targets.size[position])
      if (!isAlike) throw mismatch('rmse', outputs, targets)
      const y = outputs.storage.view()
      const t = targets.storage.view()
      for (let i = 0; i < y.length; i++) squares += (y[i]! - t[i]!) ** 2
      elements += y.length
    },
    evaluate: () => Math.sqrt(squares / elements),
  }
}

function kindOf(value: unknown): string {
  if (isdlarray(value)) return describe(value)
  if (value instanceof Promise) return 'a promise'
  return value === null ? 'null' : typeof value
}

/** The mean of a function's values for the mini-batches, weighted by their observations. */
function functionMetric(compute: MetricFunction, name: string): Metric {
  let sum = 0
  let observations = 0
  return {
    name,
    reset() {
      sum = 0
      observations = 0
    },
    update(outputs, targets) {
      const result: unknown = compute(...outputs, ...targets)
      const value = isdlarray(result) && result.numel === 1 ? result.item() : result
      if (typeof value !== 'number')
        throw new TrainingError({
          call: `metric ${name}`,
          expects: 'a number or a scalar array',
          got: kindOf(value),
          remedy: 'Return one value for the mini-batch.',
        })
      const Y = outputs[0]
      const batch = Y ? Y.dims.indexOf('B') : -1
      const count = batch < 0 ? 1 : Y!.size[batch]!
      sum += value * count
      observations += count
    },
    evaluate: () => sum / observations,
  }
}
