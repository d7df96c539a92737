// The gradient for planes of a few elements without gaps: formulas of normalization-gradient.ts, the order of work of
// normalization-tiny.ts. Statistics are taken from x again: for so few elements they would be as many bytes as x is. Sums over
// the planes of a channel are numbers of an item, added over its rows in float32, which are few enough.
//
// Of two elements, with d and h half the differences of x and dy, dx = ±scale h epsilon / sqrt(d² + epsilon)³: what is left of
// the difference of two nearly equal numbers. Of three, dy may lie so near to the plane's xhat that nothing but rounding is left in
// float32: such fours of planes are done in float64, as are those of normalization-tiny.ts.
import { storeTurned, zipHigh, zipLow } from '../lanes';
import { storeTriples } from './normalization-layout';
import {
  addSums,
  areFinite,
  copyEdge,
  EDGE_DY,
  EDGE_RESULT,
  EDGE_X,
  firstOf,
  Four,
  fourthOf,
  inverseRoot,
  measureExactly,
  planeInverse,
  planeMean,
  prepareRoots,
  SCALES,
  secondOf,
  spreadChannels,
  SUMS,
  sumsOf,
  thirdOf,
  Three,
} from './normalization-tiny-layout';
import { gradientMoreVectors, gradientOneVector, gradientTwoVectors } from './normalization-tiny-vectors';
import { scratch } from '../scratch';

@unmanaged
class TinyNormalizationGradient {
  x: usize;
  dy: usize;
  /** The result; may be dy itself. */
  dx: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** [2, channels, parts]: the sums of dy and of dy xhat. */
  planeSums: usize;
  inner: i32;
  channels: i32;
  planes: i32;
  row: i32;
  together: i32;
  rows: i32;
  epsilon: f32;
}

/** Part of what is left of dy that rounding in float32 may be. */
const LEAST_LEFT: f32 = 1.0 / 256.0;

/** Four planes in float64. */
function gradientExactly(b: TinyNormalizationGradient, x: usize, dy: usize, dx: usize, column: usize): void {
  const bytes = <usize>b.inner << 2;
  for (let lane = 0; lane < 4; ++lane) {
    measureExactly(x, b.inner, b.epsilon);
    let first: f64 = 0;
    let second: f64 = 0;
    for (let i: usize = 0; i < bytes; i += 4) {
      const g = <f64>load<f32>(dy + i);
      first += g;
      second += g * ((<f64>load<f32>(x + i) - planeMean) * planeInverse);
    }
    const factor = planeInverse * <f64>load<f32>(column, SCALES);
    const mean = first / <f64>b.inner;
    const projection = second / <f64>b.inner;
    for (let i: usize = 0; i < bytes; i += 4) {
      const xhat = (<f64>load<f32>(x + i) - planeMean) * planeInverse;
      store<f32>(dx + i, <f32>((<f64>load<f32>(dy + i) - mean - xhat * projection) * factor));
    }
    const sums = sumsOf(column);
    store<f32>(sums, <f32>(<f64>load<f32>(sums) + first));
    store<f32>(sums, <f32>(<f64>load<f32>(sums, 4) + second), 4);
    x += bytes;
    dy += bytes;
    dx += bytes;
    column += 4;
  }
}

// Loops as in normalization-tiny.ts.

function gradientOnes(x: usize, dy: usize, dx: usize, column: usize, count: i32): void {
  let sums = sumsOf(column);
  do {
    const alone = v128.load(x);
    const g = v128.load(dy);
    // not a number where x or dy are infinite
    const nothing = f32x4.sub(alone, alone);
    v128.store(dx, f32x4.mul(f32x4.add(nothing, f32x4.sub(g, g)), v128.load(column, SCALES)));
    addSums(sums, g, f32x4.mul(g, nothing));
    x += 16;
    dy += 16;
    dx += 16;
    column += 16;
    sums += 32;
    count -= 4;
  } while (count > 0);
}

