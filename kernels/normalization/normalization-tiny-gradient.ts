// The gradient for planes of a few elements without gaps: formulas of normalization-gradient.ts, the order of work of
// normalization-tiny.ts. Statistics are taken from x again: for so few elements they would be as many bytes as x is. Sums over
// the planes of a channel are numbers of an item, added over its rows in float32, which are few enough.
//
// Of two elements, with d and h half the differences of x and dy, dx = ±scale h epsilon / sqrt(d² + epsilon)³: what is left of
// the difference of two nearly equal numbers. Of three, dy may lie so near to the plane's xhat that nothing but rounding is left in
// float32: such fours of planes are done in float64, as are those of normalization-tiny.ts.
import { zipHigh, zipLow } from '../lanes';
import {
  addSums, areModerate, copyEdge, EDGE_DY, EDGE_RESULT, EDGE_X, FIRSTS, inverseRoot, measureExactly, planeInverse, planeMean,
  prepareConstants, SCALES, SECONDS, spreadChannels,
} from './normalization-tiny-layout';
import {
  gradientFives, gradientFours, gradientNines, gradientSevens, gradientSixes, gradientThrees,
} from './normalization-tiny-turned-gradient';
import { gradientMoreVectors, gradientTwoVectors } from './normalization-tiny-vectors';
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
    store<f32>(column, <f32>(<f64>load<f32>(column, FIRSTS) + first), FIRSTS);
    store<f32>(column, <f32>(<f64>load<f32>(column, SECONDS) + second), SECONDS);
    x += bytes;
    dy += bytes;
    dx += bytes;
    column += 4;
  }
}

// Loops as in normalization-tiny.ts.

function gradientOnes(x: usize, dy: usize, dx: usize, column: usize, count: i32): void {
  do {
    const alone = v128.load(x);
    const g = v128.load(dy);
    // not a number where x or dy are infinite
    const nothing = f32x4.sub(alone, alone);
    v128.store(dx, f32x4.mul(f32x4.add(nothing, f32x4.sub(g, g)), v128.load(column, SCALES)));
    addSums(column, g, f32x4.mul(g, nothing));
    x += 16;
    dy += 16;
    dx += 16;
    column += 16;
    count -= 4;
  } while (count > 0);
}

function gradientPairs(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
  const half = f32x4.splat(0.5);
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
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
    if (!areModerate(variance)) break;
    v128.store(dx, zipLow(result, opposite));
    v128.store(dx, zipHigh(result, opposite), 16);
    addSums(column, f32x4.add(g0, g1), f32x4.mul(f32x4.mul(d, inverse), difference));
    x += 32;
    dy += 32;
    dx += 32;
    column += 16;
    count -= 4;
  } while (count > 0);
  return count;
}

/** `count` neighbouring planes, whole fours of them. */
function gradientPlanes(b: TinyNormalizationGradient, x: usize, dy: usize, dx: usize, column: usize, count: i32): void {
  const inner = b.inner;
  const epsilon = b.epsilon;
  while (count > 0) {
    let left = 0;
    if (inner == 1) gradientOnes(x, dy, dx, column, count);
    else if (inner == 2) left = gradientPairs(x, dy, dx, column, count, epsilon);
    else if (inner == 3) left = gradientThrees(x, dy, dx, column, count, epsilon);
    else if (inner == 4) left = gradientFours(x, dy, dx, column, count, epsilon);
    else if (inner == 5) left = gradientFives(x, dy, dx, column, count, epsilon);
    else if (inner == 6) left = gradientSixes(x, dy, dx, column, count, epsilon);
    else if (inner == 7) left = gradientSevens(x, dy, dx, column, count, epsilon);
    else if (inner == 9) left = gradientNines(x, dy, dx, column, count, epsilon);
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
  const own = scratch;
  const next = <usize>channels << 2;
  const end = own + (<usize>width << 2);
  const behind = min(end, own + next);
  for (let column = own; column < behind; column += 4) {
    let first: f64 = 0;
    let second: f64 = 0;
    for (let at = column; at < end; at += next) {
      first += <f64>load<f32>(at, FIRSTS);
      second += <f64>load<f32>(at, SECONDS);
    }
    store<f32>(to, <f32>first);
    store<f32>(to, <f32>second, 4);
    to += 8;
  }
}

/** Backward. Work item: as normalizeTiny. Reads x, dy, scale; writes dx and planeSums. */
export function normalizeTinyGradient(b: TinyNormalizationGradient, begin: i32, end: i32): void {
  const apart = <usize>b.inner << 2;
  const blocks = (b.row + b.together - 1) / b.together;
  let spread = -1;
  prepareConstants(b.inner);
  for (let item = begin; item < end; ++item) {
    const part = item / blocks;
    const column = (item - part * blocks) * b.together;
    const width = min(b.together, b.row - column);
    if (column != spread) {
      spreadChannels(b.scale, scratch + SCALES, column, width, b.channels, 1);
      spread = column;
    }
    memory.fill(scratch + FIRSTS, 0, <usize>(width + 3) << 2);
    memory.fill(scratch + SECONDS, 0, <usize>(width + 3) << 2);
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
