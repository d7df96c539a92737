/** Measures of how good predictions are, accumulated over mini-batches. Source: MATLAB pages "trainingOptions" and "deep.Metric". */

import type { DlArray } from '../array/dlarray.js'

/** Metrics known by name. */
export const metricNames = ['accuracy', 'auc', 'fscore', 'precision', 'recall', 'rmse'] as const
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
  /** The value for everything gathered; NaN when that is nothing. */
  evaluate(): number
}

/** What the option `metrics` takes. */
export type MetricArgument = MetricName | MetricFunction | Metric
