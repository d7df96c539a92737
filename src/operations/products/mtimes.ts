import { type DlArray, isdlarray } from '../../array/dlarray.js'
import { describe } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { scoped } from '../../memory/scope.js'
import { arrayBeside, call, type Operand } from '../call.js'
import { timesOperation } from '../elementwise/arithmetic.js'
import { pagemtimesOperation } from './pagemtimes.js'

/**
 * The matrix product A B of two unformatted matrices; with a scalar, the product of every element with it.
 *
 * A formatted array may only be multiplied by an unformatted scalar, and keeps its format. Errors: a {@link DimensionError} for
 * formatted matrices, more than two dimensions, or columns of A that are not as many as rows of B. Source: MATLAB, `mtimes`.
 */
export function mtimes<F extends string>(A: DlArray<F>, B: number): DlArray<F>
export function mtimes<F extends string>(A: number, B: DlArray<F>): DlArray<F>
export function mtimes(A: DlArray<''>, B: DlArray<''>): DlArray<''>
export function mtimes(A: Operand, B: Operand): DlArray
export function mtimes(A: Operand, B: Operand): DlArray {
  return scoped(() =>
    product(arrayBeside(A, B, { call: 'mtimes', path: 'A' }), arrayBeside(B, A, { call: 'mtimes', path: 'B' })),
  )
}

function product(A: Operand, B: Operand): DlArray {
  if (!isdlarray(A) || !isdlarray(B)) return call(timesOperation, { A, B })
  const scalarOf = (X: DlArray) => X.dims === '' && X.numel === 1
  if (scalarOf(A) || scalarOf(B)) return call(timesOperation, { A, B })
  if (A.dims !== '' || B.dims !== '' || A.ndims > 2 || B.ndims > 2 || A.size[1] !== B.size[0])
    throw new DimensionError({
      call: 'mtimes',
      expects: 'two unformatted matrices, as many columns of A as rows of B, or a scalar and an array',
      got: `${describe(A)} times ${describe(B)}`,
      remedy:
        A.dims !== '' || B.dims !== ''
          ? 'Use stripdims first, or fullyconnect.'
          : A.ndims > 2 || B.ndims > 2
            ? 'Use pagemtimes for arrays with pages.'
            : 'Transpose one of them, or use times for element-wise products.',
    })
  return pagemtimesOperation.run({ A, B })
}
