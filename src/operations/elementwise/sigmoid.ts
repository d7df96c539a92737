import type { DlArray } from '../../array/dlarray.js'
import { call, type DataFormatOption, scalar } from '../call.js'
import { minusOperation, plusOperation, timesOperation } from './arithmetic.js'
import { elementwiseGradient } from './elementwise-gradient.js'
import { unaryOperation } from './unary.js'

// Sigmoid, and the functions whose derivatives are made of it. Gradients are one pass each, or made of differentiable
// operations when they will be differentiated again.

const times = (A: DlArray, B: DlArray) => timesOperation.run({ A, B })
const oneMinus = (X: DlArray) => minusOperation.run({ A: scalar(1, X.underlyingType), B: X })

function logistic(x: number): number {
  // e^-|x| cannot overflow, and keeps small results exact
  const e = Math.exp(-Math.abs(x))
  return x < 0 ? e / (1 + e) : 1 / (1 + e)
}

export const sigmoidGradientOperation = elementwiseGradient('sigmoidGradient', 'sigmoid', (dy, y) => dy * (y * (1 - y)))

export const sigmoidOperation = unaryOperation({
  name: 'sigmoid',
  kernel: 'sigmoid',
  value: logistic,
  saves: ['Y'],
  gradient: ({ gradient, saved: { Y }, recording }) =>
    recording ? times(gradient, times(Y, oneMinus(Y))) : sigmoidGradientOperation.run({ dY: gradient, saved: Y }),
})

export const tanhGradientOperation = elementwiseGradient('tanhGradient', 'tanh', (dy, y) => dy * (1 - y * y))

export const tanhOperation = unaryOperation({
  name: 'tanh',
  kernel: 'tanh',
  value: Math.tanh,
  saves: ['Y'],
  gradient: ({ gradient, saved: { Y }, recording }) =>
    recording ? times(gradient, oneMinus(times(Y, Y))) : tanhGradientOperation.run({ dY: gradient, saved: Y }),
})

export const softplusGradientOperation = elementwiseGradient(
  'softplusGradient',
  'softplus',
  (dy, x) => dy * logistic(x),
)

export const softplusOperation = unaryOperation({
  name: 'softplus',
  kernel: 'softplus',
  value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  saves: ['X'],
  gradient: ({ gradient, saved: { X }, recording }) =>
    recording
      ? times(gradient, sigmoidOperation.run({ X }))
      : softplusGradientOperation.run({ dY: gradient, saved: X }),
})

export const swishGradientOperation = elementwiseGradient('swishGradient', 'swish', (dy, x) => {
  const bounded = Math.max(-800, Math.min(800, x))
  return dy * logistic(bounded) * (1 + bounded * logistic(-bounded))
})

export const swishOperation = unaryOperation({
  name: 'swish',
  kernel: 'swish',
  value: (x) => (x === Number.NEGATIVE_INFINITY ? 0 : x * logistic(x)),
  saves: ['X'],
  gradient({ gradient, saved: { X }, recording }) {
    if (!recording) return swishGradientOperation.run({ dY: gradient, saved: X })
    const s = sigmoidOperation.run({ X })
    return times(gradient, plusOperation.run({ A: s, B: times(X, times(s, oneMinus(s))) }))
  },
})

/** Sigmoid, 1 / (1 + e^-x), element by element. Any format, kept. Source: MATLAB, `sigmoid`. */
export function sigmoid<F extends string>(X: DlArray<F>, options?: DataFormatOption): DlArray<F> {
  return call(sigmoidOperation, { X }, options) as DlArray<F>
}

/** Hyperbolic tangent, element by element. Any format, kept. Source: MATLAB, `tanh`. */
export function tanh<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(tanhOperation, { X }) as DlArray<F>
}

/** log(1 + e^x), element by element, without overflow. Any format, kept. Source: MATLAB, `softplusLayer`. */
export function softplus<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(softplusOperation, { X }) as DlArray<F>
}

/** x / (1 + e^-x), element by element. Any format, kept. Source: MATLAB, `swishLayer`. */
export function swish<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(swishOperation, { X }) as DlArray<F>
}
