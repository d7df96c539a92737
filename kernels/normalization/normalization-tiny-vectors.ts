// Tiny planes of eight, ten and more elements, forward and backward. Their sums alone are turned round: a plane is whole vectors, and up
// to three elements that go with those of the three other planes of a four. Otherwise as normalization-tiny.ts says.
import { joinHigh, joinLow, zipHigh, zipLow } from '../lanes';
import { addSums, inverseRoot, OFFSETS, SCALES, writeStatistics } from './normalization-tiny-layout';
import { scratch } from '../scratch';

/** The squares of the distance of shift and mean are at most so many times those that are left without them, or too large. */
const FARTHEST: f32 = 16;

/** Types whose size says how many whole vectors a larger plane has: two, else a loop goes over them. */
type TwoVectors = u16;
type MoreVectors = u32;

/** Whether the loop over whole vectors goes on. */
@inline
function goesOn<V>(i: usize, whole: usize): bool {
  return sizeof<V>() > 2 && i < whole;
}

/** One element of each of four planes. */
@inline
function loadAcross(x: usize, apart: usize): v128 {
  let lanes = v128.load32_zero(x);
  lanes = v128.load_lane<f32>(x + apart, lanes, 1);
  const third = x + (apart << 1);
  lanes = v128.load_lane<f32>(third, lanes, 2);
  return v128.load_lane<f32>(third + apart, lanes, 3);
}

/** The inverse of loadAcross. */
@inline
function storeAcross(y: usize, apart: usize, lanes: v128): void {
  v128.store_lane<f32>(y, lanes, 0);
  v128.store_lane<f32>(y + apart, lanes, 1);
  const third = y + (apart << 1);
  v128.store_lane<f32>(third, lanes, 2);
  v128.store_lane<f32>(third + apart, lanes, 3);
}

/** The totals of two vectors in two parts: a0 + a2, b0 + b2, a1 + a3, b1 + b3. */
@inline
function halfTotals(a: v128, b: v128): v128 {
  return f32x4.add(zipLow(a, b), zipHigh(a, b));
}

/** The totals of four vectors, those of two and two as halfTotals leaves them. */
@inline
function totals(ab: v128, cd: v128): v128 {
  return f32x4.add(joinLow(ab, cd), joinHigh(ab, cd));
}

/** Whether float32 holds the squares, and they are not small beside what was taken from them. */
@inline
function areKept(moved: v128, squares: v128): bool {
  const most = f32x4.mul(squares, f32x4.splat(FARTHEST));
  return i32x4.bitmask(v128.and(f32x4.le(moved, most), f32x4.lt(most, f32x4.splat(Infinity)))) == 15;
}

// ---------------------------------------------------------------- forward

/** Where d of elements beside whole vectors wait for being written. */
const BESIDE: usize = 256;

/** Sums of d and d², d = x - shift, over whole vectors of the plane at x and the one behind it, as halfTotals leaves them. */
@inline
function sumPair<V>(x: usize, apart: usize, whole: usize, to: usize): void {
  const other = x + apart;
  const g = v128.load32_splat(x);
  const h = v128.load32_splat(other);
  let gSum = f32x4.sub(v128.load(x), g);
  let hSum = f32x4.sub(v128.load(other), h);
  let gSquares = f32x4.mul(gSum, gSum);
  let hSquares = f32x4.mul(hSum, hSum);
  let i: usize = 16;
  do {
    const g1 = f32x4.sub(v128.load(x + i), g);
    const h1 = f32x4.sub(v128.load(other + i), h);
    gSum = f32x4.add(gSum, g1);
    hSum = f32x4.add(hSum, h1);
    gSquares = f32x4.add(gSquares, f32x4.mul(g1, g1));
    hSquares = f32x4.add(hSquares, f32x4.mul(h1, h1));
    i += 16;
  } while (goesOn<V>(i, whole));
  v128.store(to, halfTotals(gSum, hSum));
  v128.store(to, halfTotals(gSquares, hSquares), 16);
}

/** y of the whole vectors of the plane at x, whose factor and rest are at `from`. */
@inline
function writePlane<V>(x: usize, y: usize, whole: usize, from: usize): void {
  const h = v128.load32_splat(x);
  const f = v128.load32_splat(from);
  const r = v128.load32_splat(from, 16);
  v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r));
  v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 16), h), f), r), 16);
  if (sizeof<V>() > 2) {
    let i: usize = 32;
    do {
      v128.store(y + i, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + i), h), f), r));
      i += 16;
    } while (i < whole);
  }
}

