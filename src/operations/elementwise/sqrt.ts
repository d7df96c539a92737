import type { DlArray } from '../../array/dlarray.js'
import { call } from '../call.js'
import { rdivideOperation, scaled } from './arithmetic.js'
import { unaryOperation } from './unary.js'

export const sqrtOperation = unaryOperation({
  name: 'sqrt',
  kernel: 'sqrt',
  value: Math.sqrt,
  saves: ['Y'],
  gradient: ({ gradient, saved }) => rdivideOperation.run({ A: scaled(gradient, 0.5), B: saved.Y }),
  domain: (i) => 0.3 + ((i * 7) % 11),
})

/** Square root, element by element; NaN for negative elements. Source: MATLAB, `sqrt`. */
export function sqrt<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(sqrtOperation, { X }) as DlArray<F>
}
