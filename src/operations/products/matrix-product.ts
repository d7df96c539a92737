import type { Elements } from '../../array/storage.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'

/** C = A B + bias of each row, for every page; element (i, j) of A lies at i aRow + j aColumn, and so on. */
export interface MatrixProduct {
  /** C is m by n, and k terms go into each of its elements. */
  readonly m: number
  readonly n: number
  readonly k: number
  readonly aRow: number
  readonly aColumn: number
  readonly bRow: number
  readonly bColumn: number
  readonly cRow: number
  readonly cColumn: number
  /** The page of A and of B that makes each page of C. */
  readonly pagesA: readonly number[]
  readonly pagesB: readonly number[]
}

/** The product of column-major matrices, or of their transposes. */
export function matrixProduct(
  m: number,
  n: number,
  k: number,
  transposeA: boolean,
  transposeB: boolean,
  pagesA: readonly number[] = [0],
  pagesB: readonly number[] = [0],
): MatrixProduct {
  return {
    m,
    n,
    k,
    aRow: transposeA ? k : 1,
    aColumn: transposeA ? 1 : m,
    bRow: transposeB ? n : 1,
    bColumn: transposeB ? 1 : k,
    cRow: 1,
    cColumn: m,
    pagesA,
    pagesB,
  }
}

/** The product as plain loops, totals in float64. */
export function referenceMatrixProduct(
  p: MatrixProduct,
  A: Elements,
  B: Elements,
  bias: Elements | undefined,
  C: Elements,
): void {
  const { m, n, k } = p
  const totals = new Float64Array(m)
  p.pagesA.forEach((pageA, page) => {
    const a = pageA * m * k
    const b = p.pagesB[page]! * k * n
    for (let j = 0; j < n; j++) {
      totals.fill(0)
      for (let l = 0; l < k; l++) {
        const factor = B[b + l * p.bRow + j * p.bColumn]!
        for (let i = 0; i < m; i++) totals[i]! += A[a + i * p.aRow + l * p.aColumn]! * factor
      }
      for (let i = 0; i < m; i++) C[page * m * n + i * p.cRow + j * p.cColumn] = totals[i]! + (bias ? bias[i]! : 0)
    }
  })
}

/** Rows of C in a work item, fixed in kernels/products/matmul.ts, and columns unless that leaves threads without work. */
const BLOCK_ROWS = 96
const BLOCK_COLUMNS = 128
const ENOUGH_ITEMS = 16

/** Most rows of C for kernels/products/matmul-few-rows.ts, and columns from which it pays. */
const FEW_ROWS = 12
const MANY_COLUMNS = 24

interface Addresses {
  readonly A: number
  readonly B: number
  /** 0 for none. */
  readonly bias: number
  readonly C: number
}

/** Runs the product on the kernels. How the work is cut depends on sizes alone. */
export function launchMatrixProduct(wasm: WasmBackend, p: MatrixProduct, at: Addresses): void {
  const { m, n, k, pagesA, pagesB } = p
  const stepA = pagesA[1] ?? 0
  const stepB = pagesB[1] ?? 0
  const regular = pagesA.every((page, i) => page === i * stepA) && pagesB.every((page, i) => page === i * stepB)
  if (m <= FEW_ROWS && n >= MANY_COLUMNS && k > 0 && p.cRow === 1 && pagesA.length === 1) {
    launchFewRows(wasm, p, { ...at, A: at.A + 4 * pagesA[0]! * m * k, B: at.B + 4 * pagesB[0]! * k * n })
    return
  }
  const launch = (pages: number, A: number, B: number, C: number) => {
    const whole = {
      a: A,
      b: B,
      c: C,
      biasRows: at.bias,
      biasColumns: 0,
      m,
      n,
      k,
      aRow: p.aRow,
      aColumn: p.aColumn,
      bRow: p.bRow,
      bColumn: p.bColumn,
      cRow: p.cRow,
      cColumn: p.cColumn,
      aPage: stepA * m * k,
      bPage: stepB * k * n,
      cPage: m * n,
      accumulate: 0,
    }
    const block = cost(n, m, k, p.cColumn, false) < cost(m, n, k, p.cRow, at.bias !== 0) ? turned(whole) : whole
    const rowBlocks = Math.ceil(block.m / BLOCK_ROWS)
    const wanted = Math.ceil(ENOUGH_ITEMS / Math.max(1, rowBlocks * pages))
    const blockColumns = Math.max(8, Math.min(BLOCK_COLUMNS, 4 * Math.ceil(block.n / (4 * wanted))))
    wasm.launch(
      'matmul',
      { ...block, blockColumns },
      { items: rowBlocks * Math.ceil(block.n / blockColumns) * pages, grain: grainOf(m, n, k) },
    )
  }
  if (regular) launch(pagesA.length, at.A, at.B, at.C)
  else
    pagesA.forEach((pageA, page) => {
      launch(1, at.A + 4 * pageA * m * k, at.B + 4 * pagesB[page]! * k * n, at.C + 4 * page * m * n)
    })
}

function launchFewRows(wasm: WasmBackend, p: MatrixProduct, at: Addresses): void {
  const { m, n, k, aRow, aColumn, bRow, bColumn, cColumn } = p
  // Packing A again for every item costs little from 24 columns on.
  const blockColumns = Math.min(192, Math.max(24, 3 * Math.ceil(n / (3 * ENOUGH_ITEMS))))
  wasm.launch(
    'matmulFewRows',
    { a: at.A, b: at.B, c: at.C, biasRows: at.bias, m, n, k, aRow, aColumn, bRow, bColumn, cColumn, blockColumns },
    { items: Math.ceil(n / blockColumns), grain: grainOf(m, blockColumns, k) },
  )
}

/** Products too small for waking a second thread are one piece of work. */
function grainOf(m: number, n: number, k: number): number | undefined {
  const products = Math.min(m, BLOCK_ROWS) * Math.min(n, BLOCK_COLUMNS) * Math.max(k, 1)
  return products >= 2 ** 18 ? 1 : Math.ceil(2 ** 18 / Math.max(products, 1))
}

/** Instructions that an m by n product takes: tiles of 8 by 4, and more where results are not stored side by side. */
function cost(m: number, n: number, k: number, cRow: number, bias: boolean): number {
  return Math.ceil(m / 8) * Math.ceil(n / 4) * (22 * k + (cRow === 1 && !bias ? 12 : 130))
}

/** The same product with rows and columns exchanged: C' = B' A'. */
function turned<
  T extends Record<
    | 'a'
    | 'b'
    | 'm'
    | 'n'
    | 'aRow'
    | 'aColumn'
    | 'bRow'
    | 'bColumn'
    | 'cRow'
    | 'cColumn'
    | 'aPage'
    | 'bPage'
    | 'biasRows'
    | 'biasColumns',
    number
  >,
>(block: T): T {
  return {
    ...block,
    a: block.b,
    b: block.a,
    m: block.n,
    n: block.m,
    aRow: block.bColumn,
    aColumn: block.bRow,
    bRow: block.aColumn,
    bColumn: block.aRow,
    cRow: block.cColumn,
    cColumn: block.cRow,
    aPage: block.bPage,
    bPage: block.aPage,
    biasRows: block.biasColumns,
    biasColumns: block.biasRows,
  }
}
