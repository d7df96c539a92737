// Losses: the terms l(y, t) of one prediction and one target, element by element, their derivatives, and their sum.
//
// float32, y, t and results of one size, column-major. `code` names the term, `orderY` and `orderT` the
// derivative wanted, so that the family is closed under differentiation:
//
//   0 cross-entropy           -t log y
//   1 binary cross-entropy    -(t log y + (1 - t) log(1 - y))
//   2 squared                 (y - t)²
//   3 absolute                |y - t|
//   4 Huber                   d² / 2 where |d| <= δ, else δ (|d| - δ/2),  d = y - t
//
// Probabilities below `bound` count as `bound`: 0 log 0 is 0 and no quotient overflows. NaN stays NaN.
//
// `lossSum`'s parts have a fixed length, are summed in float64 and joined in their order: the bits depend on the size only.
import * as m from '../math';

/** Elements of a part. */
const PART: i32 = 4096;

/** Parts of `count` elements, for the host to size `partials`. */
export function lossParts(count: i32): i32 {
  return (count + PART - 1) / PART;
}

@unmanaged
class Loss {
  y: usize;
  t: usize;
  /** lossTerm, lossGradient: one number per element. lossJoin: one number. */
  result: usize;
  /** lossGradient: what the result is multiplied by, one number or one per element. */
  upstream: usize;
  /** 1 where `upstream` has one number per element, 0 where it is one number. */
  upstreamStep: i32;
  /** lossSum, lossJoin: float64, one per part. */
  partials: usize;
  count: i32;
  code: i32;
  orderY: i32;
  orderT: i32;
  bound: f32;
  /** Huber's δ. */
  transition: f32;
  factor: f32;
}

@inline
function splat(value: f32): v128 {
  return f32x4.splat(value);
}

@inline
function loadPart(address: usize, count: i32): v128 {
  let lanes = v128.load32_zero(address);
  if (count > 1) lanes = v128.load_lane<f32>(address + 4, lanes, 1);
  if (count > 2) lanes = v128.load_lane<f32>(address + 8, lanes, 2);
  return lanes;
}

@inline
function storePart(address: usize, lanes: v128, count: i32): void {
  v128.store_lane<f32>(address, lanes, 0);
  if (count > 1) v128.store_lane<f32>(address + 4, lanes, 1);
  if (count > 2) v128.store_lane<f32>(address + 8, lanes, 2);
}

/** The derivative of order n >= 1 of -log p: (-1)^n (n-1)! / p^n. */
function logarithmSlope(p: v128, n: i32): v128 {
  const inverse = f32x4.div(splat(1.0), p);
  let value = f32x4.neg(inverse);
  for (let k: i32 = 1; k < n; ++k) value = f32x4.mul(f32x4.mul(value, inverse), splat(-(<f32>k)));
  return value;
}

/** sign(d), 0 at 0, NaN for NaN. */
@inline
function signOf(d: v128): v128 {
  const magnitude = f32x4.abs(d);
  const zeroOrNaN = v128.not(f32x4.gt(magnitude, splat(0.0)));
  return v128.bitselect(d, v128.bitselect(d, splat(1.0), splat(-0.0)), zeroOrNaN);
}

function termOf(b: Loss, y: v128, t: v128): v128 {
  const orderY = b.orderY;
  const orderT = b.orderT;
  if (b.code <= 1) {
    if (orderT > 1) return splat(0.0);
    const p = f32x4.max(y, splat(b.bound));
    const inP = orderY == 0 ? f32x4.neg(m.log(p)) : logarithmSlope(p, orderY);
    if (b.code == 0) return orderT == 0 ? f32x4.mul(t, inP) : inP;
    const q = f32x4.max(f32x4.sub(splat(1.0), y), splat(b.bound));
    let inQ = orderY == 0 ? f32x4.neg(m.log(q)) : logarithmSlope(q, orderY);
    if (orderY & 1) inQ = f32x4.neg(inQ);
    if (orderT == 1) return f32x4.sub(inP, inQ);
    return f32x4.add(f32x4.mul(t, inP), f32x4.mul(f32x4.sub(splat(1.0), t), inQ));
  }
  const order = orderY + orderT;
  const d = f32x4.sub(y, t);
  let value = splat(0.0);
  if (b.code == 2) {
    if (order == 0) value = f32x4.mul(d, d);
    else if (order == 1) value = f32x4.add(d, d);
    else if (order == 2) value = splat(2.0);
  } else if (b.code == 3) {
    if (order == 0) value = f32x4.abs(d);
    else if (order == 1) value = signOf(d);
  } else {
    const delta = splat(b.transition);
    const magnitude = f32x4.abs(d);
    const near = f32x4.le(magnitude, delta);
    if (order == 0) {
      const square = f32x4.mul(splat(0.5), f32x4.mul(d, d));
      const line = f32x4.mul(delta, f32x4.sub(magnitude, f32x4.mul(splat(0.5), delta)));
      value = v128.bitselect(square, line, near);
    } else if (order == 1) value = v128.bitselect(d, f32x4.mul(delta, signOf(d)), near);
    else if (order == 2) value = v128.and(splat(1.0), near);
  }
  return orderT & 1 ? f32x4.neg(value) : value;
}

