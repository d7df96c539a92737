// Matrix product of every page p, single precision:
//
//   C[m, n, p] = (accumulate ? C[m, n, p] : 0) + biasRows[m] + biasColumns[n] + sum over k of A[m, k, p] B[k, n, p]
//
// Element (i, j) of a matrix lies at i * row + j * column (in elements), so that transposition is an exchange of two
// strides, of A and B as of C. Fast when one of the two strides of each matrix is 1; right for any strides.
// C may not overlap A or B.
import { scratch } from '../scratch';
import { BLOCK_K, BLOCK_ROWS, copyFloats, runLength, tile, transpose4, zeroFloats } from './tile';

/** Most columns of C one work item may own: the packed panels of B then fit the working memory. */
const MOST_COLUMNS: i32 = 512;

@unmanaged class MatmulBlock {
  a: usize;
  b: usize;
  c: usize;
  biasRows: usize; // m floats, or 0
  biasColumns: usize; // n floats, or 0
  m: i32;
  n: i32;
  k: i32;
  aRow: i32; // strides in elements
  aColumn: i32;
  bRow: i32;
  bColumn: i32;
  cRow: i32;
  cColumn: i32;
  aPage: i32; // elements from one page to the next; 0 repeats the same page
  bPage: i32;
  cPage: i32;
  accumulate: i32; // 1: add to C
  blockColumns: i32; // columns of C per work item, a multiple of 4, at most 512
}

// Lines of BLOCK_ROWS floats, one per k, filled for `rows` rows and zero up to the next multiple of 8.
function packRows(a: usize, row: usize, column: usize, rows: i32, k: i32, to: usize): void {
  const line: usize = BLOCK_ROWS * 4;
  const padded = (rows + 7) & ~7;
  if (row == 4) {
    for (let i = 0; i < k; i++) {
      copyFloats(to, a, rows);
      if (padded > rows) zeroFloats(to + ((rows as usize) << 2), padded - rows);
      a += column;
      to += line;
    }
    return;
  }
  let m = 0;
  if (column == 4) {
    const whole = k & ~3;
    for (; m + 4 <= rows; m += 4) {
      const from = a + (m as usize) * row;
      const at = to + ((m as usize) << 2);
      for (let i = 0; i < whole; i += 4) {
        const x = from + ((i as usize) << 2);
        transpose4(x, x + row, x + 2 * row, x + 3 * row, at + (i as usize) * line, line);
      }
      for (let i = whole; i < k; i++)
        for (let j = 0; j < 4; j++)
          store<f32>(at + (i as usize) * line + (j << 2), load<f32>(from + (j as usize) * row + ((i as usize) << 2)));
    }
  }
  for (; m < padded; m++) {
    let from = a + (m as usize) * row;
    let at = to + ((m as usize) << 2);
    for (let i = 0; i < k; i++) {
      store<f32>(at, m < rows ? load<f32>(from) : 0);
      from += column;
      at += line;
    }
  }
}

// Panels of 4 columns, 4 floats per k, one panel after the other; the last panel is completed with zeros.
function packColumns(b: usize, row: usize, column: usize, columns: i32, k: i32, to: usize): void {
  for (let n = 0; n < columns; n += 4) {
    let from = b + (n as usize) * column;
    const width = min(columns - n, 4);
    let i = 0;
    if (width == 4 && column == 4) {
      for (; i < k; i++) {
        v128.store(to, v128.load(from));
        from += row;
        to += 16;
      }
    } else if (width == 4 && row == 4) {
      for (; i + 4 <= k; i += 4) {
        transpose4(from, from + column, from + 2 * column, from + 3 * column, to, 16);
        from += 16;
        to += 64;
      }
    }
    for (; i < k; i++) {
      for (let j = 0; j < 4; j++)
        store<f32>(to + ((j as usize) << 2), j < width ? load<f32>(from + (j as usize) * column) : 0);
      from += row;
      to += 16;
    }
  }
}

