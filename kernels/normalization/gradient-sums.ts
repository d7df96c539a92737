// Sums of dy and dy d with d = x - high over neighbouring elements, alone and while another run of as many elements is turned
// into dx. Kinds of loops and the order of additions are as in moments.ts, but two accumulators for each sum, which are
// emptied after 16 steps.
import { loadPart, maskPart, storePart } from '../lanes';
import { addToSums, askAhead, endBlocks, less, Shifted, startBlocks, turnOf, Unshifted } from './two-sums';

/** Steps of sixteen elements until accumulators are emptied. */
const STEPS: i32 = 16;

// what turns another run into dx: dx = dy factor + (x - high) slope + rest
let high: v128 = f32x4.splat(0);
let factor: v128 = f32x4.splat(0);
let slope: v128 = f32x4.splat(0);
let rest: v128 = f32x4.splat(0);

/** At most STEPS steps of sixteen elements. */
@inline
function addBlock<Kind>(x: usize, dy: usize, steps: i32, s: v128): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  while (steps > 0) {
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    const g2 = v128.load(dy, 32);
    const g3 = v128.load(dy, 48);
    a0 = f32x4.add(a0, g0);
    a1 = f32x4.add(a1, g1);
    a0 = f32x4.add(a0, g2);
    a1 = f32x4.add(a1, g3);
    q0 = f32x4.add(q0, f32x4.mul(g0, less<Kind>(v128.load(x), s)));
    q1 = f32x4.add(q1, f32x4.mul(g1, less<Kind>(v128.load(x, 16), s)));
    q0 = f32x4.add(q0, f32x4.mul(g2, less<Kind>(v128.load(x, 32), s)));
    q1 = f32x4.add(q1, f32x4.mul(g3, less<Kind>(v128.load(x, 48), s)));
    x += 64;
    dy += 64;
    --steps;
  }
  addToSums(f32x4.add(a0, a1), f32x4.add(q0, q1));
}

/** As addBlock; beside it the elements of another run at the same places are turned into dx. */
@inline
function addBlockBeside<Kind>(
  x: usize,
  dy: usize,
  steps: i32,
  s: v128,
  otherX: usize,
  otherDy: usize,
  dx: usize,
): void {
  const h = high;
  const f = factor;
  const t = slope;
  const r = rest;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  while (steps > 0) {
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    const g2 = v128.load(dy, 32);
    const g3 = v128.load(dy, 48);
    a0 = f32x4.add(a0, g0);
    a1 = f32x4.add(a1, g1);
    a0 = f32x4.add(a0, g2);
    a1 = f32x4.add(a1, g3);
    q0 = f32x4.add(q0, f32x4.mul(g0, less<Kind>(v128.load(x), s)));
    q1 = f32x4.add(q1, f32x4.mul(g1, less<Kind>(v128.load(x, 16), s)));
    q0 = f32x4.add(q0, f32x4.mul(g2, less<Kind>(v128.load(x, 32), s)));
    q1 = f32x4.add(q1, f32x4.mul(g3, less<Kind>(v128.load(x, 48), s)));
    const y0 = gradientOf<Kind>(otherX, otherDy, h, f, t, r);
    const y1 = gradientOf<Kind>(otherX + 16, otherDy + 16, h, f, t, r);
    const y2 = gradientOf<Kind>(otherX + 32, otherDy + 32, h, f, t, r);
    const y3 = gradientOf<Kind>(otherX + 48, otherDy + 48, h, f, t, r);
    v128.store(dx, y0);
    v128.store(dx, y1, 16);
    v128.store(dx, y2, 32);
    v128.store(dx, y3, 48);
    otherX += 64;
    otherDy += 64;
    dx += 64;
    x += 64;
    dy += 64;
    --steps;
  }
  addToSums(f32x4.add(a0, a1), f32x4.add(q0, q1));
}

/** dy factor + (x - high) slope + rest of four elements. */
@inline
function gradientOf<Kind>(x: usize, dy: usize, h: v128, f: v128, t: v128, r: v128): v128 {
  return f32x4.add(f32x4.mul(v128.load(dy), f), f32x4.add(f32x4.mul(less<Kind>(v128.load(x), h), t), r));
}

/** Adds what is left, less than 16 elements, and ends the blocks. */
@inline
function finishBlocks(x: usize, dy: usize, left: i32, s: v128): void {
  if (left > 0) {
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    for (; left >= 4; left -= 4) {
      const g = v128.load(dy);
      a = f32x4.add(a, g);
      q = f32x4.add(q, f32x4.mul(g, f32x4.sub(v128.load(x), s)));
      x += 16;
      dy += 16;
    }
    if (left > 0) {
      // lanes beyond the end hold 0 in dy
      const g = loadPart(dy, left);
      a = f32x4.add(a, g);
      q = f32x4.add(q, v128.and(f32x4.mul(g, f32x4.sub(loadPart(x, left), s)), maskPart(left)));
    }
    addToSums(a, q);
  }
  endBlocks();
}

