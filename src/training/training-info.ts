import { displayObject } from '../array/display.js'
import type { TrainingCurves, ValidationCurves } from './report.js'

/** Why training stopped. */
export type StopReason =
  | 'Max epochs completed'
  | 'Validation patience met'
  | 'Stopped by output function'
  | 'Stopped by signal'
  | 'Stopped by error'

/** Values of one iteration. */
export interface IterationRecord {
  readonly iteration: number
  readonly epoch: number
  readonly loss: number
  readonly learnRate: number
  readonly metrics: Readonly<Record<string, number>>
}

export type ValidationRecord = Pick<IterationRecord, 'iteration' | 'loss' | 'metrics'>

interface Columns {
  readonly iteration: number[]
  readonly epoch: number[]
  readonly loss: number[]
  readonly learnRate: number[]
  readonly metrics: Readonly<Record<string, number[]>>
}

/** The histories of a run while it goes on. */
export class Histories {
  readonly training: Columns
  readonly validation: Omit<Columns, 'epoch' | 'learnRate'>

  constructor(metricNames: readonly string[]) {
    const lists = () => Object.fromEntries(metricNames.map((name): [string, number[]] => [name, []]))
    this.training = { iteration: [], epoch: [], loss: [], learnRate: [], metrics: lists() }
    this.validation = { iteration: [], loss: [], metrics: lists() }
  }

  addTraining({ iteration, epoch, loss, learnRate, metrics }: IterationRecord): void {
    const to = this.training
    to.iteration.push(iteration)
    to.epoch.push(epoch)
    to.loss.push(loss)
    to.learnRate.push(learnRate)
    for (const [name, list] of Object.entries(to.metrics)) list.push(metrics[name] ?? Number.NaN)
  }

  addValidation({ iteration, loss, metrics }: ValidationRecord): void {
    const to = this.validation
    to.iteration.push(iteration)
    to.loss.push(loss)
    for (const [name, list] of Object.entries(to.metrics)) list.push(metrics[name] ?? Number.NaN)
  }

  /** Every list by name, to write and to restore. */
  lists(): Record<string, number[]> {
    const { metrics, ...training } = this.training
    const { metrics: validationMetrics, ...validation } = this.validation
    const all: Record<string, number[]> = {}
    for (const [name, list] of Object.entries(training)) all[`training/${name}`] = list
    for (const [name, list] of Object.entries(metrics)) all[`training/metrics/${name}`] = list
    for (const [name, list] of Object.entries(validation)) all[`validation/${name}`] = list
    for (const [name, list] of Object.entries(validationMetrics)) all[`validation/metrics/${name}`] = list
    return all
  }
}

/** What happened in training. Lists in one history have the same length; metrics in percent are named `accuracy`. */
export class TrainingInfo {
  /** One entry for each iteration. */
  readonly trainingHistory: TrainingCurves
  /** One entry for each validation, the first at iteration 0; empty lists without validation data. */
  readonly validationHistory: ValidationCurves
  /** The iteration that the returned network comes from. */
  readonly outputNetworkIteration: number
  readonly stopReason: StopReason

  /** @internal */
  constructor(histories: Histories, outputNetworkIteration: number, stopReason: StopReason) {
    this.trainingHistory = histories.training
    this.validationHistory = histories.validation
    this.outputNetworkIteration = outputNetworkIteration
    this.stopReason = stopReason
  }

  toString(): string {
    const { trainingHistory: training, validationHistory: validation } = this
    const columns = Object.keys(training.metrics).length
    const table = (rows: number, width: number) => (rows === 0 ? '[0×0 table]' : `[${rows}×${width} table]`)
    return displayObject({
      className: 'TrainingInfo',
      groups: [
        {
          rows: [
            ['TrainingHistory', table(training.iteration.length, 4 + columns)],
            ['ValidationHistory', table(validation.iteration.length, 2 + columns)],
            ['OutputNetworkIteration', String(this.outputNetworkIteration)],
            ['StopReason', `"${this.stopReason}"`],
          ],
        },
      ],
    })
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