function gradientPairs(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
  const half = f32x4.splat(0.5);
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
  let sums = sumsOf(column);
  do {
    const p = v128.load(x);
    const q = v128.load(x, 16);
    const d = f32x4.mul(f32x4.sub(v128.shuffle<f32>(p, q, 0, 2, 4, 6), v128.shuffle<f32>(p, q, 1, 3, 5, 7)), half);
    const variance = f32x4.add(f32x4.mul(d, d), epsilon);
    const inverse = inverseRoot(variance, own);
    const g = v128.load(dy);
    const h = v128.load(dy, 16);
    const g0 = v128.shuffle<f32>(g, h, 0, 2, 4, 6);
    const g1 = v128.shuffle<f32>(g, h, 1, 3, 5, 7);
    const difference = f32x4.sub(g0, g1);
    const factor = f32x4.mul(f32x4.mul(difference, half), f32x4.mul(inverse, v128.load(column, SCALES)));
    const result = f32x4.mul(factor, f32x4.mul(f32x4.mul(inverse, epsilon), inverse));
    const opposite = f32x4.neg(result);
    if (!areFinite(variance)) break;
    v128.store(dx, zipLow(result, opposite));
    v128.store(dx, zipHigh(result, opposite), 16);
    addSums(sums, f32x4.add(g0, g1), f32x4.mul(f32x4.mul(d, inverse), difference));
    x += 32;
    dy += 32;
    dx += 32;
    column += 16;
    sums += 32;
    count -= 4;
  } while (count > 0);
  return count;
}

/** dx = (dy - mean) factor - (x - mean(x)) slope */
@inline
function gradientOf(dy: v128, mean: v128, factor: v128, centred: v128, slope: v128): v128 {
  return f32x4.sub(f32x4.mul(f32x4.sub(dy, mean), factor), f32x4.mul(centred, slope));
}

/** The larger magnitudes of two vectors. */
@inline
function larger(a: v128, b: v128): v128 {
  return f32x4.pmax(f32x4.abs(a), f32x4.abs(b));
}

/** Planes of three or four elements. */
@inline
function gradientFew<N>(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
  const apart: usize = isInteger<N>() ? 48 : 64;
  const reciprocal = f32x4.splat(<f32>(isInteger<N>() ? 1.0 / 3.0 : 0.25));
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
  let sums = sumsOf(column);
  do {
    const p = v128.load(x);
    const q = v128.load(x, 16);
    const r = v128.load(x, 32);
    const s = isInteger<N>() ? r : v128.load(x, 48);
    const shift = firstOf<N>(p, q, r, s);
    const d1 = f32x4.sub(secondOf<N>(p, q, r, s), shift);
    const d2 = f32x4.sub(thirdOf<N>(p, q, r, s), shift);
    const d3 = isInteger<N>() ? d2 : f32x4.sub(fourthOf(p, q, r, s), shift);
    const sum = isInteger<N>() ? f32x4.add(d1, d2) : f32x4.add(f32x4.add(d1, d2), d3);
    const delta = f32x4.mul(sum, reciprocal);
    const c1 = f32x4.sub(d1, delta);
    const c2 = f32x4.sub(d2, delta);
    const c3 = isInteger<N>() ? c2 : f32x4.sub(d3, delta);
    let squares = f32x4.add(f32x4.add(f32x4.mul(delta, delta), f32x4.mul(c1, c1)), f32x4.mul(c2, c2));
    if (!isInteger<N>()) squares = f32x4.add(squares, f32x4.mul(c3, c3));
    const variance = f32x4.add(f32x4.mul(squares, reciprocal), epsilon);
    const inverse = inverseRoot(variance, own);
    const factor = f32x4.mul(inverse, v128.load(column, SCALES));
    const e = v128.load(dy);
    const f = v128.load(dy, 16);
    const g = v128.load(dy, 32);
    const h = isInteger<N>() ? g : v128.load(dy, 48);
    const g0 = firstOf<N>(e, f, g, h);
    const g1 = secondOf<N>(e, f, g, h);
    const g2 = thirdOf<N>(e, f, g, h);
    const g3 = isInteger<N>() ? g2 : fourthOf(e, f, g, h);
    let first = f32x4.add(f32x4.add(g0, g1), g2);
    let second = f32x4.add(f32x4.sub(f32x4.mul(g1, c1), f32x4.mul(g0, delta)), f32x4.mul(g2, c2));
    if (!isInteger<N>()) {
      first = f32x4.add(first, g3);
      second = f32x4.add(second, f32x4.mul(g3, c3));
    }
    second = f32x4.mul(second, inverse);
    const mean = f32x4.mul(first, reciprocal);
    const slope = f32x4.mul(f32x4.mul(f32x4.mul(second, reciprocal), inverse), factor);
    const r0 = f32x4.add(f32x4.mul(f32x4.sub(g0, mean), factor), f32x4.mul(delta, slope));
    const r1 = gradientOf(g1, mean, factor, c1, slope);
    if (!areFinite(variance)) break;
    if (isInteger<N>()) {
      const whole = f32x4.mul(larger(f32x4.sub(g0, mean), f32x4.sub(g1, mean)), f32x4.abs(factor));
      const lost = f32x4.lt(larger(r0, r1), f32x4.mul(whole, f32x4.splat(LEAST_LEFT)));
      if (i32x4.bitmask(lost)) break;
    }
    const r2 = gradientOf(g2, mean, factor, c2, slope);
    if (isInteger<N>()) storeTriples(dx, r0, r1, r2);
    else storeTurned(dx, 16, r0, r1, r2, gradientOf(g3, mean, factor, c3, slope));
    addSums(sums, first, second);
    x += apart;
    dy += apart;
    dx += apart;
    column += 16;
    sums += 32;
    count -= 4;
  } while (count > 0);
  return count;
}

