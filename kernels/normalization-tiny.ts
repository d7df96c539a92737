// Planes of a few elements without gaps, four at a time: turned round in registers, so that each plane is a lane of vectors
// and every step of the arithmetic serves four planes. The turned planes wait in a first-level cache between the steps.
//
// Formulas are those of normalization.ts and normalization-gradient.ts. Elements are shifted by the first of their plane,
// and squares are taken of what is left beside the mean: nothing cancels, so that float32 is enough for so few of them.
// A lane goes through the same operations wherever its plane lies: results do not depend on which planes go together.
import { joinHigh, joinLow, storeTurned, zipHigh, zipLow } from './lanes';
import { channelLanes, loadTriples, storeTriples } from './normalization-layout';
import { scratch } from './scratch';

/** Largest plane that goes this way; larger ones fill vectors of their own well enough. The host decides by it. */
const LARGEST: i32 = 64;
/** Squares are taken again where those of the distance of shift and mean are more than so many times as large. */
const FARTHEST: f32 = 16;

// Working memory, in bytes behind `scratch`. Four planes are a vector for each element, of x and of dy, behind what is to be
// done with them; while four are measured, the four before them wait for being written: for square roots and divisions.
const FACTOR: usize = 0;
const REST: usize = 16;
const PROJECTION: usize = 32;
const TURNED: usize = 48;
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

/** Four planes of two to four elements at `from`: a vector per element at `to`, those of absent ones as of the first. */
@inline
function turnFew(from: usize, inner: i32, to: usize): void {
  if (inner == 4) {
    storeTurned(to, 16, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48));
    return;
  }
  if (inner == 3) loadTriples(from, to);
  else {
    const p = v128.load(from);
    const q = v128.load(from, 16);
    const first = v128.shuffle<f32>(p, q, 0, 2, 4, 6);
    v128.store(to, first);
    v128.store(to, v128.shuffle<f32>(p, q, 1, 3, 5, 7), 16);
    v128.store(to, first, 32);
  }
  v128.store(to, v128.load(to), 48);
}

/** The inverse of turnFew. */
@inline
function turnFewBack(to: usize, inner: i32, a: v128, b: v128, c: v128, d: v128): void {
  if (inner == 4) storeTurned(to, 16, a, b, c, d);
  else if (inner == 3) storeTriples(to, a, b, c);
  else storePairs(to, a, b);
}

// ---------------------------------------------------------------- forward

/** Statistics of four planes from the sums of d and d²; in `four`, what makes y of d. */
@inline
function finishFour(
  b: TinyNormalization,
  shift: v128,
  delta: v128,
  squares: v128,
  reciprocal: v128,
  statistics: usize,
  channel: i32,
  four: usize,
): void {
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

/** Four planes of at most four elements. */
@inline
function normalizeFew(b: TinyNormalization, x: usize, y: usize, statistics: usize, channel: i32, reciprocal: v128): void {
  const inner = b.inner;
  if (inner == 1) {
    const alone = v128.load(x);
    const nothing = f32x4.sub(alone, alone);
    const inverse = f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.splat(b.epsilon)));
    storeTriples(statistics, alone, nothing, inverse);
    v128.store(y, f32x4.add(nothing, channelLanes(b.offset, channel, b.channels, 0)));
    return;
  }
  const four = scratch;
  turnFew(x, inner, four + TURNED);
  const shift = v128.load(four, TURNED);
  // not a number where the first is infinite
  const d0 = f32x4.sub(shift, shift);
  const d1 = f32x4.sub(v128.load(four, TURNED + 16), shift);
  const d2 = f32x4.sub(v128.load(four, TURNED + 32), shift);
  const d3 = f32x4.sub(v128.load(four, TURNED + 48), shift);
  const first = f32x4.add(f32x4.add(d0, d1), f32x4.add(d2, d3));
  const delta = f32x4.mul(first, reciprocal);
  const second = f32x4.add(f32x4.mul(d1, d1), f32x4.add(f32x4.mul(d2, d2), f32x4.mul(d3, d3)));
  const squares = f32x4.sub(second, f32x4.mul(first, delta));
  // too large for float32: infinite, not a number less a number
  const infinite = f32x4.eq(second, f32x4.splat(Infinity));
  finishFour(
    b,
    shift,
    delta,
    v128.bitselect(second, f32x4.pmax(squares, f32x4.splat(0)), infinite),
    reciprocal,
    statistics,
    channel,
    four,
  );
  const factor = v128.load(four, FACTOR);
  const rest = v128.load(four, REST);
  turnFewBack(
    y,
    inner,
    f32x4.add(f32x4.mul(d0, factor), rest),
    f32x4.add(f32x4.mul(d1, factor), rest),
    f32x4.add(f32x4.mul(d2, factor), rest),
    f32x4.add(f32x4.mul(d3, factor), rest),
  );
}

