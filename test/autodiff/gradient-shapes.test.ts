import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { scope } from '../../src/memory/scope.js'
import { cat } from '../../src/operations/arrays/concatenation.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { circshift, flip, repmat } from '../../src/operations/arrays/rearrangement.js'
import { reshape, squeeze, stripdims } from '../../src/operations/arrays/relabel.js'
import { index } from '../../src/operations/arrays/subscripts.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { mean } from '../../src/operations/reductions/mean.js'
import { softmax } from '../../src/operations/reductions/softmax.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { numbered, shapes } from '../support/arrays.js'
import { expectClose } from '../support/close.js'

// Whatever happens to an array of whatever format: its gradient has its size, its format and its class, and the gradient in
// single on WebAssembly is that in double.

const operations: Record<string, (x: DlArray, format: string) => DlArray> = {
  'times itself': (x) => times(x, x),
  'labelled again': (x) => dlarray(x, [...x.dims].reverse().join('')),
  'without labels, in another order': (x) => stripdims(x, [...x.dims].reverse().join('')),
  reshaped: (x) => reshape(x, [undefined, 1, 1]),
  squeezed: (x) => squeeze(x),
  summed: (x, format) => sum(x, format[0]!),
  averaged: (x) => (x.numel === 0 ? sum(x, 'all') : mean(x, 1)),
  rectified: (x) => relu(x),
  softmax: (x) => (x.dims.includes('C') ? softmax(x) : x),
  flipped: (x) => flip(x, x.ndims),
  shifted: (x) => circshift(x, 2),
  repeated: (x) => repmat(x, [1, 2]),
  'joined with itself': (x) => cat(x.ndims + 1, x, x),
  'its elements in one column': (x) => index(x, ':'),
  'plus its sum': (x) => plus(x, sum(x, 'all')),
}

describe('the gradient through', () => {
  it.each(Object.keys(operations))('%s has the size, format and class of the array', (name) => {
    fc.assert(
      fc.property(shapes, ({ format, size }) =>
        scope(() => {
          const gradients = (['double', 'single'] as const).map((type) => {
            const X = times(numbered(size, format, type), 0.25)
            const gradient = dlfeval((x: DlArray) => {
              const y = operations[name]!(x, format)
              return dlgradient(sum(times(y, plus(y, 1)), 'all'), x)
            }, X)
            expect(gradient.size).toEqual(X.size)
            expect(gradient.dims).toBe(X.dims)
            expect(gradient.underlyingType).toBe(type)
            return gradient.values()
          })
          expectClose(gradients[1]!, gradients[0]!, 1e-5, name, 1)
        }),
      ),
      { numRuns: 60 },
    )
  })
})

describe('a gradient that is the same along a dimension', () => {
  // What follows the sum or average meets the gradient before it is expanded, in every way that operands are expanded.
  const losses: Record<string, (x: DlArray, w: DlArray, row: DlArray) => DlArray> = {
    'a product': (x, w) => sum(times(x, w), 'all'),
    'a product with a row': (x, _, row) => sum(times(x, row), 'all'),
    'a row times a product': (x, w, row) => sum(times(times(row, x), w), 'all'),
    'an array plus its own sums': (x) => sum(plus(x, sum(x, 1)), 'all'),
    'sums times averages': (x, w) => sum(times(sum(x, 1), mean(times(x, w), 2)), 'all'),
    'an average of a sum of averages': (x) => mean(sum(times(mean(x, 1), mean(x, 1)), 2), 1),
    'products added up': (x, w, row) => plus(sum(times(x, w), 'all'), sum(times(row, x), 'all')),
    'a sum of what is used twice': (x, w) => sum(plus(times(x, w), times(x, x)), 'all'),
    'the sum alone': (x) => sum(x, 'all'),
  }

  it.each(Object.keys(losses))('is expanded where it is needed: %s', (name) => {
    for (const format of ['', 'SC'])
      scope(() => {
        const at = (shift: number) => (size: number[]) => times(plus(numbered(size, format), shift), 0.125)
        const [X, W, row] = [at(1)([3, 4]), at(-5)([3, 4]), at(2)([1, 4])]
        const loss = losses[name]!
        const [dX, dW, dRow] = dlfeval(
          (x: DlArray, w: DlArray, r: DlArray) => dlgradient(loss(x, w, r), [x, w, r]),
          X,
          W,
          row,
        ) as [DlArray, DlArray, DlArray]
        const numeric = (k: number) =>
          [X, W, row][k]!.values().map((_, i) => {
            const moved = [-1, 1].map((sign) => {
              const inputs = [X, W, row]
              const values = new Float64Array(inputs[k]!.values())
              values[i]! += sign * 1e-4
              inputs[k] = dlarray(values, inputs[k]!.size, format as 'SC', { type: 'double' })
              return loss(inputs[0]!, inputs[1]!, inputs[2]!).item()
            })
            return (moved[1]! - moved[0]!) / 2e-4
          })
        for (const [k, gradient] of [dX, dW, dRow].entries()) {
          expect(gradient.size).toEqual([X, W, row][k]!.size)
          expectClose(gradient.values(), numeric(k), 1e-7, `input ${k} in '${format}'`, 1)
        }
      })
  })

  it('is the other operand where it is 1, and outlives it', () => {
    const [X, W] = [numbered([3, 4], 'SC', 'single'), numbered([3, 4], 'SC', 'single')]
    const expected = [...W.values()]
    const gradient = dlfeval((x: DlArray) => dlgradient(sum(times(x, W), 'all'), x), X)
    W.dispose()
    expect([...gradient.values()]).toEqual(expected)
    gradient.dispose()
    X.dispose()
  })
})
