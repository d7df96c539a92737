/**
 * Every error dlnet raises on purpose, worded in four parts: which call, what it expects, what it got, what to do.
 * The class says what a program might do differently.
 */

/** The four parts of a message. `got` and `remedy` may be several lines. */
export interface Problem {
  /** The call that was made: `dlconv`, `imageInputLayer`, `trainnet`. */
  readonly call: string
  /** What it expects, as a clause: `the filters have as many channels as the image`. */
  readonly expects: string
  /** What it got: `3 channels in the filters and 7 in the image (SSCB, 32 x 32 x 7 x 16)`. */
  readonly got: string
  /** What to do about it: `Give filters for 7 channels.` */
  readonly remedy: string
}

/** A value as messages show it, whatever it is. */
export function asText(value: unknown): string {
  if (typeof value === 'number') return String(value)
  const isRecord = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) !== Object.prototype
  if (isRecord && !Array.isArray(value)) return `an object of class ${value.constructor?.name ?? 'Object'}`
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

/** Every error that dlnet throws: which call, what it expects, what it got, and what to do. */
export class DlnetError extends Error {
  readonly problem: Problem

  constructor(problem: Problem, options?: ErrorOptions) {
    super(`${problem.call}: expected ${problem.expects}, but got ${problem.got}. ${problem.remedy}`, options)
    this.name = new.target.name
    this.problem = problem
  }
}

/** Formats, sizes or numbers of elements that do not fit together. */
export class DimensionError extends DlnetError {}

/** An option, property or argument outside what is accepted. */
export class OptionError extends DlnetError {}

/** A heap that is full, or an array used after its memory was freed. */
export class MemoryError extends DlnetError {}

/** A backend that is missing, lost a worker, or cannot run here. */
export class BackendError extends DlnetError {}

/** `dlgradient` on something that was not traced or is not a scalar. */
export class GradientError extends DlnetError {}

/** A network that does not fit together: names, connections, layers without sizes. */
export class NetworkError extends DlnetError {}

/** A file that is missing, damaged or of another kind. */
export class FileError extends DlnetError {}

/** Training that cannot go on: a loss that is not a number, data that ends too early. */
export class TrainingError extends DlnetError {}