/** Planes of more elements. */
@inline
function normalizeVectors<V>(
  x: usize,
  y: usize,
  statistics: usize,
  column: usize,
  count: i32,
  inner: i32,
  epsilonOfAll: f32,
): i32 {
  const apart = <usize>inner << 2;
  const whole = apart & ~15;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
  do {
    sumPair<V>(x, apart, whole, own);
    sumPair<V>(x + (apart << 1), apart, whole, own + 32);
    let sum = totals(v128.load(own), v128.load(own, 32));
    let second = totals(v128.load(own, 16), v128.load(own, 48));
    if (whole < apart) {
      const shift = loadAcross(x, apart);
      let i = whole;
      let at = own;
      do {
        const d = f32x4.sub(loadAcross(x + i, apart), shift);
        v128.store(at, d, BESIDE);
        sum = f32x4.add(sum, d);
        second = f32x4.add(second, f32x4.mul(d, d));
        at += 16;
        i += 4;
      } while (i < apart);
    }
    const delta = f32x4.mul(sum, reciprocal);
    const moved = f32x4.mul(sum, delta);
    const squares = f32x4.sub(second, moved);
    const inverse = inverseRoot(f32x4.add(f32x4.mul(squares, reciprocal), epsilon), own);
    const factor = f32x4.mul(inverse, v128.load(column, SCALES));
    const rest = f32x4.sub(v128.load(column, OFFSETS), f32x4.mul(delta, factor));
    v128.store(own, factor, 64);
    v128.store(own, rest, 80);
    if (!areKept(moved, squares)) break;
    if (statistics) {
      writeStatistics(statistics, loadAcross(x, apart), delta, inverse);
      statistics += 48;
    }
    let at = own;
    for (let i = whole; i < apart; i += 4) {
      storeAcross(y + i, apart, f32x4.add(f32x4.mul(v128.load(at, BESIDE), factor), rest));
      at += 16;
    }
    let lane = own + 64;
    do {
      writePlane<V>(x, y, whole, lane);
      x += apart;
      y += apart;
      lane += 4;
    } while (lane & 12);
    column += 16;
    count -= 4;
  } while (count > 0);
  return count;
}

export function normalizeTwoVectors(x: usize, y: usize, statistics: usize, column: usize, count: i32, inner: i32, epsilon: f32): i32 {
  return normalizeVectors<TwoVectors>(x, y, statistics, column, count, inner, epsilon);
}

export function normalizeMoreVectors(x: usize, y: usize, statistics: usize, column: usize, count: i32, inner: i32, epsilon: f32): i32 {
  return normalizeVectors<MoreVectors>(x, y, statistics, column, count, inner, epsilon);
}

// ---------------------------------------------------------------- backward

/** As sumPair; also sums of dy and dy d. */
@inline
function sumPairGradient<V>(x: usize, dy: usize, apart: usize, whole: usize, to: usize): void {
  const other = x + apart;
  const otherDy = dy + apart;
  const g = v128.load32_splat(x);
  const h = v128.load32_splat(other);
  let gSum = f32x4.sub(v128.load(x), g);
  let hSum = f32x4.sub(v128.load(other), h);
  let gDy = v128.load(dy);
  let hDy = v128.load(otherDy);
  let gSquares = f32x4.mul(gSum, gSum);
  let hSquares = f32x4.mul(hSum, hSum);
  let gProducts = f32x4.mul(gDy, gSum);
  let hProducts = f32x4.mul(hDy, hSum);
  let i: usize = 16;
  do {
    const g1 = f32x4.sub(v128.load(x + i), g);
    const h1 = f32x4.sub(v128.load(other + i), h);
    const gDy1 = v128.load(dy + i);
    const hDy1 = v128.load(otherDy + i);
    gSum = f32x4.add(gSum, g1);
    hSum = f32x4.add(hSum, h1);
    gSquares = f32x4.add(gSquares, f32x4.mul(g1, g1));
    hSquares = f32x4.add(hSquares, f32x4.mul(h1, h1));
    gDy = f32x4.add(gDy, gDy1);
    hDy = f32x4.add(hDy, hDy1);
    gProducts = f32x4.add(gProducts, f32x4.mul(gDy1, g1));
    hProducts = f32x4.add(hProducts, f32x4.mul(hDy1, h1));
    i += 16;
  } while (goesOn<V>(i, whole));
  v128.store(to, halfTotals(gSum, hSum));
  v128.store(to, halfTotals(gSquares, hSquares), 16);
  v128.store(to, halfTotals(gDy, hDy), 32);
  v128.store(to, halfTotals(gProducts, hProducts), 48);
}

/** dy factor + (d slope + rest) */
@inline
function combined(d: v128, dy: v128, factor: v128, slope: v128, rest: v128): v128 {
  return f32x4.add(f32x4.mul(dy, factor), f32x4.add(f32x4.mul(d, slope), rest));
}

