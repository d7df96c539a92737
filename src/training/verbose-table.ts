/** The table that `trainnet` prints while it trains, as MATLAB prints it (`Verbose` of `trainingOptions`). */

import { formatShortG } from '../array/number-display.js'

export interface VerboseTableOptions {
  /** Whether there is validation data, and so a validation column for the loss and for each metric. */
  readonly validation: boolean
  /** Names of metrics, in the order of `trainingOptions`: `accuracy`, `rmse`, or a name of your own. */
  readonly metrics: readonly string[]
}

/** One row; a value that is missing leaves its cell blank. */
export interface VerboseRow {
  readonly iteration: number
  readonly epoch: number
  /** Seconds since training began. */
  readonly timeElapsed: number
  readonly learnRate: number
  readonly trainingLoss?: number
  readonly validationLoss?: number
  /** Values by the names given in `metrics`. */
  readonly trainingMetrics?: Readonly<Record<string, number | undefined>>
  readonly validationMetrics?: Readonly<Record<string, number | undefined>>
}

/** Blanks before each column. A number wider than its heading uses them up. */
const GAP = '    '

/** How MATLAB writes the metrics it knows in a heading. */
const METRIC_HEADINGS: Readonly<Record<string, string>> = {
  accuracy: 'Accuracy',
  auc: 'AUC',
  fscore: 'FScore',
  precision: 'Precision',
  recall: 'Recall',
  rmse: 'RMSE',
  mape: 'MAPE',
  rsquared: 'RSquared',
}

interface Column {
  readonly heading: string
  readonly text: (row: VerboseRow) => string
}

/** Formats the table line by line; a line of a row ends in blanks where its last cells are empty. */
export class VerboseTable {
  readonly #columns: readonly Column[]

  constructor({ validation, metrics }: VerboseTableOptions) {
    const columns: Column[] = [
      { heading: 'Iteration', text: (row) => String(row.iteration) },
      { heading: 'Epoch', text: (row) => String(row.epoch) },
      { heading: 'TimeElapsed', text: (row) => formatDuration(row.timeElapsed) },
      { heading: 'LearnRate', text: (row) => formatShortG(row.learnRate) },
      { heading: 'TrainingLoss', text: (row) => optional(row.trainingLoss) },
    ]
    if (validation) columns.push({ heading: 'ValidationLoss', text: (row) => optional(row.validationLoss) })
    for (const metric of metrics) {
      const heading = metricHeading(metric)
      columns.push({ heading: `Training${heading}`, text: (row) => optional(row.trainingMetrics?.[metric]) })
      if (!validation) continue
      columns.push({ heading: `Validation${heading}`, text: (row) => optional(row.validationMetrics?.[metric]) })
    }
    this.#columns = columns
  }

  /** The headings and the rule below them: two lines. */
  header(): string {
    const headings = this.#columns.map(({ heading }) => GAP + heading)
    const rules = this.#columns.map(({ heading }) => GAP + '_'.repeat(heading.length))
    return `${headings.join('')}\n${rules.join('')}`
  }

  row(row: VerboseRow): string {
    return this.#columns.map(({ heading, text }) => rightAligned(text(row), GAP.length + heading.length)).join('')
  }

  /** The line below the table, for a `StopReason` such as `Max epochs completed`. */
  footer(stopReason: string): string {
    return `Training stopped: ${stopReason}`
  }
}

/** Seconds as `hh:mm:ss`; parts of a second are dropped. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

function metricHeading(metric: string): string {
  return METRIC_HEADINGS[metric.toLowerCase()] ?? metric.charAt(0).toUpperCase() + metric.slice(1)
}

function optional(value: number | undefined): string {
  return value === undefined ? '' : formatShortG(value)
}

/** At least one blank stays in front. */
function rightAligned(text: string, width: number): string {
  return text.length < width ? text.padStart(width) : ` ${text}`
}
