// Planes of a few elements without gaps, four at a time: turned round in registers, so that each plane is a lane of vectors
// and every step of the arithmetic serves four planes. The turned planes wait in a first-level cache between the steps.
//
// Formulas are those of normalization.ts and normalization-gradient.ts. Elements are shifted by the first of their plane,
// and squares are taken of what is left beside the mean: nothing cancels, so that float32 is enough for so few of them.
// A lane goes through the same operations wherever its plane lies: results do not depend on which planes go together.
import { channelLanes, loadTriples, storeTriples } from './normalization-layout';
import { scratch } from './scratch';

/** Largest plane that goes this way; larger ones fill vectors of their own well enough. The host decides by it. */
const LARGEST: i32 = 64;
/** Squares are taken again where those of the distance of shift and mean are more than so many times as large. */
const FARTHEST: f32 = 16;

// Working memory, in bytes behind `scratch`. Four planes are a vector for each element, of x and of dy, behind two vectors of
// what is to be done with them; while four are measured, the four before them wait for being written.
const FACTOR: usize = 0;
const REST: usize = 16;
const TURNED: usize = 32;
const TURNED_DY: usize = TURNED + LARGEST * 16;
const FOUR: usize = TURNED_DY + LARGEST * 16;
// the last planes of an array, where they are less than four, are worked on in these
const EDGE_X: usize = 2 * FOUR;
const EDGE_DY: usize = EDGE_X + LARGEST * 16;
const EDGE_RESULT: usize = EDGE_DY + LARGEST * 16;
const EDGE_STATISTICS: usize = EDGE_RESULT + LARGEST * 16;
const EDGE_SUMS: usize = EDGE_STATISTICS + 48;
const STATISTICS: usize = EDGE_SUMS + 32;

@unmanaged
class TinyNormalization {
  x: usize;
  /** The result; may be x itself. */
  y: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** One number per channel; 0 stands for all zeros. */
  offset: usize;
  /** [3, planes], as in normalization.ts. */
  statistics: usize;
  /** Elements of a plane: 1 to LARGEST. */
  inner: i32;
  channels: i32;
  epsilon: f32;
}

@unmanaged
class TinyNormalizationGradient {
  x: usize;
  dy: usize;
  /** The result; may be dy itself. */
  dx: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** [3, planes], as the forward pass left it. */
  statistics: usize;
  /** [2, planes]: the sums of dy and of dy xhat over each plane. */
  planeSums: usize;
  inner: i32;
  channels: i32;
}

// ---------------------------------------------------------------- turning round

/** a0 b0 a1 b1 */
@inline
function zipLow(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 4, 1, 5);
}

/** a2 b2 a3 b3 */
@inline
function zipHigh(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 6, 3, 7);
}

/** a0 a1 b0 b1 */
@inline
function joinLow(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 1, 4, 5);
}

/** a2 a3 b2 b3 */
@inline
function joinHigh(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 2, 3, 6, 7);
}

/** Four vectors turned, stored `gap` bytes apart: lane i of vector j becomes lane j of vector i. */
@inline
function storeTurned(to: usize, gap: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = zipLow(a, b);
  const cd = zipLow(c, d);
  const ab2 = zipHigh(a, b);
  const cd2 = zipHigh(c, d);
  v128.store(to, joinLow(ab, cd));
  v128.store(to + gap, joinHigh(ab, cd));
  v128.store(to + 2 * gap, joinLow(ab2, cd2));
  v128.store(to + 3 * gap, joinHigh(ab2, cd2));
}

/** a0 b0 a1 b1 ... from a and b. */
@inline
function storePairs(to: usize, a: v128, b: v128): void {
  v128.store(to, v128.shuffle<f32>(a, b, 0, 4, 1, 5));
  v128.store(to, v128.shuffle<f32>(a, b, 2, 6, 3, 7), 16);
}

/** Four planes of `inner` elements at `from` to a vector per element. The last block of four may repeat some of the others. */
@inline
function turnPlanes(from: usize, inner: i32, to: usize): void {
  if (inner < 4) {
    turnLeast(from, inner, to);
    return;
  }
  const apart = <usize>inner << 2;
  for (let i = 0; i < inner; i += 4) {
    const first = <usize>min(i, inner - 4) << 2;
    const x = from + first;
    const second = x + 2 * apart;
    storeTurned(to + (first << 2), 16, v128.load(x), v128.load(x + apart), v128.load(second), v128.load(second + apart));
  }
}

