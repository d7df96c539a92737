import type { DlArray } from '../array/dlarray.js'
import type { Combined } from '../array/format.js'
import { type BinaryFunction, binaryOperation } from './binary.js'
import { call, type Operand } from './call.js'

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
export function eq<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function eq<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function eq<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function eq(A: Operand, B: Operand): DlArray
export function eq(A: Operand, B: Operand): DlArray {
  return call(eqOperation, { A, B })
}

/** 1 where A differs from B, also where one is NaN, else 0. Source: MATLAB, `ne`. */
export function ne<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function ne<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function ne<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function ne(A: Operand, B: Operand): DlArray
export function ne(A: Operand, B: Operand): DlArray {
  return call(neOperation, { A, B })
}

/** 1 where A is less than B, else 0. Source: MATLAB, `lt`. */
export function lt<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function lt<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function lt<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function lt(A: Operand, B: Operand): DlArray
export function lt(A: Operand, B: Operand): DlArray {
  return call(ltOperation, { A, B })
}

/** 1 where A is at most B, else 0. Source: MATLAB, `le`. */
export function le<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function le<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function le<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function le(A: Operand, B: Operand): DlArray
export function le(A: Operand, B: Operand): DlArray {
  return call(leOperation, { A, B })
}

/** 1 where A is greater than B, else 0. Source: MATLAB, `gt`. */
export function gt<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function gt<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function gt<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function gt(A: Operand, B: Operand): DlArray
export function gt(A: Operand, B: Operand): DlArray {
  return call(gtOperation, { A, B })
}

/** 1 where A is at least B, else 0. Source: MATLAB, `ge`. */
export function ge<A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
export function ge<A extends string>(A: DlArray<A>, B: number): DlArray<A>
export function ge<B extends string>(A: number, B: DlArray<B>): DlArray<B>
export function ge(A: Operand, B: Operand): DlArray
export function ge(A: Operand, B: Operand): DlArray {
  return call(geOperation, { A, B })
}
