import type { DlArray } from '../../array/dlarray.js'
import { normalized } from '../../array/format.js'
import { catOperation } from '../arrays/concatenation.js'
import { select } from '../arrays/selection.js'
import { scalar } from '../call.js'
import { plusOperation, rdivideOperation, timesOperation } from '../elementwise/arithmetic.js'
import { eqOperation } from '../elementwise/comparison.js'
import { type Operation, operation } from '../operation.js'
import { dimensionsOver, eachReduced, launchReduction, type Over, reducedSize, reductionPlan } from './reduction.js'
import { type Reducible, type SumOver, sumOperation } from './sum.js'

export const prodOperation: Operation<'X', never, 'Y', { over: Over | undefined }> = operation({
  name: 'prod',
  inputs: ['X'],
  outputs: ['Y'],
  options: { over: undefined as Over | undefined },
  rule({ X }, { over }) {
    const dimensions = dimensionsOver(X, over, 'prod')
    return {
      outputs: [
        { ...normalized(reducedSize(X.size, dimensions), X.dims), type: X.type === 'logical' ? 'single' : X.type },
      ],
      plan: reductionPlan(X.size, dimensions),
    }
  },
  saves: ['X'],
  gradient: {
    X({ gradient, saved: { X }, options, recording }): DlArray {
      const over = dimensionsOver({ size: X.size, dims: X.dims, type: X.underlyingType }, options.over, 'prod')
      if (recording) {
        const others = productOfOthers(X, over)
        return others ? timesOperation.run({ A: others, B: gradient }) : gradient
      }
      // The product of the others: the product without zeros divided by the element, where no other element is 0.
      const numbers = { over: over.map((d) => d + 1) }
      const isZero = eqOperation.run({ A: X, B: scalar(0, X.underlyingType) })
      const nonzero = plusOperation.run({ A: X, B: isZero })
      const quotient = rdivideOperation.run({ A: prodOperation.run({ X: nonzero }, numbers), B: nonzero })
      const zeros = sumOperation.run({ X: isZero }, numbers)
      const others = timesOperation.run({ A: quotient, B: eqOperation.run({ A: isZero, B: zeros }) })
      return timesOperation.run({ A: others, B: gradient })
    },
  },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      Y.fill(1)
      eachReduced(plan, (to, from) => {
        Y[to]! *= X[from]!
      })
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchReduction(wasm, 'product', inputs.X, outputs.Y, plan)
    },
  },
  samples: () => [
    { inputs: { X: { size: [3, 5], values: (i) => 0.5 + ((i * 7) % 5) / 3 } }, options: { over: 'all' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'S' } },
    { inputs: { X: { size: [5, 3], values: (i) => i - 3.5 } }, options: { over: [1] } },
    { inputs: { X: { size: [1, 6] } } },
    { inputs: { X: { size: [3, 4, 2], values: (i) => i % 5 } }, options: { over: [1, 3] } },
    { inputs: { X: { size: [7, 1], values: (i) => (i % 3) - 1 } }, options: { over: 'all' } },
    { inputs: { X: { size: [0, 2] } }, options: { over: [1] } },
  ],
})

// --- The product of the others, made of products ------------------------------------------------------------------------

/** For each element, the product of the others over these dimensions (zero-based); undefined where there are none. */
function productOfOthers(X: DlArray, over: readonly number[]): DlArray | undefined {
  const [dimension, ...rest] = over
  if (dimension === undefined) return undefined
  if (rest.length === 0) return othersAlong(X, dimension)
  const within = productOfOthers(X, rest)
  const beside = othersAlong(prodOperation.run({ X }, { over: rest.map((d) => d + 1) }), dimension)
  return within && beside ? timesOperation.run({ A: within, B: beside }) : (within ?? beside)
}

/**
 * Along one dimension: pairs are multiplied until one is left; on the way back, what an element lacks is what its pair lacks,
 * times the other of the pair. No division: zeros are numbers like any other, in derivatives of every order.
 */
function othersAlong(X: DlArray, dimension: number): DlArray | undefined {
  // An extent of 1 at the end is not stored.
  const count = X.size[dimension] ?? 1
  if (count === 1) return undefined
  if (count === 0) return X
  const half = Math.floor(count / 2)
  const [first, second] = [part(X, dimension, 0, half), part(X, dimension, half, 2 * half)]
  const join = (A: DlArray, B: DlArray) => catOperation.run({ X1: A, X2: B }, { dimension })
  const isOdd = count % 2 === 1
  const pairs = timesOperation.run({ A: first, B: second })
  const others = othersAlong(isOdd ? join(pairs, part(X, dimension, count - 1, count)) : pairs, dimension)
  if (!others) return join(second, first)
  const ofPairs = isOdd ? part(others, dimension, 0, half) : others
  const both = join(timesOperation.run({ A: ofPairs, B: second }), timesOperation.run({ A: ofPairs, B: first }))
  return isOdd ? join(both, part(others, dimension, half, half + 1)) : both
}

/** Elements `begin` to `end` (not included) along a dimension. */
function part(X: DlArray, dimension: number, begin: number, end: number): DlArray {
  return select(
    X,
    X.size.map((extent, d) => {
      const [from, to] = d === dimension ? [begin, end] : [0, extent]
      return Array.from({ length: to - from }, (_, k) => from + k)
    }),
  )
}

/**
 * The product over some dimensions; they become 1 and the format is kept. `over` as in {@link sum}.
 *
 * Its derivatives of every order are right for zeros as well. Errors: a {@link DimensionError} for a label the array does not
 * have.
 * Source: MATLAB, `prod`.
 */
export function prod<F extends string, const O extends Reducible>(X: DlArray<F>, over?: SumOver<F, O>): DlArray<F> {
  return prodOperation.run({ X }, { over: over as Over | undefined }) as DlArray<F>
}
