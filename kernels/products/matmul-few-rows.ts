// Matrix product with few rows (a last layer of ten classes: its result and the gradient for its weights), single precision:
//
//   C[m, n] = biasRows[m] + sum over k of A[m, k] B[k, n],  m of at most 12
//
// B is read where it is, for every element is needed once: to bring it into panels first, as kernels/products/matmul.ts does, would
// cost as much as the product. A is small and packed, 4, 8 or 12 rows for each k. Strides as in matmul.ts; rows of C are
// neighbours.
import { storeUpTo } from '../lanes';
import { scratch } from '../scratch';
import { BLOCK_K, copyFloats, runLength, zeroFloats } from './tile';

@unmanaged class MatmulFewRowsBlock {
  a: usize;
  b: usize;
  c: usize;
  biasRows: usize; // m floats, or 0
  m: i32; // 1 to 12
  n: i32;
  k: i32;
  aRow: i32; // strides in elements
  aColumn: i32;
  bRow: i32;
  bColumn: i32;
  cColumn: i32;
  blockColumns: i32; // columns of C per work item, at most 1024
}

// Adds to `to` the products of 12 rows and the columns at b0, b1, b2: 12 floats for each column.
function rows12(a: usize, b0: usize, b1: usize, b2: usize, step: usize, k: i32, to: usize): void {
  let s00 = f32x4.splat(0);
  let s10 = s00;
  let s20 = s00;
  let s01 = s00;
  let s11 = s00;
  let s21 = s00;
  let s02 = s00;
  let s12 = s00;
  let s22 = s00;
  for (; k > 0; k--) {
    const x0 = v128.load(a);
    const x1 = v128.load(a, 16);
    const x2 = v128.load(a, 32);
    let y = v128.load32_splat(b0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s10 = f32x4.add(s10, f32x4.mul(x1, y));
    s20 = f32x4.add(s20, f32x4.mul(x2, y));
    y = v128.load32_splat(b1);
    s01 = f32x4.add(s01, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    s21 = f32x4.add(s21, f32x4.mul(x2, y));
    y = v128.load32_splat(b2);
    s02 = f32x4.add(s02, f32x4.mul(x0, y));
    s12 = f32x4.add(s12, f32x4.mul(x1, y));
    s22 = f32x4.add(s22, f32x4.mul(x2, y));
    a += 48;
    b0 += step;
    b1 += step;
    b2 += step;
  }
  v128.store(to, f32x4.add(v128.load(to), s00));
  v128.store(to, f32x4.add(v128.load(to, 16), s10), 16);
  v128.store(to, f32x4.add(v128.load(to, 32), s20), 32);
  v128.store(to, f32x4.add(v128.load(to, 48), s01), 48);
  v128.store(to, f32x4.add(v128.load(to, 64), s11), 64);
  v128.store(to, f32x4.add(v128.load(to, 80), s21), 80);
  v128.store(to, f32x4.add(v128.load(to, 96), s02), 96);
  v128.store(to, f32x4.add(v128.load(to, 112), s12), 112);
  v128.store(to, f32x4.add(v128.load(to, 128), s22), 128);
}

function rows8(a: usize, b0: usize, b1: usize, b2: usize, step: usize, k: i32, to: usize): void {
  let s00 = f32x4.splat(0);
  let s10 = s00;
  let s01 = s00;
  let s11 = s00;
  let s02 = s00;
  let s12 = s00;
  for (; k > 0; k--) {
    const x0 = v128.load(a);
    const x1 = v128.load(a, 16);
    let y = v128.load32_splat(b0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s10 = f32x4.add(s10, f32x4.mul(x1, y));
    y = v128.load32_splat(b1);
    s01 = f32x4.add(s01, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    y = v128.load32_splat(b2);
    s02 = f32x4.add(s02, f32x4.mul(x0, y));
    s12 = f32x4.add(s12, f32x4.mul(x1, y));
    a += 32;
    b0 += step;
    b1 += step;
    b2 += step;
  }
  v128.store(to, f32x4.add(v128.load(to), s00));
  v128.store(to, f32x4.add(v128.load(to, 16), s10), 16);
  v128.store(to, f32x4.add(v128.load(to, 32), s01), 32);
  v128.store(to, f32x4.add(v128.load(to, 48), s11), 48);
  v128.store(to, f32x4.add(v128.load(to, 64), s02), 64);
  v128.store(to, f32x4.add(v128.load(to, 80), s12), 80);
}

function rows4(a: usize, b0: usize, b1: usize, b2: usize, step: usize, k: i32, to: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  for (; k > 0; k--) {
    const x = v128.load(a);
    s0 = f32x4.add(s0, f32x4.mul(x, v128.load32_splat(b0)));
    s1 = f32x4.add(s1, f32x4.mul(x, v128.load32_splat(b1)));
    s2 = f32x4.add(s2, f32x4.mul(x, v128.load32_splat(b2)));
    a += 16;
    b0 += step;
    b1 += step;
    b2 += step;
  }
  v128.store(to, f32x4.add(v128.load(to), s0));
  v128.store(to, f32x4.add(v128.load(to, 16), s1), 16);
  v128.store(to, f32x4.add(v128.load(to, 32), s2), 32);
}

/**
 * Work item: `blockColumns` columns of C. Preconditions: addresses of floats; 1 <= m <= 12; k may be 0. Tails: rows are
 * completed with zeros to 4, 8 or 12; where fewer than 3 columns are left the first of them is computed again in their place.
 * Order of summation: k ascending in runs of at most 256, each run summed from zero, then added to the runs before it; the bias
 * comes first. It depends on k alone.
 */
export function matmulFewRows(block: MatmulFewRowsBlock, begin: i32, end: i32): void {
  const m = block.m;
  const rows = (m + 3) & ~3;
  const line = (rows as usize) << 2;
  const packed = scratch;
  const sums = packed + BLOCK_K * 48;
  const bRow = (block.bRow as usize) << 2;
  const bColumn = (block.bColumn as usize) << 2;
  const run = runLength(block.k);
  for (let item = begin; item < end; item++) {
    const n0 = item * block.blockColumns;
    const columns = min(block.n - n0, block.blockColumns);
    for (let j = 0, at = sums; j < columns + 2; j++) {
      zeroFloats(at, rows);
      if (block.biasRows) copyFloats(at, block.biasRows, m);
      at += line;
    }
    for (let k0 = 0; k0 < block.k; k0 += run) {
      const k = min(run, block.k - k0);
      let from = block.a + (((k0 * block.aColumn) as usize) << 2);
      let i = 0;
      let packing = packed;
      // whole vectors: what is behind the rows ends up in lanes that nobody stores, but nothing is read behind A
      const whole = block.aRow == 1 && block.aColumn >= m ? min(k, block.k - 1 - k0 - (rows - m) / m) : 0;
      for (; i < whole; i++) {
        v128.store(packing, v128.load(from));
        if (rows > 4) v128.store(packing, v128.load(from, 16), 16);
        if (rows > 8) v128.store(packing, v128.load(from, 32), 32);
        from += block.aColumn << 2;
        packing += line;
      }
      for (; i < k; i++) {
        if (block.aRow == 1) copyFloats(packing, from, m);
        else for (let r = 0; r < m; r++) store<f32>(packing + (r << 2), load<f32>(from + ((r * block.aRow) << 2)));
        for (let r = m; r < rows; r++) store<f32>(packing + (r << 2), 0);
        from += block.aColumn << 2;
        packing += line;
      }
      let b0 = block.b + (n0 as usize) * bColumn + (k0 as usize) * bRow;
      let to = sums;
      for (let j = 0; j < columns; j += 3) {
        const b1 = j + 1 < columns ? b0 + bColumn : b0;
        const b2 = j + 2 < columns ? b1 + bColumn : b0;
        if (rows == 12) rows12(packed, b0, b1, b2, bRow, k, to);
        else if (rows == 8) rows8(packed, b0, b1, b2, bRow, k, to);
        else rows4(packed, b0, b1, b2, bRow, k, to);
        b0 += 3 * bColumn;
        to += 3 * line;
      }
    }
    let c = block.c + (((n0 * block.cColumn) as usize) << 2);
    for (let j = 0, at = sums; j < columns; j++) {
      for (let i = 0; i < m; i += 4) storeUpTo(c + (i << 2), v128.load(at + (i << 2)), m - i);
      c += block.cColumn << 2;
      at += line;
    }
  }
}