/** Planes of less than four elements, four of them, to a vector per element. */
@inline
function turnLeast(from: usize, inner: i32, to: usize): void {
  if (inner == 3) loadTriples(from, to);
  else if (inner == 2) {
    const p = v128.load(from);
    const q = v128.load(from, 16);
    v128.store(to, v128.shuffle<f32>(p, q, 0, 2, 4, 6));
    v128.store(to, v128.shuffle<f32>(p, q, 1, 3, 5, 7), 16);
  } else v128.store(to, v128.load(from));
}

// ---------------------------------------------------------------- forward

/** Four planes at x, of which the first is of `channel`, to their statistics and, in `four`, what makes y of them. */
@inline
function measureFour(b: TinyNormalization, x: usize, statistics: usize, channel: i32, four: usize, reciprocal: v128): void {
  const inner = b.inner;
  const turned = four + TURNED;
  let first = f32x4.splat(0);
  let second = f32x4.splat(0);
  let shift: v128;
  if (inner >= 4) {
    const apart = <usize>inner << 2;
    const third = x + 2 * apart;
    shift = joinLow(zipLow(v128.load(x), v128.load(x + apart)), zipLow(v128.load(third), v128.load(third + apart)));
    for (let i = 0; i < inner; i += 4) {
      // the last block begins where four elements are left, and repeats some of those before them
      const repeated = max(0, i + 4 - inner);
      const place = <usize>(i - repeated) << 2;
      const from = x + place;
      const other = from + 2 * apart;
      const p = v128.load(from);
      const q = v128.load(from + apart);
      const r = v128.load(other);
      const s = v128.load(other + apart);
      const pq = zipLow(p, q);
      const rs = zipLow(r, s);
      const pq2 = zipHigh(p, q);
      const rs2 = zipHigh(r, s);
      const d0 = f32x4.sub(joinLow(pq, rs), shift);
      const d1 = f32x4.sub(joinHigh(pq, rs), shift);
      const d2 = f32x4.sub(joinLow(pq2, rs2), shift);
      const d3 = f32x4.sub(joinHigh(pq2, rs2), shift);
      const at = turned + (place << 2);
      v128.store(at, d0);
      v128.store(at, d1, 16);
      v128.store(at, d2, 32);
      v128.store(at, d3, 48);
      let sum = d3;
      let square = f32x4.mul(d3, d3);
      if (repeated < 3) {
        sum = f32x4.add(sum, d2);
        square = f32x4.add(square, f32x4.mul(d2, d2));
        if (repeated < 2) {
          let sum2 = d1;
          let square2 = f32x4.mul(d1, d1);
          if (repeated == 0) {
            sum2 = f32x4.add(sum2, d0);
            square2 = f32x4.add(square2, f32x4.mul(d0, d0));
          }
          sum = f32x4.add(sum, sum2);
          square = f32x4.add(square, square2);
        }
      }
      first = f32x4.add(first, sum);
      second = f32x4.add(second, square);
    }
  } else {
    turnLeast(x, inner, turned);
    shift = v128.load(turned);
    for (let at = turned; at < turned + (<usize>inner << 4); at += 16) {
      const d = f32x4.sub(v128.load(at), shift);
      v128.store(at, d);
      first = f32x4.add(first, d);
      second = f32x4.add(second, f32x4.mul(d, d));
    }
  }
  const delta = f32x4.mul(first, reciprocal);
  const moved = f32x4.mul(first, delta);
  let squares = f32x4.pmax(f32x4.sub(second, moved), f32x4.splat(0));
  if (v128.any_true(f32x4.gt(moved, f32x4.mul(squares, f32x4.splat(FARTHEST))))) squares = squaresBeside(turned, inner, delta);
  // mean = shift + delta as its nearest float and what that lacks
  const high = f32x4.add(shift, delta);
  const added = f32x4.sub(high, shift);
  const low = f32x4.add(f32x4.sub(shift, f32x4.sub(high, added)), f32x4.sub(delta, added));
  const variance = f32x4.add(f32x4.mul(squares, reciprocal), f32x4.splat(b.epsilon));
  const inverse = f32x4.div(f32x4.splat(1), f32x4.sqrt(variance));
  storeTriples(statistics, high, low, inverse);
  const factor = f32x4.mul(inverse, channelLanes(b.scale, channel, b.channels, 1));
  v128.store(four, factor, FACTOR);
  v128.store(four, f32x4.sub(channelLanes(b.offset, channel, b.channels, 0), f32x4.mul(delta, factor)), REST);
}

