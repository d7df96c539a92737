// Vectors of four: turned round, joined, and parts of them. The one to three elements that are left at the end of a run go
// through the same vector code as all others, in a vector whose remaining lanes are 0 and are not written back.

/** The same number in all lanes. */
@inline
export function splat(value: f32): v128 {
  return f32x4.splat(value);
}

/** `count` (1 to 3) floats in the first lanes, 0 in the others. */
@inline
export function loadPart(address: usize, count: i32): v128 {
  let lanes = v128.load32_zero(address);
  if (count > 1) lanes = v128.load_lane<f32>(address + 4, lanes, 1);
  if (count > 2) lanes = v128.load_lane<f32>(address + 8, lanes, 2);
  return lanes;
}

/** The first `count` (1 to 3) lanes. */
@inline
export function storePart(address: usize, lanes: v128, count: i32): void {
  v128.store_lane<f32>(address, lanes, 0);
  if (count > 1) v128.store_lane<f32>(address + 4, lanes, 1);
  if (count > 2) v128.store_lane<f32>(address + 8, lanes, 2);
}

/** Four floats, or as many as are left. */
@inline
export function loadUpTo(address: usize, left: i32): v128 {
  return left >= 4 ? v128.load(address) : loadPart(address, left);
}

/** Four lanes, or as many as are left. */
@inline
export function storeUpTo(address: usize, lanes: v128, left: i32): void {
  if (left >= 4) v128.store(address, lanes);
  else storePart(address, lanes, left);
}

/** Ones in the bits of the first `count` lanes. */
@inline
export function maskPart(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** The last two lanes in front. */
@inline
export function upperHalf(lanes: v128): v128 {
  return v128.shuffle<f32>(lanes, lanes, 2, 3, 2, 3);
}

/** The least of four lanes without a NaN. */
@inline
export function leastOf(lanes: v128): f32 {
  const two = f32x4.pmin(lanes, upperHalf(lanes));
  return min<f32>(f32x4.extract_lane(two, 0), f32x4.extract_lane(two, 1));
}

/** The greatest of four lanes without a NaN. */
@inline
export function mostOf(lanes: v128): f32 {
  const two = f32x4.pmax(lanes, upperHalf(lanes));
  return max<f32>(f32x4.extract_lane(two, 0), f32x4.extract_lane(two, 1));
}

/** Two pairs of float64 as four floats. */
@inline
export function joinHalves(low: v128, high: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** The sum of four lanes in float64: the first two, the last two, then both. */
@inline
export function total(lanes: v128): f64 {
  return (
    <f64>f32x4.extract_lane(lanes, 0) +
    <f64>f32x4.extract_lane(lanes, 1) +
    (<f64>f32x4.extract_lane(lanes, 2) + <f64>f32x4.extract_lane(lanes, 3))
  );
}

/** The sum of four float64 lanes in two vectors: the first two, the last two, then both. */
@inline
export function totalOf(low: v128, high: v128): f64 {
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  );
}

/** a0 b0 a1 b1 */
@inline
export function zipLow(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 4, 1, 5);
}

/** a2 b2 a3 b3 */
@inline
export function zipHigh(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 6, 3, 7);
}

/** a0 a1 b0 b1 */
@inline
export function joinLow(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 1, 4, 5);
}

/** a2 a3 b2 b3 */
@inline
export function joinHigh(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 3, 6, 7);
}

/** Four vectors turned, stored `gap` bytes apart: lane i of vector j becomes lane j of vector i. */
@inline
export function storeTurned(to: usize, gap: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = zipLow(a, b);
  const cd = zipLow(c, d);
  const ab2 = zipHigh(a, b);
  const cd2 = zipHigh(c, d);
  const third = to + 2 * gap;
  v128.store(to, joinLow(ab, cd));
  v128.store(to + gap, joinHigh(ab, cd));
  v128.store(third, joinLow(ab2, cd2));
  v128.store(third + gap, joinHigh(ab2, cd2));
}
