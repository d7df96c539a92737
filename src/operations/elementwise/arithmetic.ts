import type { DlArray } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { call, type Operand } from '../call.js'
import { type Operation, operation } from '../operation.js'
import { binaryOperation, type ElementwiseOfTwo } from './binary.js'
import { launchUnary } from './unary.js'

// The four operations of arithmetic, whose gradients are made of one another.

export const plusOperation = binaryOperation({
  name: 'plus',
  kernel: 'plus',
  value: (a, b) => a + b,
  saves: [],
  gradient: { A: ({ gradient }) => gradient, B: ({ gradient }) => gradient },
})

export const minusOperation = binaryOperation({
  name: 'minus',
  kernel: 'minus',
  value: (a, b) => a - b,
  saves: [],
  gradient: { A: ({ gradient }) => gradient, B: ({ gradient }) => negated(gradient) },
})

export const timesOperation = binaryOperation({
  name: 'times',
  kernel: 'times',
  value: (a, b) => a * b,
  saves: ['A', 'B'],
  gradient: {
    A: ({ gradient, saved, recording }) => timesGradient(gradient, saved.B, recording),
    B: ({ gradient, saved, recording }) => timesGradient(gradient, saved.A, recording),
  },
  // The other operand expands the gradient in every dimension in which this one was expanded.
  lazyExpansion: true,
  // One loop, along which each operand goes on or stands still, at least one of them going on.
  isProduct: ({ nest: { extents, steps } }) => extents.length === 1 && steps.some(([step]) => step === 1),
})

/** The gradient times the other operand: that operand itself where the gradient is the 1 that a backward pass begins with. */
function timesGradient(gradient: DlArray, operand: DlArray, recording: boolean): DlArray {
  const isAlike = gradient.dims === operand.dims && gradient.underlyingType === operand.underlyingType
  if (!recording && isAlike && gradient.numel === 1 && gradient.storage.view()[0] === 1) return operand
  return timesOperation.run({ A: gradient, B: operand })
}

export const rdivideOperation = binaryOperation({
  name: 'rdivide',
  kernel: 'rdivide',
  value: (a, b) => a / b,
  saves: ['B', 'Y'],
  gradient: {
    A: ({ gradient, saved }) => rdivideOperation.run({ A: gradient, B: saved.B }),
    // y = a / b, so dy/db = -y / b.
    B: ({ gradient, saved }) =>
      negated(rdivideOperation.run({ A: timesOperation.run({ A: gradient, B: saved.Y }), B: saved.B })),
  },
  domain: { B: (i) => (i % 2 === 0 ? 1 : -1) * (0.7 + ((i * 5) % 7) / 4) },
})

/** -X. */
export function negated(X: DlArray): DlArray {
  return scaled(X, -1)
}

/** X times a number. */
export const scaledOperation: Operation<'X', never, 'Y', { factor: number }> = operation({
  name: 'scaled',
  inputs: ['X'],
  outputs: ['Y'],
  options: { factor: 1 },
  rule: ({ X }, { factor }) => ({
    outputs: [{ ...X, type: X.type === 'logical' ? 'single' : X.type }],
    plan: { count: numel(X.size), factor },
  }),
  saves: [],
  gradient: { X: ({ gradient, options }) => scaledOperation.run({ X: gradient }, options) },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      for (let i = 0; i < X.length; i++) Y[i] = X[i]! * plan.factor
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchUnary(wasm, 'multiplyScalar', inputs.X, outputs.Y, plan.count, plan.factor)
    },
  },
  samples: () => [
    { inputs: { X: { size: [3, 5, 2], format: 'SCB' } }, options: { factor: -0.7 } },
    { inputs: { X: { size: [0, 3] } } },
  ],
})

/** X times a number. */
export function scaled(X: DlArray, factor: number): DlArray {
  return scaledOperation.run({ X }, { factor })
}

/**
 * A + B, element by element, with implicit expansion: labels of formatted arrays are matched, other operands by position.
 *
 * Errors: a {@link DimensionError} for extents that are neither equal nor 1. Source: MATLAB, `plus`.
 */
export const plus: ElementwiseOfTwo = (A: Operand, B: Operand) => call(plusOperation, { A, B })

/** A - B, element by element, with implicit expansion as in {@link plus}. Source: MATLAB, `minus`. */
export const minus: ElementwiseOfTwo = (A: Operand, B: Operand) => call(minusOperation, { A, B })

/** A .* B, element by element, with implicit expansion as in {@link plus}. Source: MATLAB, `times`. */
export const times: ElementwiseOfTwo = (A: Operand, B: Operand) => call(timesOperation, { A, B })

/** A ./ B, element by element, with implicit expansion as in {@link plus}. Source: MATLAB, `rdivide`. */
export const rdivide: ElementwiseOfTwo = (A: Operand, B: Operand) => call(rdivideOperation, { A, B })

/** -X, element by element. Source: MATLAB, `uminus`. */
export function uminus<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(scaledOperation, { X }, { factor: -1 }) as DlArray<F>
}
