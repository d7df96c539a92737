import { checkArray, type DlArray } from '../../array/dlarray.js'
import { describe, normalized } from '../../array/format.js'
import { asText, DimensionError, OptionError } from '../../errors.js'
import { call } from '../call.js'
import { timesOperation } from '../elementwise/arithmetic.js'
import { operation, resultType } from '../operation.js'
import { launchMatrixProduct, matrixProduct, referenceMatrixProduct } from './matrix-product.js'

/** Y = op(A) op(B) for every page, where op transposes or not; pages expand. Gradients come back expanded. */
export const pagemtimesOperation = operation({
  name: 'pagemtimes',
  inputs: ['A', 'B'],
  outputs: ['Y'],
  options: { transposeA: false, transposeB: false },
  rule({ A, B }, { transposeA, transposeB }) {
    const [rowsA = 1, columnsA = 1, ...pagesA] = A.size
    const [rowsB = 1, columnsB = 1, ...pagesB] = B.size
    const m = transposeA ? columnsA : rowsA
    const k = transposeA ? rowsA : columnsA
    const n = transposeB ? rowsB : columnsB
    const inner = transposeB ? columnsB : rowsB
    const rank = Math.max(pagesA.length, pagesB.length)
    const pages = Array.from({ length: rank }, (_, d) => expanded(pagesA[d] ?? 1, pagesB[d] ?? 1))
    if (k !== inner || pages.includes(undefined) || A.dims !== '' || B.dims !== '')
      throw new DimensionError({
        call: 'pagemtimes',
        expects: 'unformatted arrays: as many columns of A as rows of B, and pages that are equal or 1',
        got: `${describe(A)}${transposeA ? ', transposed,' : ''} times ${describe(B)}${transposeB ? ', transposed' : ''}`,
        remedy:
          A.dims !== '' || B.dims !== ''
            ? 'Use stripdims first, or fullyconnect.'
            : 'Transpose or reshape one of them.',
      })
    const size = [m, n, ...(pages as number[])]
    const plan = matrixProduct(
      m,
      n,
      k,
      transposeA,
      transposeB,
      pageOrder(pages as number[], pagesA),
      pageOrder(pages as number[], pagesB),
    )
    return { outputs: [{ ...normalized(size, ''), type: resultType([A, B]) }], plan }
  },
  saves: ['A', 'B'],
  gradient: {
    A: ({ gradient: dY, saved: { B }, options: { transposeA, transposeB } }) =>
      transposeA ? paged(B, transposeB, dY, true) : paged(dY, false, B, !transposeB),
    B: ({ gradient: dY, saved: { A }, options: { transposeA, transposeB } }) =>
      transposeB ? paged(dY, true, A, transposeA) : paged(A, !transposeA, dY, false),
  },
  kernels: {
    reference({ inputs: { A, B }, outputs: { Y }, plan }) {
      referenceMatrixProduct(plan, A, B, undefined, Y)
    },
    wasm({ inputs: { A, B }, outputs: { Y }, plan, wasm }) {
      launchMatrixProduct(wasm, plan, { A, B, bias: 0, C: Y })
    },
  },
  samples: () => [
    pair([5, 7], [7, 3]),
    pair([7, 5], [7, 3], { transposeA: true }),
    pair([5, 7], [3, 7], { transposeB: true }),
    pair([7, 5], [3, 7], { transposeA: true, transposeB: true }),
    pair([4, 3, 2], [3, 5]),
    pair([4, 3, 2, 1], [3, 5, 1, 3]),
    pair([4, 3, 1, 2], [3, 5, 3, 2]),
    pair([1, 1], [1, 1]),
    pair([17, 33], [33, 9]),
    pair([3, 0], [0, 2]),
  ],
})

function pair(
  A: readonly number[],
  B: readonly number[],
  options: { transposeA?: boolean; transposeB?: boolean } = {},
) {
  return { inputs: { A: { size: A }, B: { size: B } }, options }
}

function paged(A: DlArray, transposeA: boolean, B: DlArray, transposeB: boolean): DlArray {
  return pagemtimesOperation.run({ A, B }, { transposeA, transposeB })
}

function expanded(a: number, b: number): number | undefined {
  return a === b || b === 1 ? a : a === 1 ? b : undefined
}

/** For each page of the result, the page of an operand whose own page dimensions are `own`. */
function pageOrder(pages: readonly number[], own: readonly number[]): number[] {
  let order = [0]
  let step = 1
  pages.forEach((extent, d) => {
    const extentOwn = own[d] ?? 1
    const stride = extentOwn === 1 ? 0 : step
    order = Array.from({ length: extent }, (_, i) => order.map((page) => page + i * stride)).flat()
    step *= extentOwn
  })
  return order
}

/** Whether a page is transposed before the product; arrays are real, so MATLAB's `'ctranspose'` is the same. */
export type PageTranspose = 'none' | 'transpose' | 'ctranspose'

/**
 * The matrix product of every page: Y(:, :, p) = A(:, :, p) B(:, :, p), where an array without pages serves all pages of the
 * other. `pagemtimes(A, transposeA, B, transposeB)` transposes pages first.
 *
 * Both arrays unformatted; a formatted one only with an unformatted scalar. Errors: a {@link DimensionError} for sizes that do
 * not fit. Source: MATLAB, `pagemtimes`.
 */
export function pagemtimes(A: DlArray, B: DlArray): DlArray
export function pagemtimes(A: DlArray, transposeA: PageTranspose, B: DlArray, transposeB: PageTranspose): DlArray
export function pagemtimes(A: DlArray, ...rest: [DlArray] | [PageTranspose, DlArray, PageTranspose]): DlArray {
  const [first, B, second] = rest.length === 1 ? (['none', rest[0], 'none'] as const) : rest
  const options = { transposeA: isTransposed(first), transposeB: isTransposed(second) }
  checkArray(A, 'pagemtimes', 'A')
  checkArray(B, 'pagemtimes', 'B')
  const formatted = A.dims !== '' ? A : B
  const other = formatted === A ? B : A
  if (formatted.dims !== '' && other.dims === '' && other.numel === 1) return call(timesOperation, { A, B })
  return call(pagemtimesOperation, { A, B }, options)
}

function isTransposed(choice: PageTranspose): boolean {
  if (choice !== 'none' && choice !== 'transpose' && choice !== 'ctranspose')
    throw new OptionError({
      call: 'pagemtimes',
      expects: "'none', 'transpose' or 'ctranspose' after each array",
      got: asText(choice),
      remedy: "Write pagemtimes(A, 'transpose', B, 'none').",
    })
  return choice !== 'none'
}
