import { call, type Operand } from '../call.js'
import { type BinaryFunction, binaryOperation, type ElementwiseOfTwo } from './binary.js'

// Comparisons, element by element with implicit expansion: logical arrays of 0 and 1. NaN equals nothing.

function comparison(name: BinaryFunction, holds: (a: number, b: number) => boolean) {
  return binaryOperation({
    name,
    kernel: name,
    type: 'logical',
    value: (a, b) => (holds(a, b) ? 1 : 0),
    saves: [],
    gradient: { A: null, B: null },
  })
}

export const eqOperation = comparison('eq', (a, b) => a === b)
export const neOperation = comparison('ne', (a, b) => a !== b)
export const ltOperation = comparison('lt', (a, b) => a < b)
export const leOperation = comparison('le', (a, b) => a <= b)
export const gtOperation = comparison('gt', (a, b) => a > b)
export const geOperation = comparison('ge', (a, b) => a >= b)

/** 1 where A equals B, else 0; implicit expansion as in {@link plus}. Source: MATLAB, `eq`. */
export const eq: ElementwiseOfTwo = (A: Operand, B: Operand) => call(eqOperation, { A, B })

/** 1 where A differs from B, also where one is NaN, else 0. Source: MATLAB, `ne`. */
export const ne: ElementwiseOfTwo = (A: Operand, B: Operand) => call(neOperation, { A, B })

/** 1 where A is less than B, else 0. Source: MATLAB, `lt`. */
export const lt: ElementwiseOfTwo = (A: Operand, B: Operand) => call(ltOperation, { A, B })

/** 1 where A is at most B, else 0. Source: MATLAB, `le`. */
export const le: ElementwiseOfTwo = (A: Operand, B: Operand) => call(leOperation, { A, B })

/** 1 where A is greater than B, else 0. Source: MATLAB, `gt`. */
export const gt: ElementwiseOfTwo = (A: Operand, B: Operand) => call(gtOperation, { A, B })

/** 1 where A is at least B, else 0. Source: MATLAB, `ge`. */
export const ge: ElementwiseOfTwo = (A: Operand, B: Operand) => call(geOperation, { A, B })
