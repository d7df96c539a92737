import { createProgressBar, type ProgressBar } from './progress-bar.js'
import type { StopReason } from './training-info.js'
import type { TrainingOptions } from './training-options.js'
import { newPage, type PageSettings, type TrainingPage } from './training-page.js'
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

export interface MonitorSettings extends PageSettings {
  /** Iterations done before this run. */
  readonly done: number
  readonly metricNames: readonly string[]
}

/** Milliseconds over which the speed is averaged. */
const SPEED_INTERVAL = 1000

/** Shows a run as its options ask. */
export class TrainingMonitor {
  readonly #options: TrainingOptions
  readonly #table: VerboseTable | undefined
  readonly #bar: ProgressBar
  readonly #page: TrainingPage | undefined
  /** The last row. */
  #shown: Standing | undefined
  #speed = { since: performance.now(), observations: 0, value: undefined as number | undefined }

  /** Opens the table, the bar and the page. Errors: an {@link OptionError} where plots cannot be shown. */
  static async open(options: TrainingOptions, settings: MonitorSettings): Promise<TrainingMonitor> {
    const page = options.plots === 'training-progress' ? newPage(options, settings) : undefined
    const isBarShown = options.progress === 'auto' ? options.verbose : options.progress
    const total = isBarShown ? (settings.total ?? 0) : 0
    const bar = await createProgressBar({ total, done: settings.done, write: options.log })
    const monitor = new TrainingMonitor(options, settings, bar, page)
    if (page) {
      await page.write()
      bar.log(`Training progress: file://${page.file}`)
    }
    for (const line of monitor.#table?.header().split('\n') ?? []) bar.log(line)
    return monitor
  }

  private constructor(
    options: TrainingOptions,
    settings: MonitorSettings,
    bar: ProgressBar,
    page: TrainingPage | undefined,
  ) {
    this.#options = options
    this.#bar = bar
    this.#page = page
    if (options.verbose)
      this.#table = new VerboseTable({ validation: settings.hasValidation, metrics: settings.metricNames })
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
    return this.#page?.isDue ? this.#page.write() : undefined
  }

  /** The last line of the table, and the page as it stays. */
  async close(stopReason: StopReason): Promise<void> {
    if (this.#table) this.#bar.log(this.#table.footer(stopReason))
    this.#bar.stop()
    await this.#page?.write(stopReason)
  }

  /** Removes the bar after an error. */
  abandon(): void {
    this.#bar.stop()
  }
}