/** Adds the sums of dy and of dy (x - shift) over `count` neighbouring elements. */
export function addGradientSums(x: usize, dy: usize, count: i32, shift: f32): void {
  const s = f32x4.splat(shift);
  const xEnd = x + (<usize>count << 2);
  const dyEnd = dy + (<usize>count << 2);
  let left = count;
  startBlocks();
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    const bytes = <usize>steps << 6;
    askAhead(x, bytes, xEnd);
    askAhead(dy, bytes, dyEnd);
    if (shift != 0) addBlock<Shifted>(x, dy, steps, s);
    else addBlock<Unshifted>(x, dy, steps, s);
    x += bytes;
    dy += bytes;
    left -= steps << 4;
  }
  finishBlocks(x, dy, left, s);
}

/**
 * As addGradientSums; beside it `count` neighbouring elements of another run are turned into dx as applyGradientRun does.
 * Beyond these elements the loop is going to read x up to `end`, dy as far, and to write dx as far.
 */
export function addGradientSumsBeside(
  x: usize,
  dy: usize,
  count: i32,
  shift: f32,
  otherX: usize,
  otherDy: usize,
  dx: usize,
  otherHigh: f32,
  otherFactor: f32,
  otherSlope: f32,
  otherRest: f32,
  end: usize,
): void {
  const s = f32x4.splat(shift);
  const shifted = shift != 0 || otherHigh != 0;
  const dyEnd = dy + (end - x);
  const dxEnd = dx + (end - otherX);
  const all = <usize>count << 2;
  // as in moments.ts
  const turned = turnOf(all, dx - x);
  const turn = turned ? dx + all : 0;
  otherX += turned;
  otherDy += turned;
  dx += turned;
  let left = count;
  high = f32x4.splat(otherHigh);
  factor = f32x4.splat(otherFactor);
  slope = f32x4.splat(otherSlope);
  rest = f32x4.splat(otherRest);
  startBlocks();
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    const bytes = <usize>steps << 6;
    askAhead(x, bytes, end);
    askAhead(dy, bytes, dyEnd);
    askAhead(dx, bytes, dxEnd);
    if (shifted) addBlockBeside<Shifted>(x, dy, steps, s, otherX, otherDy, dx);
    else addBlockBeside<Unshifted>(x, dy, steps, s, otherX, otherDy, dx);
    x += bytes;
    dy += bytes;
    otherX += bytes;
    otherDy += bytes;
    dx += bytes;
    if (dx == turn) {
      otherX -= all;
      otherDy -= all;
      dx -= all;
    }
    left -= steps << 4;
  }
  finishBlocks(x, dy, left, s);
  applyGradientRun(otherX, otherDy, dx, left, otherHigh, otherFactor, otherSlope, otherRest);
}

/** dx = dy factor + (x - high) slope + rest over `count` neighbouring elements. */
export function applyGradientRun(x: usize, dy: usize, dx: usize, count: i32, high: f32, factor: f32, slope: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const t = f32x4.splat(slope);
  const r = f32x4.splat(rest);
  const xEnd = x + (<usize>count << 2);
  const dyEnd = dy + (<usize>count << 2);
  const dxEnd = dx + (<usize>count << 2);
  let left = count;
  while (left >= 16) {
    let steps = min(left >> 4, STEPS);
    const bytes = <usize>steps << 6;
    askAhead(x, bytes, xEnd);
    askAhead(dy, bytes, dyEnd);
    askAhead(dx, bytes, dxEnd);
    left -= steps << 4;
    for (; steps > 0; --steps) {
      const y0 = gradientOf<Shifted>(x, dy, h, f, t, r);
      const y1 = gradientOf<Shifted>(x + 16, dy + 16, h, f, t, r);
      const y2 = gradientOf<Shifted>(x + 32, dy + 32, h, f, t, r);
      const y3 = gradientOf<Shifted>(x + 48, dy + 48, h, f, t, r);
      v128.store(dx, y0);
      v128.store(dx, y1, 16);
      v128.store(dx, y2, 32);
      v128.store(dx, y3, 48);
      x += 64;
      dy += 64;
      dx += 64;
    }
  }
  for (; left >= 4; left -= 4) {
    v128.store(dx, gradientOf<Shifted>(x, dy, h, f, t, r));
    x += 16;
    dy += 16;
    dx += 16;
  }
  if (left > 0) {
    const d = f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), t), r);
    storePart(dx, f32x4.add(f32x4.mul(loadPart(dy, left), f), d), left);
  }
}