/** Four planes of more elements at x to their statistics and, in `four`, what makes y of them. */
@inline
function measureFour(b: TinyNormalization, x: usize, statistics: usize, channel: i32, four: usize, reciprocal: v128): void {
  const inner = b.inner;
  const turned = four + TURNED;
  const apart = <usize>inner << 2;
  const third = x + 2 * apart;
  const shift = joinLow(zipLow(v128.load(x), v128.load(x + apart)), zipLow(v128.load(third), v128.load(third + apart)));
  let first = f32x4.splat(0);
  let second = f32x4.splat(0);
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
    }
    if (repeated < 2) {
      sum = f32x4.add(sum, d1);
      square = f32x4.add(square, f32x4.mul(d1, d1));
    }
    if (repeated == 0) {
      sum = f32x4.add(sum, d0);
      square = f32x4.add(square, f32x4.mul(d0, d0));
    }
    first = f32x4.add(first, sum);
    second = f32x4.add(second, square);
  }
  const delta = f32x4.mul(first, reciprocal);
  const moved = f32x4.mul(first, delta);
  let squares = f32x4.pmax(f32x4.sub(second, moved), f32x4.splat(0));
  if (areLost(moved, squares)) squares = squaresBeside(turned, inner, delta);
  finishFour(b, shift, delta, squares, reciprocal, statistics, channel, four);
}

/** Whether squares are too small beside what was taken from them, or, both too large for float32, not a number. */
@inline
function areLost(moved: v128, squares: v128): bool {
  return !v128.all_true<i32>(f32x4.le(moved, f32x4.mul(squares, f32x4.splat(FARTHEST))));
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
  const apart = <usize>inner << 2;
  for (let i = 0; i < inner; i += 4) {
    const place = <usize>min(i, inner - 4) << 2;
    const at = four + TURNED + (place << 2);
    storeTurned(
      y + place,
      apart,
      f32x4.add(f32x4.mul(v128.load(at), factor), rest),
      f32x4.add(f32x4.mul(v128.load(at, 16), factor), rest),
      f32x4.add(f32x4.mul(v128.load(at, 32), factor), rest),
      f32x4.add(f32x4.mul(v128.load(at, 48), factor), rest),
    );
  }
}

/** Forward. Work item: one plane. Reads x; writes y, statistics. */
export function normalizeTiny(b: TinyNormalization, begin: i32, end: i32): void {
  const inner = b.inner;
  const channels = b.channels;
  const apart = <usize>inner << 2;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const few = inner <= 4;
  let x = b.x + <usize>begin * apart;
  let y = b.y + <usize>begin * apart;
  let statistics = b.statistics + <usize>begin * 12;
  let channel = begin % channels;
  let four = scratch;
  let measured: usize = 0;
  // more planes than a few are written a turn later
  for (let left = end - begin; left > (few ? 0 : -4); left -= 4) {
    if (left > 0) {
      const edge = left < 4;
      const from = edge ? scratch + EDGE_X : x;
      const to = edge ? scratch + EDGE_STATISTICS : statistics;
      if (edge) memory.copy(from, x, <usize>left * apart);
      if (few) normalizeFew(b, from, edge ? scratch + EDGE_RESULT : y, to, channel, reciprocal);
      else measureFour(b, from, to, channel, four, reciprocal);
      if (edge) {
        memory.copy(statistics, to, <usize>left * 12);
        if (few) memory.copy(y, scratch + EDGE_RESULT, <usize>left * apart);
      }
      x += 4 * apart;
      statistics += 48;
      channel += 4;
      if (channel >= channels) channel %= channels;
    }
    if (few) y += 4 * apart;
    else {
      if (measured) {
        if (left > -1) writeFour(measured, inner, y);
        else {
          writeFour(measured, inner, scratch + EDGE_RESULT);
          memory.copy(y, scratch + EDGE_RESULT, <usize>(left + 4) * apart);
        }
        y += 4 * apart;
      }
      measured = four;
      four = four == scratch ? scratch + FOUR : scratch;
    }
  }
}

// ---------------------------------------------------------------- backward

