import { OptionError } from '../errors.js'
import { writeFileAtomically } from '../io/file.js'
import { createProgressBar, type ProgressBar } from './progress-bar.js'
import { type TrainingReport, trainingReport } from './report.js'
import type { Histories, StopReason } from './training-info.js'
import type { TrainingOptions } from './training-options.js'
import type { StepResult } from './training-step.js'
import { VerboseTable } from './verbose-table.js'

// What a run shows of itself: the table, the progress bar, the page with the curves.

/** Where a run stands, for a row of the table. */
export interface Standing {
  readonly iteration: number
  readonly epoch: number
  readonly learnRate: number
  /** Seconds since training began. */
  readonly timeElapsed: number
  readonly training?: StepResult
  readonly validation?: StepResult
}

export interface MonitorSettings {
  /** Iterations of the whole training; undefined where the data does not tell. */
  readonly total: number | undefined
  /** Iterations done before this run. */
  readonly done: number
  readonly hasValidation: boolean
  readonly metricNames: readonly string[]
  readonly layers: string
  readonly histories: Histories
}

/** Milliseconds between two versions of the page, and how much longer than writing one takes at least. */
const PAGE_INTERVAL = 2000
const PAGE_SHARE = 50
/** Milliseconds over which the speed is averaged. */
const SPEED_INTERVAL = 1000

let pages = 0

/** Shows a run as its options ask. */
export class TrainingMonitor {
  readonly #options: TrainingOptions
  readonly #settings: MonitorSettings
  readonly #table: VerboseTable | undefined
  readonly #bar: ProgressBar
  readonly #page: string | undefined
  /** The last row. */
  #shown: Standing | undefined
  #pageDue = 0
  #speed = { since: performance.now(), observations: 0, value: undefined as number | undefined }

  /** Opens the table, the bar and the page. Errors: an {@link OptionError} where plots cannot be shown. */
  static async open(options: TrainingOptions, settings: MonitorSettings): Promise<TrainingMonitor> {
    const page = options.plots === 'training-progress' ? newPage() : undefined
    const isBarShown = options.progress === 'auto' ? options.verbose : options.progress
    const total = isBarShown ? (settings.total ?? 0) : 0
    const bar = await createProgressBar({ total, done: settings.done, write: options.log })
    const monitor = new TrainingMonitor(options, settings, bar, page)
    if (page) {
      await monitor.#writePage(undefined)
      bar.log(`Training progress: file://${page}`)
    }
    return monitor
  }

  private constructor(options: TrainingOptions, settings: MonitorSettings, bar: ProgressBar, page: string | undefined) {
    this.#options = options
    this.#settings = settings
    this.#bar = bar
    this.#page = page
    if (!options.verbose) return
    this.#table = new VerboseTable({ validation: settings.hasValidation, metrics: settings.metricNames })
    for (const line of this.#table.header().split('\n')) bar.log(line)
  }

  /** Prints the row of an iteration when it is due: the first, every so many, those with validation, and the last. */
  row(standing: Standing, isLast = false): void {
    const { iteration } = standing
    const isDue = iteration === 1 || iteration % this.#options.verboseFrequency === 0
    if (!this.#table || (!isDue && !isLast && !standing.validation)) return
    const isRepeated = this.#shown?.iteration === iteration && this.#shown.validation === standing.validation
    if (isRepeated) return
    this.#shown = standing
    this.#bar.log(
      this.#table.row({
        iteration,
        epoch: standing.epoch,
        timeElapsed: standing.timeElapsed,
        learnRate: standing.learnRate,
        trainingLoss: standing.training?.loss,
        validationLoss: standing.validation?.loss,
        trainingMetrics: standing.training?.metrics,
        validationMetrics: standing.validation?.metrics,
      }),
    )
  }

  /** Moves the bar. */
  progress(iteration: number, observations: number, loss: number): void {
    const speed = this.#speed
    speed.observations += observations
    const milliseconds = performance.now() - speed.since
    if (milliseconds >= SPEED_INTERVAL || speed.value === undefined)
      speed.value = (1000 * speed.observations) / Math.max(milliseconds, 1)
    if (milliseconds >= SPEED_INTERVAL) {
      speed.since = performance.now()
      speed.observations = 0
    }
    this.#bar.update(iteration, { imagesPerSecond: speed.value, loss })
  }

  /** Writes the page again when some time has passed. */
  page(): Promise<void> | undefined {
    return this.#page !== undefined && performance.now() >= this.#pageDue ? this.#writePage(undefined) : undefined
  }

  /** The last line of the table, and the page as it stays. */
  async close(stopReason: StopReason): Promise<void> {
    if (this.#table) this.#bar.log(this.#table.footer(stopReason))
    this.#bar.stop()
    if (this.#page) await this.#writePage(stopReason)
  }

  /** Removes the bar after an error. */
  abandon(): void {
    this.#bar.stop()
  }

  async #writePage(stopReason: StopReason | undefined): Promise<void> {
    const began = performance.now()
    const text = await trainingReport(this.#report(stopReason))
    // Until training ends, the browser loads the page again by itself.
    const live = text.replace('<title>', `<meta http-equiv="refresh" content="${PAGE_INTERVAL / 1000}"><title>`)
    const bytes = new TextEncoder().encode(stopReason === undefined ? live : text)
    await writeFileAtomically(this.#page!, bytes, "trainnet with plots 'training-progress'", 'outputFcn')
    const took = performance.now() - began
    this.#pageDue = performance.now() + Math.max(PAGE_INTERVAL, PAGE_SHARE * took)
  }

  #report(stopReason: StopReason | undefined): TrainingReport {
    const { histories, hasValidation, layers, total } = this.#settings
    const { training, validation } = histories
    const iterations = training.iteration.length
    const results: Record<string, string> = {
      State: stopReason === undefined ? 'training' : `stopped: ${stopReason}`,
      Iterations: total === undefined ? String(iterations) : `${iterations} of ${total}`,
    }
    const last = training.loss.at(-1)
    if (last !== undefined) results['Training loss'] = last.toPrecision(5)
    const validated = validation.loss.at(-1)
    if (validated !== undefined) results['Validation loss'] = validated.toPrecision(5)
    return {
      title: 'Training progress',
      layers,
      trainingHistory: training,
      validationHistory: hasValidation ? validation : undefined,
      options: describeOptions(this.#options),
      results,
    }
  }
}

/** The file of a new page, in the folder for temporary files. */
function newPage(): string {
  const builtin = globalThis.process?.getBuiltinModule
  if (typeof builtin !== 'function')
    throw new OptionError({
      call: 'trainnet',
      expects: "plots 'training-progress' in Node, where the page is a file",
      got: 'an environment without files',
      remedy: 'Draw the curves yourself: outputFcn is told the loss and the metrics of each iteration.',
    })
  const { join } = builtin('node:path')
  return join(builtin('node:os').tmpdir(), `dlnet-training-progress-${process.pid}-${++pages}.html`)
}

/** Numbers, words and switches among the options. */
function describeOptions(options: TrainingOptions): Record<string, string> {
  const entries = Object.entries(options)
    .filter(([, value]) => ['number', 'string', 'boolean'].includes(typeof value) && value !== '')
    .map(([name, value]) => [name, String(value)] as const)
  return Object.fromEntries(entries)
}