/**
 * One work item: a block of 96 rows by `blockColumns` columns of one page of C; items run over the blocks of rows
 * first, then over the blocks of columns, then over the pages. Each item packs its own share of A and B.
 * Preconditions: addresses of floats (alignment 4 is enough); blockColumns a multiple of 4 in 4..512; k may be 0.
 * Tails: operands are completed with zeros to 8 rows and 4 columns; the tile goes through working memory and only
 * the part inside C is stored. Order of summation: k ascending in runs of at most 256, each run summed from zero, then
 * added to C; it depends on k alone.
 */
export function matmul(block: MatmulBlock, begin: i32, end: i32): void {
  const rowBlocks = (block.m + BLOCK_ROWS - 1) / BLOCK_ROWS;
  const columnBlocks = (block.n + block.blockColumns - 1) / block.blockColumns;
  const packedA = scratch;
  const packedB = packedA + BLOCK_ROWS * BLOCK_K * 4;
  const partial = packedB + MOST_COLUMNS * BLOCK_K * 4;
  const bias = partial + 128;
  const aRow = (block.aRow as usize) << 2;
  const aColumn = (block.aColumn as usize) << 2;
  const bRow = (block.bRow as usize) << 2;
  const bColumn = (block.bColumn as usize) << 2;
  const cRow = (block.cRow as usize) << 2;
  const cColumn = (block.cColumn as usize) << 2;
  const run = runLength(block.k);
  for (let item = begin; item < end; item++) {
    const m0 = (item % rowBlocks) * BLOCK_ROWS;
    const n0 = ((item / rowBlocks) % columnBlocks) * block.blockColumns;
    const page = (item / rowBlocks / columnBlocks) as usize;
    const rows = min(block.m - m0, BLOCK_ROWS);
    const columns = min(block.n - n0, block.blockColumns);
    const a = block.a + ((page * (block.aPage as usize)) << 2) + (m0 as usize) * aRow;
    const b = block.b + ((page * (block.bPage as usize)) << 2) + (n0 as usize) * bColumn;
    const c = block.c + ((page * (block.cPage as usize)) << 2) + (m0 as usize) * cRow + (n0 as usize) * cColumn;
    let k0 = 0;
    do {
      const k = min(run, block.k - k0);
      packRows(a + (k0 as usize) * aColumn, aRow, aColumn, rows, k, packedA);
      packColumns(b + (k0 as usize) * bRow, bRow, bColumn, columns, k, packedB);
      const first = k0 == 0 && !block.accumulate;
      for (let m = 0; m < rows; m += 8) {
        const packedRows = packedA + ((m as usize) << 2);
        for (let n = 0; n < columns; n += 4) {
          const panel = packedB + (((n as usize) * (k as usize)) << 2);
          const to = c + (m as usize) * cRow + (n as usize) * cColumn;
          if (first || (k0 == 0 && block.biasColumns))
            for (let j = 0; j < 4; j++)
              store<f32>(bias + ((j as usize) << 2), block.biasColumns && n + j < columns
                ? load<f32>(block.biasColumns + (((n0 + n + j) as usize) << 2)) : 0);
          const wholeTile = cRow == 4 && m + 8 <= rows && n + 4 <= columns;
          const plain = !block.biasRows || k0 != 0;
          if (wholeTile && plain && (first || k0 != 0 || !block.biasColumns)) {
            tile(packedRows, panel, k, to, cColumn, first ? bias : 0);
            continue;
          }
          if (k0 != 0 || (block.accumulate && !block.biasColumns)) memory.fill(bias, 0, 16);
          tile(packedRows, panel, k, partial, 32, bias);
          const height = min(rows - m, 8);
          const width = min(columns - n, 4);
          for (let j = 0; j < width; j++)
            for (let i = 0; i < height; i++) {
              const at = to + (i as usize) * cRow + (j as usize) * cColumn;
              let value = load<f32>(partial + (((j * 8 + i) as usize) << 2));
              if (!plain) value += load<f32>(block.biasRows + (((m0 + m + i) as usize) << 2));
              store<f32>(at, first ? value : load<f32>(at) + value);
            }
        }
      }
      k0 += run;
    } while (k0 < block.k);
  }
}
