import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { type Canonical, describe, normalized, numel, positionsOf } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { permuteOperation } from '../arrays/permute.js'
import { label, relabelOperation } from '../arrays/relabel.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import { biasFor } from '../convolution/convolution-format.js'
import { type Operation, operation, resultType } from '../operation.js'
import { sumOperation } from '../reductions/sum.js'
import { launchMatrixProduct, matrixProduct, referenceMatrixProduct } from './matrix-product.js'
import { pagemtimesOperation } from './pagemtimes.js'

/** Y = weights [outputs, inputs] times the S and C elements of each observation of X, plus bias; one C in their place. */
export const fullyconnectOperation = operation({
  name: 'fullyconnect',
  inputs: ['X', 'weights', 'bias'],
  optional: ['bias'],
  outputs: ['Y'],
  options: {},
  rule({ X, weights, bias }) {
    const flat = positionsOf(X.dims, 'SC').length
    if (flat === 0)
      throw new DimensionError({
        call: 'fullyconnect',
        expects: 'an array with a channel dimension (C) or spatial dimensions (S)',
        got: describe(X),
        remedy: X.dims === '' ? 'Label it with dlarray(X, format) or give dataFormat.' : 'Label the features C.',
      })
    const inputs = numel(X.size.slice(0, flat))
    const outputs = weights.size[0]!
    if (numel(weights.size) !== outputs * inputs)
      throw new DimensionError({
        call: 'fullyconnect',
        expects: `weights with ${inputs} columns, one for each S and C element of an observation of X`,
        got: `weights of ${weights.size.join('×')} for X of ${describe(X)}`,
        remedy: `Give weights of outputs × ${inputs}.`,
      })
    if (bias && numel(bias.size) !== outputs)
      throw new DimensionError({
        call: 'fullyconnect',
        expects: `a bias with one element for each of the ${outputs} outputs`,
        got: describe(bias),
        remedy: `Give ${outputs} elements, a scalar, or no bias.`,
      })
    const Y = normalized([outputs, ...X.size.slice(flat)], `C${X.dims.slice(flat)}`)
    const plan = matrixProduct(outputs, numel(X.size.slice(flat)), inputs, false, false)
    return { outputs: [{ ...Y, type: resultType([X, weights, bias]) }], plan }
  },
  saves: ['X', 'weights'],
  gradient: {
    X: ({ gradient, saved, plan, inputs }) => {
      const A = reshaped(saved.weights, [plan.m, plan.k])
      const B = reshaped(gradient, [plan.m, plan.n])
      return like(pagemtimesOperation.run({ A, B }, { transposeA: true }), inputs.X)
    },
    weights: ({ gradient, saved, plan, inputs }) => {
      const A = reshaped(gradient, [plan.m, plan.n])
      const B = reshaped(saved.X, [plan.k, plan.n])
      return like(pagemtimesOperation.run({ A, B }, { transposeB: true }), inputs.weights)
    },
    bias: ({ gradient, plan, inputs }) =>
      like(sumOperation.run({ X: reshaped(gradient, [plan.m, plan.n]) }, { over: [2] }), inputs.bias!),
  },
  kernels: {
    reference({ inputs: { X, weights, bias }, outputs: { Y }, plan }) {
      referenceMatrixProduct(plan, weights, X, bias, Y)
    },
    wasm({ inputs: { X, weights, bias }, outputs: { Y }, plan, wasm }) {
      launchMatrixProduct(wasm, plan, { A: weights, B: X, bias, C: Y })
    },
  },
  samples: () => [
    sample([3, 2, 2, 5], 'SSCB', [4, 12]),
    sample([6, 3, 4], 'CBT', [2, 6]),
    sample([7, 1], 'CB', [1, 7]),
    sample([5, 3], 'SC', [10, 15]),
    sample([9, 2, 3, 2], 'CBTU', [3, 9]),
    { inputs: { X: { size: [33, 9], format: 'CB' }, weights: { size: [13, 33] } } },
    sample([4, 0], 'CB', [3, 4]),
  ],
})

