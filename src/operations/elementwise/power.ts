import { type DlArray, isdlarray } from '../../array/dlarray.js'
import { call, type Operand, scalar } from '../call.js'
import { minusOperation, plusOperation, timesOperation } from './arithmetic.js'
import { binaryOperation, type ElementwiseOfTwo } from './binary.js'
import { eqOperation, gtOperation, leOperation } from './comparison.js'
import { logOperation } from './exponential.js'

const times = (A: DlArray, B: DlArray) => timesOperation.run({ A, B })
const plus = (A: DlArray, B: DlArray) => plusOperation.run({ A, B })

export const powerOperation = binaryOperation({
  name: 'power',
  kernel: 'power',
  // x^0 and 1^x are 1 for every x, as IEEE 754 says; JavaScript gives NaN for 1^infinity
  value: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b),
  saves: ['A', 'B', 'Y'],
  gradient: {
    // b a^(b-1); where b is 0 the exponent is 0 as well, since 0 times an infinite power is not 0
    A({ gradient, saved: { A, B } }): DlArray {
      const exponent = plus(
        minusOperation.run({ A: B, B: scalar(1, B.underlyingType) }),
        eqOperation.run({ A: B, B: scalar(0, B.underlyingType) }),
      )
      return times(gradient, times(B, powerOperation.run({ A, B: exponent })))
    },
    // a^b log(a), and 0 where a <= 0: there the power is defined for whole b only
    B({ gradient, saved: { A, Y } }): DlArray {
      const zero = scalar(0, A.underlyingType)
      const positive = gtOperation.run({ A, B: zero })
      const base = plus(times(A, positive), leOperation.run({ A, B: zero }))
      return times(gradient, times(times(Y, positive), logOperation.run({ X: base })))
    },
  },
  domain: { A: (i) => 0.5 + (i % 7) / 3, B: (i) => (i % 5) / 2 - 1.3 },
})

/**
 * A to the power B, element by element, with implicit expansion as in {@link plus}; NaN for negative elements of A with
 * exponents that are not whole (MATLAB gives complex numbers there). Source: MATLAB, `power`.
 */
export const power: ElementwiseOfTwo = (A: Operand, B: Operand) => {
  // a square is a product: faster, and as exact
  if (B === 2 && isdlarray(A)) return call(timesOperation, { A, B: A })
  return call(powerOperation, { A, B })
}