@inline
function normalized(x: v128): v128 {
  const d = f32x4.sub(f32x4.sub(x, v128.load(scratch, STATISTICS)), v128.load(scratch, STATISTICS + 16));
  return f32x4.mul(d, v128.load(scratch, STATISTICS + 32));
}

/** dx = (dy - mean(dy) - xhat mean(dy xhat)) factor */
@inline
function gradientOf(dy: v128, xhat: v128, mean: v128, projection: v128, factor: v128): v128 {
  return f32x4.mul(f32x4.sub(f32x4.sub(dy, mean), f32x4.mul(xhat, projection)), factor);
}

/** From the sums of dy and dy xhat of four planes what is kept of them, and in `four` what makes dx of dy and xhat. */
@inline
function finishGradient(
  b: TinyNormalizationGradient,
  first: v128,
  second: v128,
  reciprocal: v128,
  sums: usize,
  channel: i32,
  four: usize,
): void {
  storePairs(sums, first, second);
  v128.store(four, f32x4.mul(v128.load(scratch, STATISTICS + 32), channelLanes(b.scale, channel, b.channels, 1)), FACTOR);
  v128.store(four, f32x4.mul(first, reciprocal), REST);
  v128.store(four, f32x4.mul(second, reciprocal), PROJECTION);
}

/** Four planes of at most four elements, whose statistics are at STATISTICS. */
@inline
function gradientFew(
  b: TinyNormalizationGradient,
  x: usize,
  dy: usize,
  dx: usize,
  sums: usize,
  channel: i32,
  reciprocal: v128,
): void {
  const inner = b.inner;
  if (inner == 1) {
    const xhat = normalized(v128.load(x));
    const g = v128.load(dy);
    storePairs(sums, g, f32x4.mul(g, xhat));
    v128.store(dx, f32x4.add(f32x4.sub(g, g), xhat));
    return;
  }
  const four = scratch;
  turnFew(x, inner, four + TURNED);
  turnFew(dy, inner, four + TURNED_DY);
  const h0 = normalized(v128.load(four, TURNED));
  const h1 = normalized(v128.load(four, TURNED + 16));
  const h2 = normalized(v128.load(four, TURNED + 32));
  const h3 = normalized(v128.load(four, TURNED + 48));
  const zero = f32x4.splat(0);
  const g0 = v128.load(four, TURNED_DY);
  const g1 = v128.load(four, TURNED_DY + 16);
  const g2 = inner > 2 ? v128.load(four, TURNED_DY + 32) : zero;
  const g3 = inner > 3 ? v128.load(four, TURNED_DY + 48) : zero;
  const first = f32x4.add(f32x4.add(g0, g1), f32x4.add(g2, g3));
  const second = f32x4.add(
    f32x4.add(f32x4.mul(g0, h0), f32x4.mul(g1, h1)),
    f32x4.add(f32x4.mul(g2, h2), f32x4.mul(g3, h3)),
  );
  finishGradient(b, first, second, reciprocal, sums, channel, four);
  const factor = v128.load(four, FACTOR);
  const mean = v128.load(four, REST);
  const projection = v128.load(four, PROJECTION);
  turnFewBack(
    dx,
    inner,
    gradientOf(g0, h0, mean, projection, factor),
    gradientOf(g1, h1, mean, projection, factor),
    gradientOf(g2, h2, mean, projection, factor),
    gradientOf(g3, h3, mean, projection, factor),
  );
}

