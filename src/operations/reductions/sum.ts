import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { type Known, normalized, strides } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { alignedSize, loopNest } from '../arrays/expansion.js'
import { copyRegion, launchCopy } from '../arrays/movement.js'
import { relabelOperation } from '../arrays/relabel.js'
import { operation } from '../operation.js'
import { dimensionsOver, eachReduced, launchSum, type Over, reducedSize, reductionPlan } from './reduction.js'

/* Sum and expansion are each other's adjoint, so they stand in one file. */
export const sumOperation = operation({
  name: 'sum',
  inputs: ['X'],
  outputs: ['Y'],
  options: { over: undefined as Over | undefined },
  rule({ X }, { over }) {
    const dimensions = dimensionsOver(X, over, 'sum')
    return {
      outputs: [
        { ...normalized(reducedSize(X.size, dimensions), X.dims), type: X.type === 'logical' ? 'single' : X.type },
      ],
      plan: reductionPlan(X.size, dimensions),
    }
  },
  saves: [],
  gradient: { X: ({ gradient }) => gradient },
  lazyExpansion: true,
  takesProduct: true,
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      const totals = new Float64Array(Y.length)
      eachReduced(plan, (to, from) => {
        totals[to]! += X[from]!
      })
      Y.set(totals)
    },
    wasm({ inputs, outputs, plan, product, wasm }) {
      launchSum(wasm, product ?? inputs.X, outputs.Y, plan)
    },
  },
  samples: () => [
    { inputs: { X: { size: [3, 5] } }, options: { over: 'all' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'S' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'CB' } },
    { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: [1, 3] } },
    { inputs: { X: { size: [7, 9, 2] } }, options: { over: [2] } },
    { inputs: { X: { size: [1, 6] } } },
    { inputs: { X: { size: [0, 3] } }, options: { over: [1] } },
  ],
})

/** Y repeats X along every dimension in which X has extent 1: implicit expansion by itself, the adjoint of a sum. */
export const expandOperation = operation({
  name: 'expand',
  inputs: ['X'],
  outputs: ['Y'],
  options: { size: [] as readonly number[], dims: '' },
  rule({ X }, { size, dims }) {
    size.forEach((extent, d) => {
      const own = X.size[d] ?? 1
      if (own !== extent && own !== 1)
        throw new DimensionError({
          call: 'expand',
          expects: 'extents of 1 or of the target',
          got: `${X.size.join('×')} for ${size.join('×')}`,
          remedy: 'Only dimensions of extent 1 expand.',
        })
    })
    const nest = loopNest(size, [X.size])
    return {
      outputs: [{ ...normalized(size, dims), type: X.type }],
      plan: { size: nest.extents, xSteps: nest.steps[0]!, ySteps: strides(nest.extents) },
    }
  },
  saves: [],
  gradient: { X: ({ gradient, inputs }) => sumTo(gradient, inputs.X) },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      copyRegion(X, 0, Y, 0, plan)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchCopy(wasm, inputs.X, outputs.Y, plan)
    },
  },
  samples: () => [
    { inputs: { X: { size: [1, 3] } }, options: { size: [4, 3], dims: '' } },
    { inputs: { X: { size: [5, 1, 3, 1], format: 'SSCB' } }, options: { size: [5, 2, 3, 4], dims: 'SSCB' } },
    { inputs: { X: { size: [1, 1] } }, options: { size: [3, 4, 2], dims: '' } },
  ],
})

/**
 * Sums an array over the dimensions in which `target` was expanded to get it, and gives the result the target's size and
 * labels: how the gradient of an element-wise result becomes the gradient of an operand.
 */
export function sumTo(array: DlArray, target: ArrayInfo): DlArray {
  const aligned =
    target.dims !== '' && array.dims !== ''
      ? alignedSize(target, array.dims)
      : array.size.map((_, d) => target.size[d] ?? 1)
  const over = array.size.flatMap((extent, d) => (aligned[d] === 1 && extent !== 1 ? [d + 1] : []))
  const summed = over.length > 0 ? sumOperation.run({ X: array }, { over }) : array
  if (summed.dims === target.dims && sameSize(summed.size, target.size)) return summed
  return relabelOperation.run({ X: summed }, { size: target.size, dims: target.dims })
}

export function sameSize(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, d) => extent === b[d])
}

/**
 * The sum over some dimensions; they become 1 and the format is kept. Over `'all'`, over labels (`'S'`, `'CB'`), over
 * dimension numbers counted from 1, or, by default, over the first dimension that is not 1.
 *
 * Errors: a {@link DimensionError} for a label the array does not have. Source: MATLAB, `sum`.
 */
export function sum<F extends string, const O extends Reducible>(X: DlArray<F>, over?: SumOver<F, O>): DlArray<F> {
  return sumOperation.run({ X }, { over: over as Over | undefined }) as DlArray<F>
}

/** What a call may name to be summed over, right or wrong. */
export type Reducible = string | number | readonly (string | number)[]

/** `O` itself when an array of format `F` can be summed over it, otherwise a sentence that the editor shows. */
export type SumOver<F extends string, O> = O extends 'all' | number | readonly number[]
  ? O
  : O extends string
    ? Known<F, O>
    : "labels go in one text, such as 'SC', and numbers in a list"