function gradientTriples(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientFew<Three>(x, dy, dx, column, count, epsilon);
}

function gradientFours(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientFew<Four>(x, dy, dx, column, count, epsilon);
}

/** `count` neighbouring planes, whole fours of them. */
function gradientPlanes(b: TinyNormalizationGradient, x: usize, dy: usize, dx: usize, column: usize, count: i32): void {
  const inner = b.inner;
  const epsilon = b.epsilon;
  while (count > 0) {
    let left = 0;
    if (inner == 1) gradientOnes(x, dy, dx, column, count);
    else if (inner == 2) left = gradientPairs(x, dy, dx, column, count, epsilon);
    else if (inner == 3) left = gradientTriples(x, dy, dx, column, count, epsilon);
    else if (inner == 4) left = gradientFours(x, dy, dx, column, count, epsilon);
    else if (inner < 8) left = gradientOneVector(x, dy, dx, column, count, inner, epsilon);
    else if (inner < 12) left = gradientTwoVectors(x, dy, dx, column, count, inner, epsilon);
    else left = gradientMoreVectors(x, dy, dx, column, count, inner, epsilon);
    if (left == 0) return;
    const done = (<usize>(count - left) * <usize>inner) << 2;
    column += <usize>(count - left) << 2;
    gradientExactly(b, x + done, dy + done, dx + done, column);
    const next = done + (<usize>inner << 4);
    x += next;
    dy += next;
    dx += next;
    column += 16;
    count = left - 4;
  }
}

/** The sums of `width` columns to those of their channels, of which a row may hold several observations. */
function writeSums(to: usize, width: i32, channels: i32): void {
  if (width <= channels) {
    memory.copy(to, scratch + SUMS, <usize>width << 3);
    return;
  }
  const next = <usize>channels << 3;
  const end = scratch + SUMS + (<usize>width << 3);
  for (let c: usize = 0; c < next; c += 8) {
    let sums = f64x2.splat(0);
    for (let at = scratch + SUMS + c; at < end; at += next) {
      sums = f64x2.add(sums, f64x2.promote_low_f32x4(v128.load64_zero(at)));
    }
    v128.store64_lane(to + c, f32x4.demote_f64x2_zero(sums), 0);
  }
}

/** Backward. Work item: as normalizeTiny. Reads x, dy, scale; writes dx and planeSums. */
export function normalizeTinyGradient(b: TinyNormalizationGradient, begin: i32, end: i32): void {
  const apart = <usize>b.inner << 2;
  const blocks = (b.row + b.together - 1) / b.together;
  let spread = -1;
  prepareRoots();
  for (let item = begin; item < end; ++item) {
    const part = item / blocks;
    const column = (item - part * blocks) * b.together;
    const width = min(b.together, b.row - column);
    if (column != spread) {
      spreadChannels(b.scale, scratch + SCALES, column, width, b.channels, 1);
      spread = column;
    }
    memory.fill(scratch + SUMS, 0, <usize>(width + 3) << 3);
    let plane = part * b.rows * b.row + column;
    for (let r = 0; r < b.rows && plane < b.planes; ++r) {
      const count = min(width, b.planes - plane);
      const left = count & 3;
      const whole = count - left;
      let at = <usize>plane * apart;
      gradientPlanes(b, b.x + at, b.dy + at, b.dx + at, scratch, whole);
      if (left) {
        at += <usize>whole * apart;
        copyEdge(scratch + EDGE_X, b.x + at, left, apart);
        copyEdge(scratch + EDGE_DY, b.dy + at, left, apart);
        const result = scratch + EDGE_RESULT;
        gradientPlanes(b, scratch + EDGE_X, scratch + EDGE_DY, result, scratch + (<usize>whole << 2), 4);
        memory.copy(b.dx + at, result, <usize>left * apart);
      }
      plane += b.row;
    }
    writeSums(b.planeSums + ((<usize>part * <usize>b.channels + <usize>column) << 3), width, b.channels);
  }
}
