import type { ArrayInfo } from '../array/dlarray.js'
import { checkFormat, describe, positionsOf } from '../array/format.js'
import { DimensionError } from '../errors.js'

/** Which dimensions a reduction runs over: all, those with the given labels, or numbers counted from 1. */
export type Over = 'all' | string | number | readonly number[]

/** The zero-based dimensions that `over` means for this array, in ascending order. */
export function dimensionsOver(X: ArrayInfo, over: Over | undefined, call: string): number[] {
  if (over === undefined) {
    // MATLAB's default: the first dimension that is not a singleton.
    const first = X.size.findIndex((extent) => extent !== 1)
    return [first < 0 ? 0 : first]
  }
  if (over === 'all') return X.size.map((_, i) => i)
  if (typeof over === 'string') {
    checkFormatLetters(over, call)
    const missing = [...over].filter((letter) => !X.dims.includes(letter))
    if (missing.length > 0)
      throw new DimensionError({
        call,
        expects: X.dims === '' ? "dimension numbers or 'all', as the array has no labels" : `labels among '${X.dims}'`,
        got: `'${over}' for ${describe(X)}`,
        remedy:
          X.dims === ''
            ? 'Label the array with dlarray(X, format) first.'
            : `'${missing.join('')}' labels no dimension of it.`,
      })
    return positionsOf(X.dims, over)
  }
  const numbers = typeof over === 'number' ? [over] : [...over]
  for (const number of numbers)
    if (!Number.isInteger(number) || number < 1)
      throw new DimensionError({
        call,
        expects: "dimension numbers from 1, labels or 'all'",
        got: JSON.stringify(over),
        remedy: 'Dimensions are counted from 1.',
      })
  return [...new Set(numbers.map((number) => number - 1))].filter((d) => d < X.size.length).sort((a, b) => a - b)
}

function checkFormatLetters(letters: string, call: string): void {
  checkFormat([...new Set(letters)].join(''), call)
}

/** Neighbouring dimensions merged: runs that are kept and runs that are reduced, alternating. */
export interface ReductionPlan {
  /** Extents of the runs, first dimension first. */
  readonly extents: readonly number[]
  /** Whether each run is summed over. */
  readonly reduced: readonly boolean[]
  /** Number of elements that go into one result. */
  readonly terms: number
}

export function reductionPlan(size: readonly number[], over: readonly number[]): ReductionPlan {
  const extents: number[] = []
  const reduced: boolean[] = []
  let terms = 1
  size.forEach((extent, d) => {
    const here = over.includes(d)
    if (here) terms *= extent
    if (extent === 1) return
    const last = extents.length - 1
    if (last >= 0 && reduced[last] === here) extents[last]! *= extent
    else {
      extents.push(extent)
      reduced.push(here)
    }
  })
  if (extents.length === 0) {
    extents.push(1)
    reduced.push(false)
  }
  return { extents, reduced, terms }
}

/** The size with every reduced dimension 1; format and labels stay. */
export function reducedSize(size: readonly number[], over: readonly number[]): number[] {
  return size.map((extent, d) => (over.includes(d) ? 1 : extent))
}

/** Calls `visit(result index, element index)` for every element, in memory order. */
export function eachReduced({ extents, reduced }: ReductionPlan, visit: (to: number, from: number) => void): void {
  const steps: number[] = []
  let step = 1
  extents.forEach((extent, d) => {
    steps.push(reduced[d] ? 0 : step)
    if (!reduced[d]) step *= extent
  })
  const index = extents.map(() => 0)
  let total = 1
  for (const extent of extents) total *= extent
  let to = 0
  for (let from = 0; from < total; from++) {
    visit(to, from)
    for (let d = 0; d < extents.length; d++) {
      to += steps[d]!
      if (++index[d]! < extents[d]!) break
      to -= steps[d]! * extents[d]!
      index[d] = 0
    }
  }
}