/** Four planes of more elements, whose statistics are at STATISTICS: their sums and, in `four`, what makes dx of them. */
@inline
function sumFour(
  b: TinyNormalizationGradient,
  x: usize,
  dy: usize,
  sums: usize,
  channel: i32,
  four: usize,
  reciprocal: v128,
): void {
  const inner = b.inner;
  const apart = <usize>inner << 2;
  let first = f32x4.splat(0);
  let second = f32x4.splat(0);
  for (let i = 0; i < inner; i += 4) {
    // as in measureFour
    const repeated = max(0, i + 4 - inner);
    const place = <usize>(i - repeated) << 2;
    const at = four + TURNED + (place << 2);
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
    const h0 = normalized(joinLow(pq, rs));
    const h1 = normalized(joinHigh(pq, rs));
    const h2 = normalized(joinLow(pq2, rs2));
    const h3 = normalized(joinHigh(pq2, rs2));
    v128.store(at, h0);
    v128.store(at, h1, 16);
    v128.store(at, h2, 32);
    v128.store(at, h3, 48);
    const fromDy = dy + place;
    const otherDy = fromDy + 2 * apart;
    const turned = at + (TURNED_DY - TURNED);
    storeTurned(turned, 16, v128.load(fromDy), v128.load(fromDy + apart), v128.load(otherDy), v128.load(otherDy + apart));
    let sum = v128.load(turned, 48);
    let product = f32x4.mul(sum, h3);
    if (repeated < 3) {
      const g = v128.load(turned, 32);
      sum = f32x4.add(sum, g);
      product = f32x4.add(product, f32x4.mul(g, h2));
    }
    if (repeated < 2) {
      const g = v128.load(turned, 16);
      sum = f32x4.add(sum, g);
      product = f32x4.add(product, f32x4.mul(g, h1));
    }
    if (repeated == 0) {
      const g = v128.load(turned);
      sum = f32x4.add(sum, g);
      product = f32x4.add(product, f32x4.mul(g, h0));
    }
    first = f32x4.add(first, sum);
    second = f32x4.add(second, product);
  }
  finishGradient(b, first, second, reciprocal, sums, channel, four);
}

@inline
function gradientAt(at: usize, mean: v128, projection: v128, factor: v128): v128 {
  return gradientOf(v128.load(at, TURNED_DY), v128.load(at, TURNED), mean, projection, factor);
}

/** dx of four planes whose sums were taken before. */
@inline
function writeGradientFour(four: usize, inner: i32, dx: usize): void {
  const factor = v128.load(four, FACTOR);
  const mean = v128.load(four, REST);
  const projection = v128.load(four, PROJECTION);
  const apart = <usize>inner << 2;
  for (let i = 0; i < inner; i += 4) {
    const place = <usize>min(i, inner - 4) << 2;
    const at = four + (place << 2);
    storeTurned(
      dx + place,
      apart,
      gradientAt(at, mean, projection, factor),
      gradientAt(at + 16, mean, projection, factor),
      gradientAt(at + 32, mean, projection, factor),
      gradientAt(at + 48, mean, projection, factor),
    );
  }
}

/** Backward. Work item: one plane. Reads x, dy, scale, statistics; writes dx and planeSums. */
export function normalizeTinyGradient(b: TinyNormalizationGradient, begin: i32, end: i32): void {
  const inner = b.inner;
  const channels = b.channels;
  const apart = <usize>inner << 2;
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>inner));
  const few = inner <= 4;
  let x = b.x + <usize>begin * apart;
  let dy = b.dy + <usize>begin * apart;
  let dx = b.dx + <usize>begin * apart;
  let statistics = b.statistics + <usize>begin * 12;
  let sums = b.planeSums + <usize>begin * 8;
  let channel = begin % channels;
  let four = scratch;
  let summed: usize = 0;
  // more planes than a few are written a turn later
  for (let left = end - begin; left > (few ? 0 : -4); left -= 4) {
    if (left > 0) {
      const edge = left < 4;
      const from = edge ? scratch + EDGE_X : x;
      const fromDy = edge ? scratch + EDGE_DY : dy;
      const to = edge ? scratch + EDGE_SUMS : sums;
      if (edge) {
        memory.copy(from, x, <usize>left * apart);
        memory.copy(fromDy, dy, <usize>left * apart);
        memory.copy(scratch + EDGE_STATISTICS, statistics, <usize>left * 12);
      }
      loadTriples(edge ? scratch + EDGE_STATISTICS : statistics, scratch + STATISTICS);
      if (few) gradientFew(b, from, fromDy, edge ? scratch + EDGE_RESULT : dx, to, channel, reciprocal);
      else sumFour(b, from, fromDy, to, channel, four, reciprocal);
      if (edge) {
        memory.copy(sums, to, <usize>left * 8);
        if (few) memory.copy(dx, scratch + EDGE_RESULT, <usize>left * apart);
      }
      x += 4 * apart;
      dy += 4 * apart;
      statistics += 48;
      sums += 32;
      channel += 4;
      if (channel >= channels) channel %= channels;
    }
    if (few) dx += 4 * apart;
    else {
      if (summed) {
        if (left > -1) writeGradientFour(summed, inner, dx);
        else {
          writeGradientFour(summed, inner, scratch + EDGE_RESULT);
          memory.copy(dx, scratch + EDGE_RESULT, <usize>(left + 4) * apart);
        }
        dx += 4 * apart;
      }
      summed = four;
      four = four == scratch ? scratch + FOUR : scratch;
    }
  }
}