/** dx of the whole vectors of the plane at x, whose factor, slope and rest are at `from`. */
@inline
function writeGradient<V>(x: usize, dy: usize, dx: usize, whole: usize, from: usize): void {
  const h = v128.load32_splat(x);
  const f = v128.load32_splat(from);
  const t = v128.load32_splat(from, 16);
  const r = v128.load32_splat(from, 32);
  v128.store(dx, combined(f32x4.sub(v128.load(x), h), v128.load(dy), f, t, r));
  v128.store(dx, combined(f32x4.sub(v128.load(x, 16), h), v128.load(dy, 16), f, t, r), 16);
  if (sizeof<V>() > 2) {
    let i: usize = 32;
    do {
      v128.store(dx + i, combined(f32x4.sub(v128.load(x + i), h), v128.load(dy + i), f, t, r));
      i += 16;
    } while (i < whole);
  }
}

/** Planes of more elements: four are written while square roots of the next are under way; the last are measured twice for that. */
@inline
function gradientVectors<V>(
  x: usize,
  dy: usize,
  dx: usize,
  column: usize,
  count: i32,
  inner: i32,
  epsilonOfAll: f32,
): i32 {
  const apart = <usize>inner << 2;
  const whole = apart & ~15;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
  // where the factors of the four planes measured last go, and d and dy of their elements beside whole vectors
  let measured = own + 256;
  let waiting = own + 512;
  let isWaiting = false;
  let ahead: usize = 0;
  while (true) {
    const from = x + ahead;
    const fromDy = dy + ahead;
    sumPairGradient<V>(from, fromDy, apart, whole, own);
    sumPairGradient<V>(from + (apart << 1), fromDy + (apart << 1), apart, whole, own + 64);
    let sum = totals(v128.load(own), v128.load(own, 64));
    let squares = totals(v128.load(own, 16), v128.load(own, 80));
    let first = totals(v128.load(own, 32), v128.load(own, 96));
    let products = totals(v128.load(own, 48), v128.load(own, 112));
    if (whole < apart) {
      const shift = loadAcross(from, apart);
      let i = whole;
      let at = measured;
      do {
        const d = f32x4.sub(loadAcross(from + i, apart), shift);
        const g = loadAcross(fromDy + i, apart);
        v128.store(at, d, 48);
        v128.store(at, g, 64);
        at += 32;
        sum = f32x4.add(sum, d);
        squares = f32x4.add(squares, f32x4.mul(d, d));
        first = f32x4.add(first, g);
        products = f32x4.add(products, f32x4.mul(d, g));
        i += 4;
      } while (i < apart);
    }
    const delta = f32x4.mul(sum, reciprocal);
    const moved = f32x4.mul(sum, delta);
    squares = f32x4.sub(squares, moved);
    const inverse = inverseRoot(f32x4.add(f32x4.mul(squares, reciprocal), epsilon), own);
    const second = f32x4.mul(f32x4.sub(products, f32x4.mul(delta, first)), inverse);
    const factor = f32x4.mul(inverse, v128.load(column, SCALES));
    const part = f32x4.mul(factor, reciprocal);
    const slope = f32x4.neg(f32x4.mul(f32x4.mul(second, inverse), part));
    v128.store(measured, factor);
    v128.store(measured, slope, 16);
    v128.store(measured, f32x4.neg(f32x4.add(f32x4.mul(first, part), f32x4.mul(delta, slope))), 32);
    const kept = areKept(moved, squares);
    if (isWaiting) {
      if (whole < apart) {
        const f = v128.load(waiting);
        const t = v128.load(waiting, 16);
        const r = v128.load(waiting, 32);
        let i = whole;
        let at = waiting;
        do {
          storeAcross(dx + i, apart, combined(v128.load(at, 48), v128.load(at, 64), f, t, r));
          at += 32;
          i += 4;
        } while (i < apart);
      }
      let lane = waiting;
      do {
        writeGradient<V>(x, dy, dx, whole, lane);
        x += apart;
        dy += apart;
        dx += apart;
        lane += 4;
      } while (lane & 12);
      count -= 4;
      if (count == 0) break;
    }
    if (!kept) break;
    isWaiting = true;
    const next = waiting;
    waiting = measured;
    measured = next;
    addSums(column, first, second);
    if (count > 4) {
      ahead = apart << 2;
      column += 16;
    } else ahead = 0;
  }
  return count;
}

export function gradientTwoVectors(x: usize, dy: usize, dx: usize, column: usize, count: i32, inner: i32, epsilon: f32): i32 {
  return gradientVectors<TwoVectors>(x, dy, dx, column, count, inner, epsilon);
}

export function gradientMoreVectors(x: usize, dy: usize, dx: usize, column: usize, count: i32, inner: i32, epsilon: f32): i32 {
  return gradientVectors<MoreVectors>(x, dy, dx, column, count, inner, epsilon);
}
