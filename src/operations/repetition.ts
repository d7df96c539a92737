import type { ArrayInfo } from '../array/dlarray.js'

// What rules found for calls that come again. A rule is a function of sizes, labels, classes and options alone, and loops make
// the same calls in the same order over and over.

/** A call and what its rule found. */
export interface Finding<O, P> {
  readonly inputs: readonly (ArrayInfo | undefined)[]
  /** Every option. */
  readonly options: O
  readonly outputs: readonly ArrayInfo[]
  readonly plan: P
}

/** More different calls of one operation than most networks make. */
const MOST = 64
/** Longer lists are data, not a description. */
const LONGEST = 64

/** The findings of one operation; the latest of them when there are many. */
export class Findings<O extends object, F extends Finding<O, unknown>> {
  readonly #list: F[] = []
  /** Where the next call is expected: behind the one before. */
  #next = 0

  /** `defaults` holds every option. */
  constructor(private readonly defaults: O) {}

  /** What was found for such a call; options left out have their defaults. */
  find(inputs: readonly (ArrayInfo | undefined)[], options: Partial<O> | undefined): F | undefined {
    const list = this.#list
    let at = this.#next
    for (let looked = 0; looked < list.length; looked++) {
      if (at >= list.length) at = 0
      const finding = list[at++]!
      if (sameInputs(finding.inputs, inputs) && this.#sameOptions(finding.options, options)) {
        this.#next = at
        return finding
      }
    }
    return undefined
  }

  #sameOptions(known: O, given: Partial<O> | undefined): boolean {
    if (given === undefined) return known === this.defaults || same(known, this.defaults)
    for (const key in known) {
      const value = given[key]
      if (!same(known[key], value === undefined ? this.defaults[key] : value)) return false
    }
    for (const key in given) if (!(key in known)) return false
    return true
  }

  /** Remembers a finding, unless its options hold more than a few plain values: those might be large. */
  keep(finding: F): void {
    if (!isPlain(finding.options)) return
    const at = this.#list.length < MOST ? this.#list.length : this.#next % MOST
    this.#list[at] = finding
    this.#next = at + 1
  }
}

function sameInputs(some: readonly (ArrayInfo | undefined)[], others: readonly (ArrayInfo | undefined)[]): boolean {
  for (let i = 0; i < some.length; i++) {
    const a = some[i]
    const b = others[i]
    if (a === undefined || b === undefined) {
      if (a !== b) return false
    } else if (a.dims !== b.dims || a.type !== b.type || !same(a.size, b.size)) return false
  }
  return true
}

/** Equal values: numbers and texts, or lists and records of equal values. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!same(a[i], b[i])) return false
    return true
  }
  if (!isRecord(a) || !isRecord(b)) return false
  let count = 0
  for (const key in a) {
    if (!same(a[key], b[key])) return false
    count++
  }
  for (const _ in b) count--
  return count === 0
}

function isPlain(value: unknown): boolean {
  if (typeof value === 'function') return false
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.length <= LONGEST && value.every(isPlain)
  return isRecord(value) && Object.values(value).every(isPlain)
}

function isRecord(value: object): value is Readonly<Record<string, unknown>> {
  return Object.getPrototypeOf(value) === Object.prototype
}
