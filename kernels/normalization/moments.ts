// Sums of d and d² with d = x - shift over neighbouring elements, alone and while another run of as many elements is
// scaled and written. The order of additions depends on the number of elements only, so both ways give the same bits.
//
// Scaling one run while the next is measured lets reads from memory go on beside the writes. A shift of 0 has loops of its
// own, since without subtractions a quarter of the arithmetic goes.
import { loadPart, maskPart, storePart } from '../lanes';
import { addToSums, askAhead, endBlocks, less, Shifted, startBlocks, turnOf, Unshifted } from './two-sums';

/** Steps of sixteen elements until accumulators are emptied: 2 KiB. */
const STEPS: i32 = 32;

// what turns x into y while another run is measured: y = (x - high) factor + rest
let high: v128 = f32x4.splat(0);
let factor: v128 = f32x4.splat(0);
let rest: v128 = f32x4.splat(0);

/** At most STEPS steps of sixteen elements. */
@inline
function addBlock<Kind>(x: usize, steps: i32, s: v128): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  let q2 = f32x4.splat(0);
  let q3 = f32x4.splat(0);
  while (steps > 0) {
    const d0 = less<Kind>(v128.load(x), s);
    const d1 = less<Kind>(v128.load(x, 16), s);
    const d2 = less<Kind>(v128.load(x, 32), s);
    const d3 = less<Kind>(v128.load(x, 48), s);
    a0 = f32x4.add(a0, d0);
    a1 = f32x4.add(a1, d1);
    a2 = f32x4.add(a2, d2);
    a3 = f32x4.add(a3, d3);
    q0 = f32x4.add(q0, f32x4.mul(d0, d0));
    q1 = f32x4.add(q1, f32x4.mul(d1, d1));
    q2 = f32x4.add(q2, f32x4.mul(d2, d2));
    q3 = f32x4.add(q3, f32x4.mul(d3, d3));
    x += 64;
    --steps;
  }
  addToSums(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3)));
}

/** As addBlock over x; beside it y = (other - high) factor + rest over the elements of `other` at the same places. */
@inline
function addBlockBeside<Kind>(x: usize, steps: i32, s: v128, other: usize, y: usize): void {
  const h = high;
  const f = factor;
  const r = rest;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  let q2 = f32x4.splat(0);
  let q3 = f32x4.splat(0);
  while (steps > 0) {
    const d0 = less<Kind>(v128.load(x), s);
    const d1 = less<Kind>(v128.load(x, 16), s);
    const d2 = less<Kind>(v128.load(x, 32), s);
    const d3 = less<Kind>(v128.load(x, 48), s);
    a0 = f32x4.add(a0, d0);
    a1 = f32x4.add(a1, d1);
    a2 = f32x4.add(a2, d2);
    a3 = f32x4.add(a3, d3);
    q0 = f32x4.add(q0, f32x4.mul(d0, d0));
    q1 = f32x4.add(q1, f32x4.mul(d1, d1));
    q2 = f32x4.add(q2, f32x4.mul(d2, d2));
    q3 = f32x4.add(q3, f32x4.mul(d3, d3));
    applyStep<Kind>(other, y, h, f, r);
    x += 64;
    other += 64;
    y += 64;
    --steps;
  }
  addToSums(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3)));
}

/** y = (x - high) factor + rest over sixteen elements. */
@inline
function applyStep<Kind>(x: usize, y: usize, h: v128, f: v128, r: v128): void {
  const y0 = f32x4.add(f32x4.mul(less<Kind>(v128.load(x), h), f), r);
  const y1 = f32x4.add(f32x4.mul(less<Kind>(v128.load(x, 16), h), f), r);
  const y2 = f32x4.add(f32x4.mul(less<Kind>(v128.load(x, 32), h), f), r);
  const y3 = f32x4.add(f32x4.mul(less<Kind>(v128.load(x, 48), h), f), r);
  v128.store(y, y0);
  v128.store(y, y1, 16);
  v128.store(y, y2, 32);
  v128.store(y, y3, 48);
}

