import type { ArrayInfo } from '../../array/dlarray.js'
import { describe, labelOrder, normalized, strides } from '../../array/format.js'
import { DimensionError } from '../../errors.js'

/** How two arrays combine element by element: the result's size and format and, per operand, its size in those dimensions. */
export interface Expansion {
  readonly size: readonly number[]
  readonly dims: string
  /** The operands' sizes with a 1 for every dimension they lack. */
  readonly sizes: readonly [readonly number[], readonly number[]]
}

/** A loop nest over an element-wise result, neighbouring dimensions merged where every operand allows it. */
export interface LoopNest {
  readonly extents: readonly number[]
  /** Per operand the step of each loop in elements; 0 where the operand is expanded. */
  readonly steps: readonly (readonly number[])[]
}

/** For every label of `union` the extent that `array` has there: its k-th S meets the k-th S; 1 where it has none. */
export function alignedSize(array: { size: readonly number[]; dims: string }, union: string): number[] {
  const used = new Map<string, number>()
  return [...union].map((label) => {
    let skip = used.get(label) ?? 0
    used.set(label, skip + 1)
    for (let position = 0; position < array.dims.length; position++)
      if (array.dims[position] === label && skip-- === 0) return array.size[position]!
    return 1
  })
}

function unionOf(a: string, b: string): string {
  let union = ''
  for (const label of labelOrder) {
    const count = Math.max(a.split(label).length, b.split(label).length) - 1
    union += label.repeat(count)
  }
  return union
}

function padded(size: readonly number[], length: number): number[] {
  return [...size, ...Array<number>(Math.max(0, length - size.length)).fill(1)]
}

/**
 * The rule for combining arrays element by element: labels of two formatted arrays are matched, the k-th S of one with the
 * k-th S of the other; an unformatted operand is matched by position, its extra dimensions becoming U. Then each extent must
 * be equal in both or 1 in one of them. Source: MATLAB, "Implicit Expansion with Data Formats".
 *
 * Throws a {@link DimensionError} that names the dimension whose extents differ.
 */
export function expansion(a: ArrayInfo, b: ArrayInfo, call: string): Expansion {
  let dims: string
  let sizeA: number[]
  let sizeB: number[]
  if (a.dims !== '' && b.dims !== '') {
    dims = a.dims === b.dims ? a.dims : unionOf(a.dims, b.dims)
    sizeA = alignedSize(a, dims)
    sizeB = alignedSize(b, dims)
  } else {
    const count = Math.max(a.size.length, b.size.length)
    dims = a.dims || b.dims
    if (dims !== '') dims = dims.padEnd(count, 'U')
    sizeA = padded(a.size, count)
    sizeB = padded(b.size, count)
  }
  const size = sizeA.map((extent, position) => {
    const other = sizeB[position]!
    if (extent === other || other === 1) return extent
    if (extent === 1) return other
    throw new DimensionError({
      call,
      expects: `equal extents, or an extent of 1, in dimension ${position + 1}${dims ? ` (${dims[position]})` : ''}`,
      got: `${extent} and ${other}, combining ${describe(a)} with ${describe(b)}`,
      remedy:
        'Arrays have incompatible sizes for this operation: give the dimensions equal extents, or labels that tell them apart.',
    })
  })
  const result = normalized(size, dims)
  return {
    ...result,
    sizes: [sizeA.slice(0, Math.max(size.length, 2)), sizeB.slice(0, Math.max(size.length, 2))],
  }
}

/** The loops of an element-wise result of `size` over operands of `sizes`, as few and as long as possible. */
export function loopNest(size: readonly number[], sizes: readonly (readonly number[])[]): LoopNest {
  const natural = sizes.map((operand) => strides(operand))
  const extents: number[] = []
  const steps: number[][] = sizes.map(() => [])
  for (let d = 0; d < size.length; d++) {
    const extent = size[d]!
    if (extent === 1) continue
    const here = sizes.map((operand, k) => ((operand[d] ?? 1) === 1 ? 0 : natural[k]![d]!))
    const last = extents.length - 1
    const joins = last >= 0 && here.every((step, k) => step === steps[k]![last]! * extents[last]!)
    if (joins) extents[last]! *= extent
    else {
      extents.push(extent)
      here.forEach((step, k) => {
        steps[k]!.push(step)
      })
    }
  }
  if (extents.length === 0) {
    extents.push(1)
    for (const step of steps) step.push(0)
  }
  return { extents, steps }
}

/** Calls `visit(result index, operand indices...)` for every element of a two-operand nest, first dimension fastest. */
export function eachPair({ extents, steps }: LoopNest, visit: (to: number, a: number, b: number) => void): void {
  const [stepA, stepB] = steps as [readonly number[], readonly number[]]
  const index = extents.map(() => 0)
  let total = 1
  for (const extent of extents) total *= extent
  let a = 0
  let b = 0
  for (let to = 0; to < total; to++) {
    visit(to, a, b)
    for (let d = 0; d < extents.length; d++) {
      a += stepA[d]!
      b += stepB[d]!
      if (++index[d]! < extents[d]!) break
      a -= stepA[d]! * extents[d]!
      b -= stepB[d]! * extents[d]!
      index[d] = 0
    }
  }
}