function sample(size: readonly number[], format: string, weights: readonly number[]) {
  return { inputs: { X: { size, format }, weights: { size: weights }, bias: { size: [weights[0]!, 1] } } }
}

function reshaped(X: DlArray, size: readonly number[]): DlArray {
  return relabelOperation.run({ X }, { size, dims: '' })
}

function like(X: DlArray, { size, dims }: ArrayInfo): DlArray {
  return relabelOperation.run({ X }, { size, dims })
}

/** Options of {@link fullyconnect}. */
export interface FullyconnectOptions extends DataFormatOption {
  /** Labels of unlabelled weights, in their own order: U for the outputs, S and C for the inputs; default `'UC'`. */
  readonly weightsFormat?: string
}

interface Options {
  readonly weightsFormat: string | undefined
}

function compute(
  { X, weights, bias }: { readonly X: DlArray; readonly weights: DlArray; readonly bias?: DlArray },
  { weightsFormat }: Partial<Options> = {},
): DlArray {
  const labelled = weightsFormat === undefined ? weights : label(weights, weightsFormat, 'fullyconnect')
  const plain = labelled.dims === '' ? labelled : outputsFirst(labelled)
  return fullyconnectOperation.run({ X, weights: plain, bias: biasFor(bias, plain.size[0]!) })
}

/** Labelled weights, stored [S..., C, U], as [outputs, inputs]. */
function outputsFirst(weights: DlArray): DlArray {
  const { dims, size } = weights
  if (positionsOf(dims, 'U').length > 1 || positionsOf(dims, 'BT').length > 0)
    throw new DimensionError({
      call: 'fullyconnect',
      expects: "labelled weights with one U for the outputs and S or C for the inputs, as in 'UC'",
      got: describe(weights),
      remedy: 'Give weightsFormat, or weights without labels of outputs × inputs.',
    })
  // A single output: its U, a singleton at the end, is not stored.
  const outputs = dims.endsWith('U') ? size[size.length - 1]! : 1
  const inputs = reshaped(weights, [numel(size) / Math.max(outputs, 1), outputs])
  return permuteOperation.run({ X: inputs }, { order: [1, 0] })
}

/** The fully connected operation as users call it: weights in any order. */
const labelled: Operation<'X' | 'weights' | 'bias', 'bias', 'Y', Options> = {
  ...fullyconnectOperation,
  options: { weightsFormat: undefined },
  samples: () => [],
  infer: (inputs) => fullyconnectOperation.infer(inputs),
  run: compute,
  runAll: (inputs, options) => ({ Y: compute(inputs, options) }),
}

type Unflattened<F extends string> = F extends `${infer Head}${infer Rest}`
  ? `${Head extends 'S' | 'C' ? '' : Head}${Unflattened<Rest>}`
  : ''

/** The format of a fully connected result: `FullyConnected<'SSCB'>` is `'CB'`; unformatted data stays so. */
export type FullyConnected<F extends string> = string extends F
  ? string
  : F extends ''
    ? ''
    : Canonical<`C${Unflattened<F>}`>

/**
 * Multiplies by a weight matrix and adds a bias: Y(o, b) = bias(o) + sum over i of weights(o, i) X(i, b), where i runs over all
 * S and C elements of an observation in storage order (S first).
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | formatted, or unformatted with `dataFormat`; S and C become one C, B, T and U stay: `SSCB` to `CB`, `CBT` to `CBT` |
 * | `weights` | outputs × inputs, an array or nested lists; or labelled, or with `weightsFormat` in any order |
 * | `bias` | one element per output, as an array or a list; a number for all, or left out |
 *
 * Errors: a {@link DimensionError} for weights or a bias that do not fit. Source: MATLAB, `fullyconnect`.
 */
export function fullyconnect<F extends string>(
  X: DlArray<F>,
  weights: Operand,
  bias?: Operand,
  options: FullyconnectOptions = {},
): DlArray<FullyConnected<F>> {
  return call(labelled, { X, weights, bias: bias === 0 ? undefined : bias }, options) as DlArray<FullyConnected<F>>
}