/** Four elements from `at`, or the `left` (1 to 3) that remain. */
@inline
function loadFour(address: usize, at: i32, left: i32): v128 {
  const from = address + (<usize>at << 2);
  return left >= 4 ? v128.load(from) : loadPart(from, left);
}

@inline
function saveFour(address: usize, at: i32, lanes: v128, left: i32): void {
  const to = address + (<usize>at << 2);
  if (left >= 4) v128.store(to, lanes);
  else storePart(to, lanes, left);
}

/** result = the term or its derivative, times factor. Work item: one element. */
export function lossTerm(b: Loss, begin: i32, end: i32): void {
  const factor = splat(b.factor);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const value = f32x4.mul(factor, termOf(b, loadFour(b.y, i, left), loadFour(b.t, i, left)));
    saveFour(b.result, i, value, left);
  }
}

/** result = upstream times the derivative and factor. Work item: one element. */
export function lossGradient(b: Loss, begin: i32, end: i32): void {
  const factor = splat(b.factor);
  const one = v128.load32_splat(b.upstream);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const value = f32x4.mul(factor, termOf(b, loadFour(b.y, i, left), loadFour(b.t, i, left)));
    saveFour(b.result, i, f32x4.mul(value, b.upstreamStep ? loadFour(b.upstream, i, left) : one), left);
  }
}

/** The sum of one part, in float64. Work item: one part. */
export function lossSum(b: Loss, begin: i32, end: i32): void {
  for (let part = begin; part < end; ++part) {
    const last = min(b.count, (part + 1) * PART);
    let low = f64x2.splat(0.0);
    let high = f64x2.splat(0.0);
    for (let i = part * PART; i < last; i += 4) {
      const left = last - i;
      let value = termOf(b, loadFour(b.y, i, left), loadFour(b.t, i, left));
      if (left < 4) value = v128.and(value, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left)));
      low = f64x2.add(low, f64x2.promote_low_f32x4(value));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<u64>(value, value, 1, 0)));
    }
    const sum = f64x2.add(low, high);
    store<f64>(b.partials + (<usize>part << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
}

/** result = factor times the sum of the parts, in their order. Work item: there is one. */
export function lossJoin(b: Loss, begin: i32, end: i32): void {
  if (begin >= end) return;
  const parts = lossParts(b.count);
  let sum: f64 = 0;
  for (let part = 0; part < parts; ++part) sum += load<f64>(b.partials + (<usize>part << 3));
  store<f32>(b.result, <f32>(sum * <f64>b.factor));
}

@unmanaged
class OneHot {
  /** Class numbers from 1: [inner, 1, outer]. */
  indices: usize;
  /** [inner, classes, outer]. */
  result: usize;
  inner: i32;
  classes: i32;
}

/** 1 where the index is that of the class, else 0. Work item: one class at one outer position, `inner` elements. */
export function oneHot(b: OneHot, begin: i32, end: i32): void {
  for (let item = begin; item < end; ++item) {
    const outer = item / b.classes;
    const index = <f32>(item - outer * b.classes + 1);
    let from = b.indices + ((<usize>outer * <usize>b.inner) << 2);
    let to = b.result + ((<usize>item * <usize>b.inner) << 2);
    for (let i = 0; i < b.inner; ++i) {
      store<f32>(to, load<f32>(from) == index ? 1.0 : 0.0);
      from += 4;
      to += 4;
    }
  }
}
