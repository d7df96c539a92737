import { expect } from 'vitest'

/** Agreement of double results computed in another order. */
export const DOUBLE = 1e-10
/** Agreement of single results with a float64 reference, for one operation. */
export const SINGLE = 1e-5

/**
 * Expects equal lengths and, element by element, a difference of at most `tolerance` times the largest magnitude; `scale` is
 * the magnitude of what went in, where results may cancel to nearly nothing.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = '',
  scale = 1e-30,
): void {
  expect(actual.length, `${what}: number of elements`).toBe(expected.length)
  let largest = scale
  for (let i = 0; i < expected.length; i++)
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]!))
  const allowed = tolerance * largest
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!
    const b = expected[i]!
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue
    if (!(Math.abs(a - b) <= allowed))
      expect.fail(`${what}: element ${i} is ${a}, expected ${b} (difference ${Math.abs(a - b)}, allowed ${allowed})`)
  }
}
