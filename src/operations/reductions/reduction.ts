import type { ArrayInfo } from '../../array/dlarray.js'
import { checkFormat, describe, positionsOf } from '../../array/format.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import { asText, DimensionError } from '../../errors.js'

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
    // Singleton U dimensions at the end of a formatted array are not stored, but are there.
    const there = X.dims === '' ? '' : `${X.dims}U`
    const missing = [...over].filter((letter) => !there.includes(letter))
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
  const numbers = Array.isArray(over) ? over : [over]
  for (const number of numbers)
    if (!Number.isInteger(number) || number < 1)
      throw new DimensionError({
        call,
        expects: "dimension numbers from 1, labels or 'all'",
        got: asText(over),
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

/** What a reduction computes, in the order of the kernel's codes. */
export const reductions = ['sum', 'product', 'max', 'min', 'sumOfProducts'] as const
export type Reduction = (typeof reductions)[number]

/** Terms that one piece of a long reduction has; the number of pieces depends on sizes alone. */
const PART_SIZE = 16384
/** With this many results there is work for all threads without cutting reductions into pieces. */
const ENOUGH_RESULTS = 64
/** Elements that a thread takes at once: many, which lie one behind the other, in sixteen turns where the array is small. */
const GRAIN = { least: 16384, most: 1048576, turns: 16 }
/** Runs of reduced dimensions that the kernel takes in one launch. */
const KERNEL_RUNS = 3

/**
 * y = factor * reduction(x) over the plan's reduced runs, float32 in the heap. For a sum of products, `other` is the address
 * of the elements that those of x are multiplied by.
 */
export function launchReduction(
  wasm: WasmBackend,
  reduction: Reduction,
  x: number,
  y: number,
  plan: ReductionPlan,
  factor = 1,
  other = 0,
): void {
  const { kept, reduced } = runsOf(plan)
  if (reduced.length > KERNEL_RUNS) {
    // Rare: first over the leading runs, then over what is left.
    const first = { ...plan, reduced: plan.reduced.map((is, i) => is && i < 2 * KERNEL_RUNS) }
    const size = plan.extents.map((extent, i) => (first.reduced[i] ? 1 : extent))
    const over = plan.reduced.flatMap((is, i) => (is && !first.reduced[i] ? [i] : []))
    const bytes = 4 * size.reduce((a, b) => a * b, 1)
    wasm.withTemporary(bytes, (middle) => {
      launchReduction(wasm, reduction, x, middle, reductionPlan(plan.extents, indicesOf(first.reduced)), 1, other)
      const rest = reduction === 'sumOfProducts' ? 'sum' : reduction
      launchReduction(wasm, rest, middle, y, reductionPlan(size, over), factor)
    })
    return
  }
  const results = kept.reduce((a, b) => a * b, 1)
  const terms = reduced.reduce((a, b) => a * b, 1)
  if (results === 0) return
  if (terms === 0) {
    // Nothing to reduce: the neutral element; NaN where there is none, and for a mean, whose factor is 1 / 0.
    const neutral = reduction === 'product' ? 1 : reduction === 'max' || reduction === 'min' ? Number.NaN : 0
    const value = neutral * factor
    wasm.launch('fill', { y, value }, { items: results, grain: GRAIN.least })
    return
  }
  const parts = results >= ENOUGH_RESULTS ? 1 : Math.max(1, Math.ceil(terms / PART_SIZE))
  const launch = (partials: number) => {
    const block = {
      x,
      other,
      y,
      partials,
      code: reductions.indexOf(reduction),
      kept0: kept[0]!,
      reduced0: reduced[0] ?? 1,
      kept1: kept[1] ?? 1,
      reduced1: reduced[1] ?? 1,
      kept2: kept[2] ?? 1,
      reduced2: reduced[2] ?? 1,
      kept3: kept[3] ?? 1,
      parts,
      partSize: PART_SIZE,
      factor,
    }
    if (parts === 1) block.partSize = Math.max(terms, 1)
    const termsEach = Math.max(1, Math.min(terms, block.partSize))
    const grain = Math.min(GRAIN.most, Math.max(GRAIN.least, (results * terms) / GRAIN.turns))
    // Items that follow each other in memory may be reduced as soon as a launch before this one has written them.
    const isInOrder = kept[0] === 1 && reduced.length === 1 && (parts === 1 || results === 1)
    const isJoined =
      isInOrder &&
      wasm.held.take(
        (held) => wasm.withBlock('reduce', block, (address) => held.run({ address, span: termsEach })),
        (held) => [x, other].includes(held.y) && held.length === results * terms && held.canReduce(termsEach),
      )
    if (!isJoined)
      wasm.launch('reduce', block, { items: results * parts, grain: Math.max(1, Math.ceil(grain / termsEach)) })
    if (parts > 1) wasm.launch('reduceJoin', block, { items: results, grain: GRAIN.least })
  }
  if (parts > 1) wasm.withTemporary(8 * results * parts, launch)
  else launch(0)
}

/** y = factor * sum(x), or the sum of the products of two arrays, over the plan's reduced runs, float32 in the heap. */
export function launchSum(
  wasm: WasmBackend,
  x: number | readonly [number, number],
  y: number,
  plan: ReductionPlan,
  factor = 1,
): void {
  if (typeof x === 'number') launchReduction(wasm, 'sum', x, y, plan, factor)
  else launchReduction(wasm, 'sumOfProducts', x[0], y, plan, factor, x[1])
}

/** The runs as the kernel counts them: kept and reduced ones in turn, beginning with a kept one (1 when there is none). */
function runsOf({ extents, reduced }: ReductionPlan): { kept: number[]; reduced: number[] } {
  const runs = { kept: [] as number[], reduced: [] as number[] }
  extents.forEach((extent, i) => {
    if (i === 0 && reduced[0]) runs.kept.push(1)
    if (reduced[i]) runs.reduced.push(extent)
    else runs.kept.push(extent)
  })
  return runs
}

function indicesOf(flags: readonly boolean[]): number[] {
  return flags.flatMap((is, i) => (is ? [i] : []))
}
