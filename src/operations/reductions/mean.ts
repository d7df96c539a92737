import { checkArray, type DlArray } from '../../array/dlarray.js'
import { normalized } from '../../array/format.js'
import { asText, OptionError } from '../../errors.js'
import { minusOperation, scaled, timesOperation } from '../elementwise/arithmetic.js'
import { sqrtOperation } from '../elementwise/sqrt.js'
import { operation } from '../operation.js'
import { dimensionsOver, eachReduced, launchSum, type Over, reducedSize, reductionPlan } from './reduction.js'
import { type Reducible, type SumOver, sumOperation } from './sum.js'

export const meanOperation = operation({
  name: 'mean',
  inputs: ['X'],
  outputs: ['Y'],
  options: { over: undefined as Over | undefined },
  rule({ X }, { over }) {
    const dimensions = dimensionsOver(X, over, 'mean')
    return {
      outputs: [
        { ...normalized(reducedSize(X.size, dimensions), X.dims), type: X.type === 'logical' ? 'single' : X.type },
      ],
      plan: reductionPlan(X.size, dimensions),
    }
  },
  saves: [],
  gradient: { X: ({ gradient, plan }) => scaled(gradient, 1 / plan.terms) },
  lazyExpansion: true,
  takesProduct: true,
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      Y.fill(0)
      eachReduced(plan, (to, from) => {
        Y[to]! += X[from]!
      })
      for (let i = 0; i < Y.length; i++) Y[i]! /= plan.terms
    },
    wasm({ inputs, outputs, plan, product, wasm }) {
      launchSum(wasm, product ?? inputs.X, outputs.Y, plan, 1 / plan.terms)
    },
  },
  samples: () => [
    { inputs: { X: { size: [3, 5] } }, options: { over: 'all' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'S' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'CB' } },
    { inputs: { X: { size: [1, 6] } } },
    { inputs: { X: { size: [0, 3] } }, options: { over: [1] } },
  ],
})

/**
 * The mean over some dimensions; they become 1 and the format is kept. Over `'all'`, labels (`'S'`), dimension numbers
 * counted from 1, or by default the first dimension that is not 1. The mean of no elements is NaN.
 *
 * Errors: a {@link DimensionError} for a label the array does not have. Source: MATLAB, `mean`.
 */
export function mean<F extends string, const O extends Reducible>(X: DlArray<F>, over?: SumOver<F, O>): DlArray<F> {
  return meanOperation.run({ X }, { over: over as Over | undefined }) as DlArray<F>
}

/**
 * The variance over some dimensions: sum((x - mean)²) / (N - 1), or with `weight` 1 divided by N; with N = 1 it is 0. The
 * dimensions become 1 and the format is kept; `over` as in {@link mean}. Differentiable to any order.
 *
 * Errors: an {@link OptionError} for a weight other than 0 and 1. Source: MATLAB, `var`.
 */
export function variance<F extends string, const O extends Reducible>(
  X: DlArray<F>,
  weight: 0 | 1 = 0,
  over?: SumOver<F, O>,
): DlArray<F> {
  return varianceOver(X, weight, over as Over | undefined, 'var') as DlArray<F>
}

/** The standard deviation, the square root of the {@link variance}. Source: MATLAB, `std`. */
export function std<F extends string, const O extends Reducible>(
  X: DlArray<F>,
  weight: 0 | 1 = 0,
  over?: SumOver<F, O>,
): DlArray<F> {
  return sqrtOperation.run({ X: varianceOver(X, weight, over as Over | undefined, 'std') }) as DlArray<F>
}

function varianceOver(X: DlArray, weight: number, over: Over | undefined, call: string): DlArray {
  checkArray(X, call)
  if (weight !== 0 && weight !== 1)
    throw new OptionError({
      call,
      expects: 'the weight 0 (divide by N - 1) or 1 (divide by N)',
      got: asText(weight),
      remedy: `Write ${call === 'var' ? 'variance' : call}(X, 0, dimensions).`,
    })
  const dimensions = dimensionsOver({ size: X.size, dims: X.dims, type: X.underlyingType }, over, call)
  const { terms } = reductionPlan(X.size, dimensions)
  const numbers = dimensions.map((d) => d + 1)
  const centred = minusOperation.run({ A: X, B: meanOperation.run({ X }, { over: numbers }) })
  const squares = sumOperation.run({ X: timesOperation.run({ A: centred, B: centred }) }, { over: numbers })
  // Of no elements it is 0 / 0.
  return scaled(squares, 1 / (weight === 1 || terms === 0 ? terms : Math.max(terms - 1, 1)))
}
