// The register tile that the matrix product and the convolutions share, and the copies that fill its operands.
//
// Left operand: a block of up to BLOCK_ROWS rows, packed as one line of BLOCK_ROWS floats per k (row fastest).
// Right operand: panels of 4 columns, packed as 4 floats per k. A tile is 8 rows by 4 columns: 8 accumulators of 4
// lanes, two loads and four broadcasts per k. Larger tiles do not fit the 16 vector registers of x86 and spill.
// Products are summed over k one after the other, from zero, in f32; the sum is then added to bias or destination.
import { storeTurned } from '../lanes';

/** Rows of a packed block of the left operand. 96 floats are 6 cache lines: an odd multiple of 2, so that a tile's
 * 256 lines spread over half of the sets of a first-level cache instead of colliding. */
export const BLOCK_ROWS: i32 = 96;

/** Longest run of k between two updates of the destination: 8 rows and 4 columns of it stay in the first-level cache. */
export const BLOCK_K: i32 = 256;

/** Length of the runs into which k is cut: as equal as possible, at most BLOCK_K, a multiple of 4 unless the last. */
@inline
export function runLength(k: i32): i32 {
  const runs = max((k + BLOCK_K - 1) / BLOCK_K, 1);
  return max(((k + runs - 1) / runs + 3) & ~3, 4);
}

/**
 * c[i, j] = bias[j] + sum over k of a[i, k] b[k, j] for 8 rows i and 4 columns j; without bias (0) the sum is added to
 * c. Rows of c are contiguous, columns cColumn bytes apart. No alignment needed.
 */
export function tile(a: usize, b: usize, k: i32, c: usize, cColumn: usize, bias: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  let x0: v128;
  let x1: v128;
  let y: v128;
  // Not unrolled: V8 then keeps all of it in registers (unrolled four times it lost a quarter of its speed).
  for (; k > 0; k--) {
    x0 = v128.load(a, 0);
    x1 = v128.load(a, 16);
    y = v128.load32_splat(b, 0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s01 = f32x4.add(s01, f32x4.mul(x1, y));
    y = v128.load32_splat(b, 4);
    s10 = f32x4.add(s10, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    y = v128.load32_splat(b, 8);
    s20 = f32x4.add(s20, f32x4.mul(x0, y));
    s21 = f32x4.add(s21, f32x4.mul(x1, y));
    y = v128.load32_splat(b, 12);
    s30 = f32x4.add(s30, f32x4.mul(x0, y));
    s31 = f32x4.add(s31, f32x4.mul(x1, y));
    a += BLOCK_ROWS * 4;
    b += 16;
  }
  const c1 = c + cColumn;
  const c2 = c1 + cColumn;
  const c3 = c2 + cColumn;
  if (bias) {
    y = v128.load32_splat(bias, 0);
    v128.store(c, f32x4.add(y, s00), 0);
    v128.store(c, f32x4.add(y, s01), 16);
    y = v128.load32_splat(bias, 4);
    v128.store(c1, f32x4.add(y, s10), 0);
    v128.store(c1, f32x4.add(y, s11), 16);
    y = v128.load32_splat(bias, 8);
    v128.store(c2, f32x4.add(y, s20), 0);
    v128.store(c2, f32x4.add(y, s21), 16);
    y = v128.load32_splat(bias, 12);
    v128.store(c3, f32x4.add(y, s30), 0);
    v128.store(c3, f32x4.add(y, s31), 16);
  } else {
    v128.store(c, f32x4.add(v128.load(c, 0), s00), 0);
    v128.store(c, f32x4.add(v128.load(c, 16), s01), 16);
    v128.store(c1, f32x4.add(v128.load(c1, 0), s10), 0);
    v128.store(c1, f32x4.add(v128.load(c1, 16), s11), 16);
    v128.store(c2, f32x4.add(v128.load(c2, 0), s20), 0);
    v128.store(c2, f32x4.add(v128.load(c2, 16), s21), 16);
    v128.store(c3, f32x4.add(v128.load(c3, 0), s30), 0);
    v128.store(c3, f32x4.add(v128.load(c3, 16), s31), 16);
  }
}

/**
 * The same for 8 rows and the first column of a panel only (one filter per group): the other three columns of b are
 * not read, so that a depthwise convolution does not pay for them. The same additions in the same order as in tile.
 */
export function tileColumn(a: usize, b: usize, k: i32, c: usize, bias: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  for (; k > 0; k--) {
    const y = v128.load32_splat(b);
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a, 0), y));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a, 16), y));
    a += BLOCK_ROWS * 4;
    b += 16;
  }
  if (bias) {
    const y = v128.load32_splat(bias);
    v128.store(c, f32x4.add(y, s0), 0);
    v128.store(c, f32x4.add(y, s1), 16);
  } else {
    v128.store(c, f32x4.add(v128.load(c, 0), s0), 0);
    v128.store(c, f32x4.add(v128.load(c, 16), s1), 16);
  }
}

/** Copies `count` floats; reads and writes nothing outside of them. */
@inline
export function copyFloats(to: usize, from: usize, count: i32): void {
  if (count >= 4) {
    const last = ((count - 4) as usize) << 2;
    for (let i: usize = 0; i < last; i += 16) v128.store(to + i, v128.load(from + i));
    v128.store(to + last, v128.load(from + last));
  } else {
    for (let i: usize = 0, bytes = (count as usize) << 2; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i));
  }
}

/** Sets `count` floats to zero. */
@inline
export function zeroFloats(to: usize, count: i32): void {
  if (count >= 4) {
    const last = ((count - 4) as usize) << 2;
    for (let i: usize = 0; i < last; i += 16) v128.store(to + i, f32x4.splat(0));
    v128.store(to + last, f32x4.splat(0));
  } else {
    for (let i: usize = 0, bytes = ((max(count, 0)) as usize) << 2; i < bytes; i += 4) store<f32>(to + i, 0);
  }
}

/** Copies `count` floats of a line of the image from coordinate h on, zeros where there is no image. */
@inline
export function copyLine(to: usize, line: usize, h: i32, height: i32, count: i32): void {
  const lo = min(max(-h, 0), count);
  const hi = max(min(height - h, count), lo);
  zeroFloats(to, lo);
  if (hi > lo) copyFloats(to + (lo << 2), line + ((h + lo) << 2), hi - lo);
  zeroFloats(to + (hi << 2), count - hi);
}

/** Writes the 4 x 4 block whose columns start at a, b, c, d (4 floats each) transposed: rows `line` bytes apart. */
@inline
export function transpose4(a: usize, b: usize, c: usize, d: usize, to: usize, line: usize): void {
  storeTurned(to, line, v128.load(a), v128.load(b), v128.load(c), v128.load(d));
}

/** Lane i of the result is the sum of the lanes of the i-th argument: (0 + 2) + (1 + 3). */
@inline
export function sumLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}
