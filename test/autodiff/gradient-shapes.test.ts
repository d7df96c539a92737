import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { scope } from '../../src/memory/scope.js'
import { plus, times } from '../../src/operations/arithmetic.js'
import { cat } from '../../src/operations/concatenation.js'
import { dlarray } from '../../src/operations/dlarray.js'
import { mean } from '../../src/operations/mean.js'
import { reshape, squeeze, stripdims } from '../../src/operations/relabel.js'
import { relu } from '../../src/operations/relu.js'
import { softmax } from '../../src/operations/softmax.js'
import { circshift, flip, index, repmat } from '../../src/operations/subscripts.js'
import { sum } from '../../src/operations/sum.js'
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
