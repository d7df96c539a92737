// Sum, product, largest and smallest element over any set of dimensions, and the sum of the products of two arrays.
//
// x is float32, column-major, seen as alternating kept and reduced dimensions: neighbours that share a fate are one
// dimension. So x has the sizes [kept0, reduced0, kept1, reduced1, kept2, reduced2, kept3] with kept0 = 1 where the
// first dimension is reduced, and 1 for whatever is missing. y holds the kept dimensions, column-major.
//
// The reduced elements of one result are numbered in memory order and cut into `parts` pieces of `partSize` (the last
// may be shorter); the host derives both from the sizes alone. Work item of `reduce`: one piece of one result
// (results first: piece * results + result). With one piece it writes y, else float64 to `partials`, which
// `reduceJoin` (work item: one result) joins in their order. Pieces and lanes are summed in a fixed order, so the bits
// depend on the sizes only.
//
// Accuracy: sums and products are float32 over at most 32 terms in a lane, then float64; the error of a sum of n terms
// is about 1e-7 of the sum of their magnitudes for any n, that of a product about 6e-8 sqrt(n). max and min leave NaN out, as MATLAB: NaN only where all are.
import { loadPart, maskPart } from '../lanes';
import { scratch } from '../scratch';

@unmanaged
export class Reduction {
  x: usize;
  /** Sum of products: the other factor, like x. Else unused. */
  other: usize;
  y: usize;
  /** float64 [results, parts]; unused with one part. */
  partials: usize;
  /** 0 sum, 1 product, 2 max, 3 min, 4 sum of products. */
  code: i32;
  kept0: i32;
  reduced0: i32;
  kept1: i32;
  reduced1: i32;
  kept2: i32;
  reduced2: i32;
  kept3: i32;
  parts: i32;
  partSize: i32;
  /** The result is multiplied by it: 1 / count for a mean, else 1. Ignored by max and min. */
  factor: f32;
}

// Functions are classes so that the loops can be compiled for each; no method reads `this`. `take` gets four elements, and
// where the other factor's elements lie.
class Sum {
  @inline start(): f32 { return 0; }
  @inline start64(): f64 { return 0; }
  @inline take(x: v128, other: usize): v128 { return x; }
  @inline takePart(x: v128, other: usize, n: i32): v128 { return x; }
  @inline join(a: v128, b: v128): v128 { return f32x4.add(a, b); }
  @inline join64(a: f64, b: f64): f64 { return a + b; }
}
class Product {
  @inline start(): f32 { return 1; }
  @inline start64(): f64 { return 1; }
  @inline take(x: v128, other: usize): v128 { return x; }
  @inline takePart(x: v128, other: usize, n: i32): v128 { return x; }
  @inline join(a: v128, b: v128): v128 { return f32x4.mul(a, b); }
  @inline join64(a: f64, b: f64): f64 { return a * b; }
}
// the bits that the sum of the written products has
class SumOfProducts {
  @inline start(): f32 { return 0; }
  @inline start64(): f64 { return 0; }
  @inline take(x: v128, other: usize): v128 { return f32x4.mul(x, v128.load(other)); }
  @inline takePart(x: v128, other: usize, n: i32): v128 { return f32x4.mul(x, loadPart(other, n)); }
  @inline join(a: v128, b: v128): v128 { return f32x4.add(a, b); }
  @inline join64(a: f64, b: f64): f64 { return a + b; }
}
// starting from NaN, which every number replaces
class Largest {
  @inline start(): f32 { return NaN; }
  @inline start64(): f64 { return NaN; }
  @inline take(x: v128, other: usize): v128 { return x; }
  @inline takePart(x: v128, other: usize, n: i32): v128 { return x; }
  @inline join(a: v128, b: v128): v128 {
    return v128.bitselect(b, a, v128.or(f32x4.gt(b, a), f32x4.ne(a, a)));
  }
  @inline join64(a: f64, b: f64): f64 { return b > a || a != a ? b : a; }
}
class Smallest {
  @inline start(): f32 { return NaN; }
  @inline start64(): f64 { return NaN; }
  @inline take(x: v128, other: usize): v128 { return x; }
  @inline takePart(x: v128, other: usize, n: i32): v128 { return x; }
  @inline join(a: v128, b: v128): v128 {
    return v128.bitselect(b, a, v128.or(f32x4.lt(b, a), f32x4.ne(a, a)));
  }
  @inline join64(a: f64, b: f64): f64 { return b < a || a != a ? b : a; }
}

@inline
function joinLanes<F>(value: f64, lanes: v128): f64 {
  const f = changetype<F>(0);
  const low = f.join64(<f64>f32x4.extract_lane(lanes, 0), <f64>f32x4.extract_lane(lanes, 1));
  const high = f.join64(<f64>f32x4.extract_lane(lanes, 2), <f64>f32x4.extract_lane(lanes, 3));
  return f.join64(value, f.join64(low, high));
}

