import type { Clock } from './clock.js'
import type { Task } from './task.js'

// One JSON object a line: the benchmark asks on a contender's standard input, the contender answers on its standard output.
// A contender first says hello (or why it cannot start) unasked.

export type Request =
  /** `warmUp`: milliseconds of calls before the first that counts. */
  | { readonly ask: 'prepare'; readonly task: Task; readonly warmUp: number }
  /** So many timed calls; `settling`: after one that is not. */
  | {
      readonly ask: 'time'
      readonly calls: number
      readonly settling: boolean
      readonly reusing: boolean
      readonly clock: Clock
    }
  | { readonly ask: 'release' }

/** Enough of an array to tell whether two libraries computed the same. */
export interface Sketch {
  readonly length: number
  /** Root of the mean square of all elements. */
  readonly rms: number
  /** {@link SKETCH_LENGTH} elements or fewer, evenly spread: element floor(i * length / count). */
  readonly values: readonly number[]
}

export const SKETCH_LENGTH = 2000

export interface Hello {
  readonly version: string
  readonly threads: number
}
export interface Ready {
  readonly outputs: Readonly<Record<string, Sketch>>
  /** Of one call after warming up. */
  readonly milliseconds: number
  /** Whether reusing the outputs is another call. */
  readonly reuses: boolean
}
export interface Times {
  readonly milliseconds: readonly number[]
}
export interface Refusal {
  readonly unsupported: string
}
export interface Failure {
  readonly failure: string
}

export function sketch(values: Float32Array): Sketch {
  let squares = 0
  for (const value of values) squares += value * value
  const count = Math.min(SKETCH_LENGTH, values.length)
  const picked = Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!)
  // JSON has no word for these, and a library that gives them must not pass for one that gives numbers.
  const finite = picked.map((value) => (Number.isFinite(value) ? value : 1e300))
  return { length: values.length, rms: Math.sqrt(squares / Math.max(1, values.length)), values: finite }
}

/** Largest difference between two results, relative to their size; Infinity when they are not the same thing at all. */
export function difference(
  one: Readonly<Record<string, Sketch>>,
  other: Readonly<Record<string, Sketch>>,
): { readonly output: string; readonly relative: number } {
  let worst = { output: '', relative: 0 }
  for (const [output, a] of Object.entries(one)) {
    const b = other[output]
    if (!b || b.length !== a.length) return { output, relative: Number.POSITIVE_INFINITY }
    const scale = Math.max(a.rms, 1e-30)
    let relative = Math.abs(a.rms - b.rms) / scale
    for (const [i, value] of a.values.entries()) relative = Math.max(relative, Math.abs(value - b.values[i]!) / scale)
    if (!(relative <= worst.relative)) worst = { output, relative }
  }
  return worst
}