/** Adds what is left, less than 16 elements, and ends the blocks. */
@inline
function finishBlocks(x: usize, left: i32, s: v128): void {
  if (left > 0) {
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    for (; left >= 4; left -= 4) {
      const d = f32x4.sub(v128.load(x), s);
      a = f32x4.add(a, d);
      q = f32x4.add(q, f32x4.mul(d, d));
      x += 16;
    }
    if (left > 0) {
      const d = v128.and(f32x4.sub(loadPart(x, left), s), maskPart(left));
      a = f32x4.add(a, d);
      q = f32x4.add(q, f32x4.mul(d, d));
    }
    addToSums(a, q);
  }
  endBlocks();
}

/** Adds the sums of d and of d² over `count` neighbouring elements, d = x - shift. */
export function addMoments(x: usize, count: i32, shift: f32): void {
  const s = f32x4.splat(shift);
  const end = x + (<usize>count << 2);
  let left = count;
  startBlocks();
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    const bytes = <usize>steps << 6;
    askAhead(x, bytes, end);
    if (shift != 0) addBlock<Shifted>(x, steps, s);
    else addBlock<Unshifted>(x, steps, s);
    x += bytes;
    left -= steps << 4;
  }
  finishBlocks(x, left, s);
}

/**
 * As addMoments; beside it y = (other - high) factor + rest over `count` neighbouring elements of `other`. Beyond these
 * elements the loop is going to read up to `end`, and to write y as far.
 *
 * Where x and y would come to the ends of their pages together, y is written from its half page on, and what lies before comes
 * last: one of the two waits for a page while the other goes on.
 */
export function addMomentsBeside(
  x: usize,
  count: i32,
  shift: f32,
  other: usize,
  y: usize,
  otherHigh: f32,
  otherFactor: f32,
  otherRest: f32,
  end: usize,
): void {
  const s = f32x4.splat(shift);
  const shifted = shift != 0 || otherHigh != 0;
  const yEnd = y + (end - other);
  const all = <usize>count << 2;
  const turned = turnOf(all, y - x);
  const turn = turned ? y + all : 0;
  other += turned;
  y += turned;
  let left = count;
  high = f32x4.splat(otherHigh);
  factor = f32x4.splat(otherFactor);
  rest = f32x4.splat(otherRest);
  startBlocks();
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    const bytes = <usize>steps << 6;
    askAhead(x, bytes, end);
    askAhead(y, bytes, yEnd);
    if (shifted) addBlockBeside<Shifted>(x, steps, s, other, y);
    else addBlockBeside<Unshifted>(x, steps, s, other, y);
    x += bytes;
    other += bytes;
    y += bytes;
    if (y == turn) {
      other -= all;
      y -= all;
    }
    left -= steps << 4;
  }
  finishBlocks(x, left, s);
  applyRun(other, y, left, otherHigh, otherFactor, otherRest);
}

/** y = (x - high) factor + rest over `count` neighbouring elements. */
export function applyRun(x: usize, y: usize, count: i32, high: f32, factor: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const r = f32x4.splat(rest);
  const xEnd = x + (<usize>count << 2);
  const yEnd = y + (<usize>count << 2);
  let left = count;
  while (left >= 16) {
    let steps = min(left >> 4, STEPS);
    left -= steps << 4;
    askAhead(x, <usize>steps << 6, xEnd);
    askAhead(y, <usize>steps << 6, yEnd);
    for (; steps > 0; --steps) {
      applyStep<Shifted>(x, y, h, f, r);
      x += 64;
      y += 64;
    }
  }
  for (; left >= 4; left -= 4) {
    v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r));
    x += 16;
    y += 16;
  }
  if (left > 0) storePart(y, f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), f), r), left);
}