/** Joins `count` neighbouring elements to `value`: four vectors at a time, at most 32 of each, then float64. */
function reduceRun<F>(x: usize, apart: usize, count: i32, value: f64): f64 {
  const f = changetype<F>(0);
  let other = x + apart;
  let left = count;
  while (left >= 16) {
    let steps = min(left >> 4, 32);
    left -= steps << 4;
    let a0 = f32x4.splat(f.start());
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    while (steps > 0) {
      a0 = f.join(a0, f.take(v128.load(x), other));
      a1 = f.join(a1, f.take(v128.load(x, 16), other + 16));
      a2 = f.join(a2, f.take(v128.load(x, 32), other + 32));
      a3 = f.join(a3, f.take(v128.load(x, 48), other + 48));
      x += 64;
      other += 64;
      --steps;
    }
    value = joinLanes<F>(value, f.join(f.join(a0, a1), f.join(a2, a3)));
  }
  if (left > 0) {
    let a = f32x4.splat(f.start());
    for (; left >= 4; left -= 4) {
      a = f.join(a, f.take(v128.load(x), other));
      x += 16;
      other += 16;
    }
    if (left > 0) {
      a = f.join(a, v128.bitselect(f.takePart(loadPart(x, left), other, left), f32x4.splat(f.start()), maskPart(left)));
    }
    value = joinLanes<F>(value, a);
  }
  return value;
}

@inline
function finish(p: Reduction, result: i32, part: i32, results: i32, value: f64): void {
  if (p.parts > 1) store<f64>(p.partials + ((<usize>part * <usize>results + <usize>result) << 3), value);
  else store<f32>(p.y + (<usize>result << 2), <f32>(p.code < 2 || p.code == 4 ? value * <f64>p.factor : value));
}

/** One result after the other: kept0 is 1, the elements of a run are neighbours. */
function reduceInner<F>(p: Reduction, begin: i32, end: i32): void {
  const results = p.kept1 * p.kept2 * p.kept3;
  const count = p.reduced0 * p.reduced1 * p.reduced2;
  const run = p.reduced0;
  const step1 = <usize>run * <usize>p.kept1;
  const step2 = step1 * <usize>p.reduced1 * <usize>p.kept2;
  for (let item = begin; item < end; ++item) {
    const part = item / results;
    const result = item - part * results;
    const k1 = result % p.kept1;
    const k2 = (result / p.kept1) % p.kept2;
    const k3 = result / (p.kept1 * p.kept2);
    const base =
      p.x +
      ((<usize>k1 * <usize>run + <usize>k2 * step1 * <usize>p.reduced1 + <usize>k3 * step2 * <usize>p.reduced2) << 2);
    let i = part * p.partSize;
    const to = min(i + p.partSize, count);
    let value = changetype<F>(0).start64();
    let start = i % run;
    let r1 = (i / run) % p.reduced1;
    let r2 = i / (run * p.reduced1);
    while (i < to) {
      const n = min(run - start, to - i);
      value = reduceRun<F>(base + ((<usize>start + <usize>r1 * step1 + <usize>r2 * step2) << 2), p.other - p.x, n, value);
      i += n;
      start = 0;
      if (++r1 == p.reduced1) {
        r1 = 0;
        ++r2;
      }
    }
    finish(p, result, part, results, value);
  }
}

