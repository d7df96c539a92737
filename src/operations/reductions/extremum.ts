import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { type Combined, normalized } from '../../array/format.js'
import { asText, OptionError } from '../../errors.js'
import { call, type Operand } from '../call.js'
import { rdivideOperation, timesOperation } from '../elementwise/arithmetic.js'
import { binaryOperation } from '../elementwise/binary.js'
import { eqOperation, neOperation } from '../elementwise/comparison.js'
import { type Operation, operation } from '../operation.js'
import { dimensionsOver, eachReduced, launchReduction, type Over, reducedSize, reductionPlan } from './reduction.js'
import { type Reducible, type SumOver, sumOperation } from './sum.js'

// Largest and smallest: of two arrays, element by element, and of an array over some of its dimensions. NaN is left out,
// as in MATLAB: a number wins over NaN, and the result is NaN only where there is nothing else.

/** Of two numbers; a NaN loses. */
const larger = (a: number, b: number) => (a < b || Number.isNaN(a) ? b : a)
const smaller = (a: number, b: number) => (a > b || Number.isNaN(a) ? b : a)

function extremumOfTwo(name: 'max' | 'min', value: (a: number, b: number) => number) {
  return binaryOperation({
    name,
    kernel: name,
    value,
    saves: ['A', 'Y'],
    // all of the gradient goes to A where both are equal
    gradient: {
      A: ({ gradient, saved: { A, Y } }) => timesOperation.run({ A: gradient, B: eqOperation.run({ A: Y, B: A }) }),
      B: ({ gradient, saved: { A, Y } }) => timesOperation.run({ A: gradient, B: neOperation.run({ A: Y, B: A }) }),
    },
  })
}

export const maxOperation = extremumOfTwo('max', larger)
export const minOperation = extremumOfTwo('min', smaller)

function extremumOver(name: 'max' | 'min', value: (a: number, b: number) => number) {
  const self: Operation<'X', never, 'Y', { over: Over | undefined }> = operation({
    name,
    inputs: ['X'],
    outputs: ['Y'],
    options: { over: undefined as Over | undefined },
    rule({ X }, { over }) {
      const dimensions = dimensionsOver(X, over, name)
      const plan = reductionPlan(X.size, dimensions)
      checkNotEmpty(X, plan.terms, name)
      return { outputs: [{ ...normalized(reducedSize(X.size, dimensions), X.dims), type: X.type }], plan }
    },
    saves: ['X', 'Y'],
    gradient: {
      // shared evenly between equal elements
      X({ gradient, saved: { X, Y }, options }): DlArray {
        const chosen = eqOperation.run({ A: X, B: Y })
        const over = dimensionsOver({ size: X.size, dims: X.dims, type: X.underlyingType }, options.over, name)
        const count = sumOperation.run({ X: chosen }, { over: over.map((d) => d + 1) })
        return timesOperation.run({ A: chosen, B: rdivideOperation.run({ A: gradient, B: count }) })
      },
    },
    kernels: {
      reference({ inputs: { X }, outputs: { Y }, plan }) {
        Y.fill(Number.NaN)
        eachReduced(plan, (to, from) => {
          Y[to] = value(Y[to]!, X[from]!)
        })
      },
      wasm({ inputs, outputs, plan, wasm }) {
        launchReduction(wasm, name, inputs.X, outputs.Y, plan)
      },
    },
    samples: () => [
      { inputs: { X: { size: [3, 5] } }, options: { over: 'all' } },
      { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: 'S' } },
      { inputs: { X: { size: [4, 3, 2, 5], format: 'SSCB' } }, options: { over: [2, 4] } },
      { inputs: { X: { size: [1, 6] } } },
    ],
  })
  return self
}

function checkNotEmpty(X: ArrayInfo, terms: number, call: string): void {
  if (terms > 0) return
  throw new OptionError({
    call,
    expects: 'at least one element to choose from',
    got: `a size of [${X.size.join(', ')}]`,
    remedy: 'Leave out empty arrays, or choose dimensions that are not empty.',
  })
}

export const maxOverOperation = extremumOver('max', larger)
export const minOverOperation = extremumOver('min', smaller)

type Pair = {
  <A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
  <A extends string>(A: DlArray<A>, B: number): DlArray<A>
  <B extends string>(A: number, B: DlArray<B>): DlArray<B>
  (A: DlArray | number, B: DlArray | number): DlArray
}
type Reducing = {
  <F extends string, const O extends Reducible>(X: DlArray<F>, none?: readonly [], over?: SumOver<F, O>): DlArray<F>
  <F extends string, const O extends string>(X: DlArray<F>, over: SumOver<F, O>): DlArray<F>
}

function extremum(
  two: typeof maxOperation,
  over: typeof maxOverOperation,
  A: Operand,
  B: Operand | string | readonly [] | undefined,
  dimensions: Over | undefined,
): DlArray {
  if (typeof B === 'string' && dimensions === undefined) return extremum(two, over, A, undefined, B)
  if (Array.isArray(B) && B.length > 0)
    throw new OptionError({
      call: two.name,
      expects: '[] between the array and dimensions, or a dlarray to compare with',
      got: asText(B),
      remedy: `Write ${two.name}(X, [], ${asText(B)}), or ${two.name}(A, dlarray(...)).`,
    })
  if (B === undefined || Array.isArray(B)) {
    if (typeof A !== 'number') return over.run({ X: A as DlArray }, { over: dimensions })
    return call(two, { A, B: A })
  }
  if (dimensions !== undefined)
    throw new OptionError({
      call: two.name,
      expects: 'two arrays, or one array and dimensions',
      got: 'two arrays and dimensions',
      remedy: `Write ${two.name}(A, B), or ${two.name}(X, [], dimensions).`,
    })
  return call(two, { A, B: B as Operand })
}

/**
 * `max(A, B)`: the larger of two arrays, element by element, with implicit expansion as in {@link plus}.
 * `max(X, [], over)`: the largest element over some dimensions (`'all'`, labels, numbers from 1, or by default the first
 * that is not 1); they become 1 and the format is kept. Text needs no `[]`: `max(X, 'all')`, `max(X, 'S')`. NaN is left out unless there is nothing else.
 *
 * Derivatives: the larger element's; of two equal arrays' elements A's, and over dimensions shared evenly between equal
 * elements. Errors: an {@link OptionError} for an array without elements. Source: MATLAB, `max`.
 */
export const max: Pair & Reducing = ((A: Operand, B?: Operand | string | readonly [], over?: Over) =>
  extremum(maxOperation, maxOverOperation, A, B, over)) as Pair & Reducing

/** The smaller of two arrays, or the smallest element over some dimensions: see {@link max}. Source: MATLAB, `min`. */
export const min: Pair & Reducing = ((A: Operand, B?: Operand | string | readonly [], over?: Over) =>
  extremum(minOperation, minOverOperation, A, B, over)) as Pair & Reducing
