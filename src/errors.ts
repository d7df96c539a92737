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

/** A value as messages show it, whatever it is; long ones are cut. */
export function asText(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' && typeof value !== 'string') return String(value)
  if (isInstance(value)) return `an object of class ${className(value)}`
  try {
    // What is inside is shown in the same way; a list has at least as many characters as elements.
    const text = JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, member: unknown) {
      const inside = this[key]
      if (isInstance(inside)) return asText(inside)
      return Array.isArray(inside) ? inside.slice(0, LONGEST_TEXT) : member
    })
    return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}...`
  } catch {
    return Array.isArray(value) ? 'a list' : 'an object'
  }
}

/** Whether a value is an object of a class, neither a list nor plain. */
function isInstance(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.getPrototypeOf(value) !== Object.prototype
}

/** By its tag, where a class has one: bundlers shorten the names of classes. */
export function className(value: object): string {
  const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  return typeof tag === 'string' ? tag : (value.constructor?.name ?? 'Object')
}

/** Characters of a value in a message. */
const LONGEST_TEXT = 200

/** Every error that dlnet throws: which call, what it expects, what it got, and what to do. */
export class DlnetError extends Error {
  // Written out in each class: bundlers shorten the names of classes.
  override readonly name: string = 'DlnetError'
  readonly problem: Problem

  constructor(problem: Problem, options?: ErrorOptions) {
    super(`${problem.call}: expected ${problem.expects}, but got ${problem.got}. ${problem.remedy}`, options)
    this.problem = problem
  }
}

/** Formats, sizes or numbers of elements that do not fit together. */
export class DimensionError extends DlnetError {
  override readonly name: string = 'DimensionError'
}

/** An option, property or argument outside what is accepted. */
export class OptionError extends DlnetError {
  override readonly name: string = 'OptionError'
}

/** The error for an argument of another kind than is expected. */
export function argumentError(call: string, expects: string, got: unknown, remedy: string): OptionError {
  return new OptionError({ call, expects, got: asText(got), remedy })
}

/** True for an object whose properties may be looked at. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Throws an {@link OptionError} unless options are an object with no other names than these; where one is near, it is suggested. */
export function checkOptionNames(call: string, options: unknown, names: readonly string[]): void {
  if (!isObject(options) || Array.isArray(options))
    throw argumentError(call, 'options as one object', options, `Write them as in { ${names[0] ?? 'name'}: value }.`)
  for (const name in options) if (!names.includes(name)) throw unknownOption(call, name, names)
}

/** The error for an option that there is none of. */
export function unknownOption(call: string, name: string, names: readonly string[]): OptionError {
  const meant = nearest(name, names)
  return new OptionError({
    call,
    expects: `options among ${names.join(', ') || 'none'}`,
    got: `'${name}'`,
    remedy: meant === undefined ? 'Check the spelling, or leave it out.' : `Did you mean ${meant}?`,
  })
}

/**
 * The name that is likely meant: the one that the fewest letters inserted, left out or exchanged lead to, where these are few
 * or one name contains the other.
 */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const given = name.toLowerCase().slice(0, LONGEST_TEXT)
  let best: string | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const candidate of names) {
    const known = candidate.toLowerCase()
    const edits = distance(given, known)
    const isNear =
      edits <= Math.max(given.length, known.length) / 3 ||
      (given.length > 2 && (known.includes(given) || given.includes(known)))
    if (isNear && edits < fewest) {
      best = candidate
      fewest = edits
    }
  }
  return best
}

/** How many letters to insert, leave out or exchange. Source: Levenshtein, 1966. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(row[j]! + (a[i] === b[j] ? 0 : 1), row[j + 1]! + 1, next[j]! + 1))
    row = next
  }
  return row[b.length]!
}

/** A heap that is full, or an array used after its memory was freed. */
export class MemoryError extends DlnetError {
  override readonly name: string = 'MemoryError'
}

/** A backend that is missing, lost a worker, or cannot run here. */
export class BackendError extends DlnetError {
  override readonly name: string = 'BackendError'
}

/** `dlgradient` on something that was not traced or is not a scalar. */
export class GradientError extends DlnetError {
  override readonly name: string = 'GradientError'
}

/** A network that does not fit together: names, connections, layers without sizes. */
export class NetworkError extends DlnetError {
  override readonly name: string = 'NetworkError'
}

/** A file that is missing, damaged or of another kind. */
export class FileError extends DlnetError {
  override readonly name: string = 'FileError'
}

/** Training that cannot go on: a loss that is not a number, data that ends too early. */
export class TrainingError extends DlnetError {
  override readonly name: string = 'TrainingError'
}