/** Lanes are neighbouring results along kept0; at most 16 at once, so that a whole cache line is used. */
function reduceOuter<F>(p: Reduction, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const width = p.kept0;
  const results = width * p.kept1 * p.kept2 * p.kept3;
  const count = p.reduced0 * p.reduced1 * p.reduced2;
  const step0 = <usize>width << 2;
  const step1 = step0 * <usize>p.reduced0 * <usize>p.kept1;
  const step2 = step1 * <usize>p.reduced1 * <usize>p.kept2;
  const totals = scratch;
  const apart = p.other - p.x;
  let item = begin;
  while (item < end) {
    const part = item / results;
    const result = item - part * results;
    const k0 = result % width;
    const k1 = (result / width) % p.kept1;
    const k2 = (result / (width * p.kept1)) % p.kept2;
    const k3 = result / (width * p.kept1 * p.kept2);
    const lanes = min(min(width - k0, end - item), 16);
    const base =
      p.x +
      (<usize>k0 << 2) +
      <usize>k1 * step0 * <usize>p.reduced0 +
      <usize>k2 * step1 * <usize>p.reduced1 +
      <usize>k3 * step2 * <usize>p.reduced2;
    for (let lane = 0; lane < 16; ++lane) store<f64>(totals + (<usize>lane << 3), f.start64());
    let i = part * p.partSize;
    const to = min(i + p.partSize, count);
    let start = i % p.reduced0;
    let r1 = (i / p.reduced0) % p.reduced1;
    let r2 = i / (p.reduced0 * p.reduced1);
    while (i < to) {
      const n = min(p.reduced0 - start, to - i);
      let x = base + <usize>start * step0 + <usize>r1 * step1 + <usize>r2 * step2;
      let left = n;
      while (left > 0) {
        let steps = min(left, 32);
        left -= steps;
        if (lanes == 16) {
          let a0 = f32x4.splat(f.start());
          let a1 = a0;
          let a2 = a0;
          let a3 = a0;
          for (; steps > 0; --steps) {
            a0 = f.join(a0, f.take(v128.load(x), x + apart));
            a1 = f.join(a1, f.take(v128.load(x, 16), x + apart + 16));
            a2 = f.join(a2, f.take(v128.load(x, 32), x + apart + 32));
            a3 = f.join(a3, f.take(v128.load(x, 48), x + apart + 48));
            x += step0;
          }
          addTotals<F>(totals, a0);
          addTotals<F>(totals + 32, a1);
          addTotals<F>(totals + 64, a2);
          addTotals<F>(totals + 96, a3);
        } else {
          for (let lane = 0; lane < lanes; lane += 4) {
            const valid = lanes - lane;
            let at = x + (<usize>lane << 2);
            let a = f32x4.splat(f.start());
            if (valid >= 4) {
              for (let s = 0; s < steps; ++s) {
                a = f.join(a, f.take(v128.load(at), at + apart));
                at += step0;
              }
            } else {
              for (let s = 0; s < steps; ++s) {
                a = f.join(a, f.takePart(loadPart(at, valid), at + apart, valid));
                at += step0;
              }
            }
            addTotals<F>(totals + (<usize>lane << 3), a);
          }
          x += <usize>steps * step0;
        }
      }
      i += n;
      start = 0;
      if (++r1 == p.reduced1) {
        r1 = 0;
        ++r2;
      }
    }
    for (let lane = 0; lane < lanes; ++lane)
      finish(p, result + lane, part, results, load<f64>(totals + (<usize>lane << 3)));
    item += lanes;
  }
}

/** Joins four lanes to four float64 numbers in memory. */
@inline
function addTotals<F>(at: usize, lanes: v128): void {
  const f = changetype<F>(0);
  store<f64>(at, f.join64(load<f64>(at), <f64>f32x4.extract_lane(lanes, 0)));
  store<f64>(at, f.join64(load<f64>(at, 8), <f64>f32x4.extract_lane(lanes, 1)), 8);
  store<f64>(at, f.join64(load<f64>(at, 16), <f64>f32x4.extract_lane(lanes, 2)), 16);
  store<f64>(at, f.join64(load<f64>(at, 24), <f64>f32x4.extract_lane(lanes, 3)), 24);
}

@inline
function reduceWith<F>(p: Reduction, begin: i32, end: i32): void {
  if (p.kept0 == 1) reduceInner<F>(p, begin, end);
  else reduceOuter<F>(p, begin, end);
}

/** y = f over the reduced dimensions of x. Work item: one piece of one result. */
export function reduce(b: Reduction, begin: i32, end: i32): void {
  switch (b.code) {
    case 0:
      return reduceWith<Sum>(b, begin, end);
    case 1:
      return reduceWith<Product>(b, begin, end);
    case 2:
      return reduceWith<Largest>(b, begin, end);
    case 3:
      return reduceWith<Smallest>(b, begin, end);
    case 4:
      return reduceWith<SumOfProducts>(b, begin, end);
  }
}

@inline
function joinParts<F>(p: Reduction, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const results = p.kept0 * p.kept1 * p.kept2 * p.kept3;
  const scaled = p.code < 2 || p.code == 4;
  for (let result = begin; result < end; ++result) {
    let value = f.start64();
    let at = p.partials + (<usize>result << 3);
    for (let part = 0; part < p.parts; ++part) {
      value = f.join64(value, load<f64>(at));
      at += <usize>results << 3;
    }
    store<f32>(p.y + (<usize>result << 2), <f32>(scaled ? value * <f64>p.factor : value));
  }
}

/** The second step where there are several parts. Work item: one result. */
export function reduceJoin(b: Reduction, begin: i32, end: i32): void {
  switch (b.code) {
    case 1:
      return joinParts<Product>(b, begin, end);
    case 2:
      return joinParts<Largest>(b, begin, end);
    case 3:
      return joinParts<Smallest>(b, begin, end);
    default:
      return joinParts<Sum>(b, begin, end);
  }
}
