import { writeFileAtomically } from '../io/file.js'
import { type TrainingReport, trainingReport } from './report.js'
import type { Histories, StopReason } from './training-info.js'
import type { TrainingOptions } from './training-options.js'
import { withoutPages } from './training-page-browser.js'

// The page with the curves of a run: a file that is written again and again while training goes on.

export interface PageSettings {
  /** Iterations of the whole training; undefined where the data does not tell. */
  readonly total: number | undefined
  readonly hasValidation: boolean
  /** The printed layer array. */
  readonly layers: string
  readonly histories: Histories
}

/** Milliseconds between two versions of the page, and how much longer than writing one takes at least. */
const PAGE_INTERVAL = 2000
const PAGE_SHARE = 50

let pages = 0

/** A new page in the folder for temporary files. Throws an {@link OptionError} where there are no files. */
export function newPage(options: TrainingOptions, settings: PageSettings): TrainingPage {
  const builtin = globalThis.process?.getBuiltinModule
  if (typeof builtin !== 'function') throw withoutPages()
  const { join } = builtin('node:path')
  const file = join(builtin('node:os').tmpdir(), `dlnet-training-progress-${process.pid}-${++pages}.html`)
  return new TrainingPage(file, options, settings)
}

export class TrainingPage {
  readonly file: string
  readonly #options: TrainingOptions
  readonly #settings: PageSettings
  #due = 0

  constructor(file: string, options: TrainingOptions, settings: PageSettings) {
    this.file = file
    this.#options = options
    this.#settings = settings
  }

  /** Whether some time has passed since it was written. */
  get isDue(): boolean {
    return performance.now() >= this.#due
  }

  /** Writes it as the run stands; with a reason for its end it stays as it is then. */
  async write(stopReason?: StopReason): Promise<void> {
    const began = performance.now()
    const text = await trainingReport(this.#report(stopReason))
    // Until training ends, the browser loads the page again by itself.
    const live = text.replace('<title>', `<meta http-equiv="refresh" content="${PAGE_INTERVAL / 1000}"><title>`)
    const bytes = new TextEncoder().encode(stopReason === undefined ? live : text)
    await writeFileAtomically(this.file, bytes, "trainnet with plots 'training-progress'", 'outputFcn')
    const took = performance.now() - began
    this.#due = performance.now() + Math.max(PAGE_INTERVAL, PAGE_SHARE * took)
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

/** Numbers, words and switches among the options. */
function describeOptions(options: TrainingOptions): Record<string, string> {
  const entries = Object.entries(options)
    .filter(([, value]) => ['number', 'string', 'boolean'].includes(typeof value) && value !== '')
    .map(([name, value]) => [name, String(value)] as const)
  return Object.fromEntries(entries)
}
