import type { DlArray } from '../../array/dlarray.js'
import { call, scalar } from '../call.js'
import { plusOperation, rdivideOperation, timesOperation } from './arithmetic.js'
import { unaryOperation } from './unary.js'

const positive = (i: number) => 0.2 + ((i * 7) % 11)

export const expOperation = unaryOperation({
  name: 'exp',
  kernel: 'exp',
  value: Math.exp,
  saves: ['Y'],
  gradient: ({ gradient, saved }) => timesOperation.run({ A: gradient, B: saved.Y }),
})

export const expm1Operation = unaryOperation({
  name: 'expm1',
  kernel: 'expm1',
  value: Math.expm1,
  saves: ['Y'],
  gradient: ({ gradient, saved }) =>
    timesOperation.run({
      A: gradient,
      B: plusOperation.run({ A: saved.Y, B: scalar(1, saved.Y.underlyingType) }),
    }),
})

export const logOperation = unaryOperation({
  name: 'log',
  kernel: 'log',
  value: Math.log,
  saves: ['X'],
  gradient: ({ gradient, saved }) => rdivideOperation.run({ A: gradient, B: saved.X }),
  domain: positive,
})

export const log1pOperation = unaryOperation({
  name: 'log1p',
  kernel: 'log1p',
  value: Math.log1p,
  saves: ['X'],
  gradient: ({ gradient, saved }) =>
    rdivideOperation.run({
      A: gradient,
      B: plusOperation.run({ A: saved.X, B: scalar(1, saved.X.underlyingType) }),
    }),
  domain: positive,
})

/** e^x, element by element. Any format, kept. Source: MATLAB, `exp`. */
export function exp<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(expOperation, { X }) as DlArray<F>
}

/** e^x - 1, element by element, without cancellation near 0. Source: MATLAB, `expm1`. */
export function expm1<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(expm1Operation, { X }) as DlArray<F>
}

/** Natural logarithm, element by element; -infinity at 0 and NaN for negative elements. Source: MATLAB, `log`. */
export function log<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(logOperation, { X }) as DlArray<F>
}

/** log(1 + x), element by element, without cancellation near 0; NaN below -1. Source: MATLAB, `log1p`. */
export function log1p<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(log1pOperation, { X }) as DlArray<F>
}
