import fc from 'fast-check'
import type { DlArray } from '../../src/array/dlarray.js'
import { numel } from '../../src/array/format.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'

/** Formats in any order of labels: S and U up to twice, C, B and T up to once, at least one label. */
export const formats: fc.Arbitrary<string> = fc
  .tuple(fc.nat(2), fc.boolean(), fc.boolean(), fc.boolean(), fc.nat(2), fc.integer())
  .map(([s, c, b, t, u, order]) => {
    const labels = [...'SS'.slice(0, s), ...(c ? 'C' : ''), ...(b ? 'B' : ''), ...(t ? 'T' : ''), ...'UU'.slice(0, u)]
    return shuffled(labels, order).join('')
  })
  .filter((format) => format.length > 0)

/** Small extents, 1 often, 0 now and then. */
export const extents: fc.Arbitrary<number> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(0) },
)

/** A format and an extent for each of its labels. */
export const shapes: fc.Arbitrary<{ format: string; size: number[] }> = formats.chain((format) =>
  fc.array(extents, { minLength: format.length, maxLength: format.length }).map((size) => ({ format, size })),
)

/** Sizes of unformatted arrays. */
export const sizes: fc.Arbitrary<number[]> = fc.array(extents, { minLength: 1, maxLength: 5 })

/** An array of that size whose elements are 1, 2, 3, ... in column-major order. */
export function numbered(size: readonly number[], format = '', type: 'single' | 'double' = 'double'): DlArray {
  const values = Float64Array.from({ length: numel(size) }, (_, i) => i + 1)
  return dlarray(values, size, format, { type })
}

/** Element reader: `at(i, j, ...)`, zero-based, missing subscripts 0. */
export function reader(X: DlArray): (...at: number[]) => number {
  const values = X.values()
  return (...at) => {
    let position = 0
    let step = 1
    X.size.forEach((extent, d) => {
      position += (at[d] ?? 0) * step
      step *= extent
    })
    return values[position]!
  }
}

/** Every zero-based subscript of a size, first dimension fastest. */
export function* subscriptsOf(size: readonly number[]): Generator<number[]> {
  const at = size.map(() => 0)
  for (let i = 0; i < numel(size); i++) {
    yield [...at]
    for (let d = 0; d < size.length && ++at[d]! === size[d]; d++) at[d] = 0
  }
}

/** The list in an order drawn from a number. */
export function shuffled<T>(list: readonly T[], seed: number): T[] {
  const result = [...list]
  let state = seed >>> 0
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const j = state % (i + 1)
    ;[result[i], result[j]] = [result[j]!, result[i]!]
  }
  return result
}
