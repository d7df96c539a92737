import type { DlArray } from '../../array/dlarray.js'
import { call, scalar } from '../call.js'
import { negated, plusOperation, timesOperation } from './arithmetic.js'
import { unaryOperation } from './unary.js'

export const sinOperation = unaryOperation({
  name: 'sin',
  kernel: 'sin',
  value: Math.sin,
  saves: ['X'],
  gradient: ({ gradient, saved }): DlArray => timesOperation.run({ A: gradient, B: cosOperation.run({ X: saved.X }) }),
})

export const cosOperation = unaryOperation({
  name: 'cos',
  kernel: 'cos',
  value: Math.cos,
  saves: ['X'],
  gradient: ({ gradient, saved }): DlArray =>
    negated(timesOperation.run({ A: gradient, B: sinOperation.run({ X: saved.X }) })),
})

export const tanOperation = unaryOperation({
  name: 'tan',
  kernel: 'tan',
  value: Math.tan,
  saves: ['Y'],
  // 1 + tan²
  gradient: ({ gradient, saved }) =>
    timesOperation.run({
      A: gradient,
      B: plusOperation.run({
        A: timesOperation.run({ A: saved.Y, B: saved.Y }),
        B: scalar(1, saved.Y.underlyingType),
      }),
    }),
  domain: (i) => (((i * 7) % 11) - 5) / 4,
})

/** Sine, element by element; x in radians. Source: MATLAB, `sin`. */
export function sin<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(sinOperation, { X }) as DlArray<F>
}

/** Cosine, element by element; x in radians. Source: MATLAB, `cos`. */
export function cos<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(cosOperation, { X }) as DlArray<F>
}

/** Tangent, element by element; x in radians. Source: MATLAB, `tan`. */
export function tan<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(tanOperation, { X }) as DlArray<F>
}