/** The squares of what four turned planes have beside delta. */
function squaresBeside(turned: usize, inner: i32, delta: v128): v128 {
  let squares = f32x4.splat(0);
  for (let at = turned; at < turned + (<usize>inner << 4); at += 16) {
    const d = f32x4.sub(v128.load(at), delta);
    squares = f32x4.add(squares, f32x4.mul(d, d));
  }
  return squares;
}

/** y of four planes that were measured before. */
@inline
function writeFour(four: usize, inner: i32, y: usize): void {
  const factor = v128.load(four, FACTOR);
  const rest = v128.load(four, REST);
  const turned = four + TURNED;
  if (inner >= 4) {
    const apart = <usize>inner << 2;
    for (let i = 0; i < inner; i += 4) {
      const place = <usize>min(i, inner - 4) << 2;
      const at = turned + (place << 2);
      storeTurned(
        y + place,
        apart,
        f32x4.add(f32x4.mul(v128.load(at), factor), rest),
        f32x4.add(f32x4.mul(v128.load(at, 16), factor), rest),
        f32x4.add(f32x4.mul(v128.load(at, 32), factor), rest),
        f32x4.add(f32x4.mul(v128.load(at, 48), factor), rest),
      );
    }
    return;
  }
  const y0 = f32x4.add(f32x4.mul(v128.load(turned), factor), rest);
  const y1 = f32x4.add(f32x4.mul(v128.load(turned, 16), factor), rest);
  if (inner == 3) storeTriples(y, y0, y1, f32x4.add(f32x4.mul(v128.load(turned, 32), factor), rest));
  else if (inner == 2) storePairs(y, y0, y1);
  else v128.store(y, y0);
}

/** Forward. Work item: one plane. Reads x; writes y, statistics. */
export function normalizeTiny(b: TinyNormalization, begin: i32, end: i32): void {
  const inner = b.inner;
  const channels = b.channels;
  const apart = <usize>inner << 2;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const here = scratch;
  let x = b.x + <usize>begin * apart;
  let y = b.y + <usize>begin * apart;
  let statistics = b.statistics + <usize>begin * 12;
  let channel = begin % channels;
  let left = end - begin;
  let four = here;
  if (left >= 4) measureFour(b, x, statistics, channel, four, reciprocal);
  for (; left >= 4; left -= 4) {
    x += 4 * apart;
    statistics += 48;
    channel += 4;
    if (channel >= channels) channel %= channels;
    const measured = four;
    four = measured == here ? here + FOUR : here;
    if (left >= 8) measureFour(b, x, statistics, channel, four, reciprocal);
    writeFour(measured, inner, y);
    y += 4 * apart;
  }
  if (left > 0) {
    const bytes = <usize>left * apart;
    memory.copy(here + EDGE_X, x, bytes);
    measureFour(b, here + EDGE_X, here + EDGE_STATISTICS, channel, here, reciprocal);
    writeFour(here, inner, here + EDGE_RESULT);
    memory.copy(y, here + EDGE_RESULT, bytes);
    memory.copy(statistics, here + EDGE_STATISTICS, <usize>left * 12);
  }
}

// ---------------------------------------------------------------- backward

