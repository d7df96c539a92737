import type { DlArray } from '../array/dlarray.js'
import { normalized } from '../array/format.js'
import { plusOperation, rdivideOperation, timesOperation } from './arithmetic.js'
import { scalar } from './call.js'
import { eqOperation } from './comparison.js'
import { type Operation, operation } from './operation.js'
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
  saves: ['X', 'Y'],
  gradient: {
    X({ gradient, saved: { X, Y }, options, recording }): DlArray {
      // This form has derivatives of every order, where no element is 0; there it is not a number.
      if (recording) return rdivideOperation.run({ A: timesOperation.run({ A: gradient, B: Y }), B: X })
      // The product of the others: the product without zeros divided by the element, where no other element is 0.
      const over = dimensionsOver({ size: X.size, dims: X.dims, type: X.underlyingType }, options.over, 'prod')
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
  ],
})

/**
 * The product over some dimensions; they become 1 and the format is kept. `over` as in {@link sum}.
 *
 * Its gradient is right for zeros as well; gradients that will be differentiated again are NaN there. Errors: a {@link DimensionError} for a label the array does not have.
 * Source: MATLAB, `prod`.
 */
export function prod<F extends string, const O extends Reducible>(X: DlArray<F>, over?: SumOver<F, O>): DlArray<F> {
  return prodOperation.run({ X }, { over: over as Over | undefined }) as DlArray<F>
}
