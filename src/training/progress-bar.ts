/**
 * A progress bar for training, on the terminal only. It stands on the line below whatever was printed last and never
 * appears in a file, a pipe or a continuous-integration log; in a browser it does nothing.
 */

import type { SingleBar } from 'cli-progress'
import { formatShortG } from '../array/number-display.js'
import { linesOnly } from './progress-bar-browser.js'
import { formatDuration } from './verbose-table.js'

export interface ProgressBarOptions {
  /** Iterations of the whole training. */
  readonly total: number
  /** Iterations already done when training begins, as after a checkpoint. Default 0. */
  readonly done?: number
  /** Prints one line of text, without its line break; the verbose table goes through it. Default `console.log`. */
  readonly write?: (line: string) => void
  /** Where the bar is drawn. Default `process.stderr`, if it is a terminal. */
  readonly stream?: NodeJS.WriteStream
}

export interface ProgressUpdate {
  readonly imagesPerSecond?: number
  readonly loss?: number
}

export interface ProgressBar {
  /** Moves the bar; calls faster than the bar is redrawn cost nothing. */
  update(iteration: number, update?: ProgressUpdate): void
  /** Prints a line above the bar. */
  log(line: string): void
  /** Removes the bar. To be called however training ends. */
  stop(): void
}

const REDRAWS_PER_SECOND = 8
/** Characters. */
const NARROWEST_BAR = 5
const WIDEST_BAR = 30

/** The bar; or, without a terminal or without the optional package `cli-progress`, something that only prints lines. */
export async function createProgressBar(options: ProgressBarOptions): Promise<ProgressBar> {
  const lines = linesOnly(options)
  const stream = options.stream ?? terminal()
  const library = stream?.isTTY && options.total > 0 ? await loadLibrary() : undefined
  if (stream === undefined || library === undefined) return lines
  return new TerminalBar(library, stream, lines.log, options)
}

type Library = typeof import('cli-progress')

async function loadLibrary(): Promise<Library | undefined> {
  // A specifier that is not a literal keeps the package, which needs Node, out of browser bundles.
  const packageName: string = 'cli-progress'
  try {
    const { default: library }: { default: Library } = await import(/* @vite-ignore */ packageName)
    return library
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

function terminal(): NodeJS.WriteStream | undefined {
  if (typeof process === 'undefined' || process.stderr === undefined) return undefined
  const isAutomatic = process.env.CI !== undefined || process.env.TERM === 'dumb'
  return process.stderr.isTTY && !isAutomatic ? process.stderr : undefined
}

interface Payload extends ProgressUpdate {
  /** Seconds, once it can be told. */
  readonly left?: number
}

class TerminalBar implements ProgressBar {
  readonly #bar: SingleBar
  readonly #write: (line: string) => void
  readonly #total: number
  readonly #done: number
  readonly #began = performance.now()
  #iteration: number
  #payload: Payload = {}
  #stopped = false

  constructor(
    library: Library,
    stream: NodeJS.WriteStream,
    write: (line: string) => void,
    { total, done = 0 }: ProgressBarOptions,
  ) {
    this.#write = write
    this.#total = total
    this.#done = done
    this.#iteration = done
    this.#bar = new library.SingleBar({
      stream,
      fps: REDRAWS_PER_SECOND,
      // Training may keep the event loop busy for long, so that no timer fires.
      synchronousUpdate: true,
      clearOnComplete: true,
      linewrap: false,
      // Signals belong to the program.
      gracefulExit: false,
      format: (_, { value, maxWidth }, payload: Payload) => progressLine(value, total, maxWidth ?? 80, payload),
    })
    this.#show()
  }

  update(iteration: number, update: ProgressUpdate = {}): void {
    if (this.#stopped) return
    const seconds = (performance.now() - this.#began) / 1000
    const progress = iteration - this.#done
    const left = progress > 0 ? (seconds / progress) * Math.max(0, this.#total - iteration) : undefined
    this.#iteration = iteration
    this.#payload = { ...update, left }
    this.#bar.update(iteration, this.#payload)
  }

  log(line: string): void {
    if (!this.#stopped) this.#bar.stop()
    this.#write(line)
    if (!this.#stopped) this.#show()
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#bar.stop()
  }

  #show(): void {
    this.#bar.start(this.#total, this.#iteration, this.#payload)
  }
}

/** One line of at most `width` characters: how far, how fast, how long still. */
export function progressLine(iteration: number, total: number, width: number, payload: Payload): string {
  const fraction = Math.min(1, Math.max(0, iteration / total))
  const facts = [`${iteration}/${total}`]
  if (payload.imagesPerSecond !== undefined) facts.push(`${Math.round(payload.imagesPerSecond)} images/s`)
  if (payload.left !== undefined) facts.push(`${formatDuration(Math.ceil(payload.left))} left`)
  if (payload.loss !== undefined) facts.push(`loss ${formatShortG(payload.loss)}`)
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5)
  const rest = facts.join('  ')
  const barWidth = Math.min(WIDEST_BAR, width - percent.length - rest.length - 4)
  if (barWidth < NARROWEST_BAR) return `${percent}  ${rest}`.slice(0, width)
  const full = Math.floor(fraction * barWidth)
  return `${percent} ${'█'.repeat(full)}${'░'.repeat(barWidth - full)}  ${rest}`
}