/** Four planes, of which the first is of `channel`. */
@inline
function gradientFour(
  b: TinyNormalizationGradient,
  x: usize,
  dy: usize,
  dx: usize,
  statistics: usize,
  sums: usize,
  channel: i32,
): void {
  const inner = b.inner;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const turned = scratch + TURNED;
  turnPlanes(x, inner, turned);
  turnPlanes(dy, inner, scratch + TURNED_DY);
  loadTriples(statistics, scratch + STATISTICS);
  const high = v128.load(scratch, STATISTICS);
  const low = v128.load(scratch, STATISTICS + 16);
  const inverse = v128.load(scratch, STATISTICS + 32);
  let first = f32x4.splat(0);
  let second = f32x4.splat(0);
  const end = turned + (<usize>inner << 4);
  let at = turned;
  for (; at + 48 < end; at += 64) {
    const h0 = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(at), high), low), inverse);
    const h1 = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(at, 16), high), low), inverse);
    const h2 = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(at, 32), high), low), inverse);
    const h3 = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(at, 48), high), low), inverse);
    const g0 = v128.load(at, TURNED_DY - TURNED);
    const g1 = v128.load(at, TURNED_DY - TURNED + 16);
    const g2 = v128.load(at, TURNED_DY - TURNED + 32);
    const g3 = v128.load(at, TURNED_DY - TURNED + 48);
    v128.store(at, h0);
    v128.store(at, h1, 16);
    v128.store(at, h2, 32);
    v128.store(at, h3, 48);
    first = f32x4.add(first, f32x4.add(f32x4.add(g0, g1), f32x4.add(g2, g3)));
    const p0 = f32x4.add(f32x4.mul(g0, h0), f32x4.mul(g1, h1));
    second = f32x4.add(second, f32x4.add(p0, f32x4.add(f32x4.mul(g2, h2), f32x4.mul(g3, h3))));
  }
  for (; at < end; at += 16) {
    const xhat = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(at), high), low), inverse);
    const g = v128.load(at, TURNED_DY - TURNED);
    v128.store(at, xhat);
    first = f32x4.add(first, g);
    second = f32x4.add(second, f32x4.mul(g, xhat));
  }
  storePairs(sums, first, second);
  const factor = f32x4.mul(inverse, channelLanes(b.scale, channel, b.channels, 1));
  const gradient = f32x4.mul(first, reciprocal);
  const projection = f32x4.mul(second, reciprocal);
  if (inner >= 4) {
    const apart = <usize>inner << 2;
    for (let i = 0; i < inner; i += 4) {
      const place = <usize>min(i, inner - 4) << 2;
      const at = turned + (place << 2);
      storeTurned(
        dx + place,
        apart,
        gradientOf(at, gradient, projection, factor),
        gradientOf(at + 16, gradient, projection, factor),
        gradientOf(at + 32, gradient, projection, factor),
        gradientOf(at + 48, gradient, projection, factor),
      );
    }
    return;
  }
  const dx0 = gradientOf(turned, gradient, projection, factor);
  const dx1 = gradientOf(turned + 16, gradient, projection, factor);
  if (inner == 3) storeTriples(dx, dx0, dx1, gradientOf(turned + 32, gradient, projection, factor));
  else if (inner == 2) storePairs(dx, dx0, dx1);
  else v128.store(dx, dx0);
}

/** dx = (dy - mean(dy) - xhat mean(dy xhat)) factor of the element of four planes whose xhat is at `at`. */
@inline
function gradientOf(at: usize, gradient: v128, projection: v128, factor: v128): v128 {
  const g = f32x4.sub(v128.load(at, TURNED_DY - TURNED), gradient);
  return f32x4.mul(f32x4.sub(g, f32x4.mul(v128.load(at), projection)), factor);
}

/** Backward. Work item: one plane. Reads x, dy, scale, statistics; writes dx and planeSums. */
export function normalizeTinyGradient(b: TinyNormalizationGradient, begin: i32, end: i32): void {
  const apart = <usize>b.inner << 2;
  let at = <usize>begin * apart;
  let statistics = b.statistics + <usize>begin * 12;
  let sums = b.planeSums + <usize>begin * 8;
  let channel = begin % b.channels;
  let left = end - begin;
  for (; left >= 4; left -= 4) {
    gradientFour(b, b.x + at, b.dy + at, b.dx + at, statistics, sums, channel);
    at += 4 * apart;
    statistics += 48;
    sums += 32;
    channel += 4;
    if (channel >= b.channels) channel %= b.channels;
  }
  if (left > 0) {
    const bytes = <usize>left * apart;
    memory.copy(scratch + EDGE_X, b.x + at, bytes);
    memory.copy(scratch + EDGE_DY, b.dy + at, bytes);
    memory.copy(scratch + EDGE_STATISTICS, statistics, <usize>left * 12);
    const result = scratch + EDGE_RESULT;
    gradientFour(b, scratch + EDGE_X, scratch + EDGE_DY, result, scratch + EDGE_STATISTICS, scratch + EDGE_SUMS, channel);
    memory.copy(b.dx + at, result, bytes);
    memory.copy(sums, scratch + EDGE_SUMS, <usize>left * 8);
  }
}
