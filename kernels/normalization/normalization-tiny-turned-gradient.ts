// The gradient for the planes of normalization-tiny-turned.ts. Four planes wait for a square root and a division while others go
// on, but no more than fit the processor's window: so dx comes from 1 / (squares + n epsilon) by one division, and the root of
// that stands beside the sums.
import { joinHigh, joinLow } from '../lanes';
import { storeTriples } from './normalization-layout';
import { addSums, areModerate, MAGNITUDES, ONES, SCALES } from './normalization-tiny-layout';
import {
  Eight, evens, firstOfThree, Five, Four, fourOf, Nine, odds, One, secondOfThree, Seven, single, Six, storeFours,
  storePairs, storeSingle, thirdOfThree, Three, Two, Zero,
} from './normalization-tiny-planes';
import { scratch } from '../scratch';

/** What must be left of dy in planes of three, relative to its sum with xhat, for float32 to keep its digits. */
const LEAST_LEFT: f32 = 1.0 / 256.0;

/** What is left of dy beside its mean and the projection on xhat: dy - (d slope + rest) */
@inline
function left(dy: v128, d: v128, slope: v128, rest: v128): v128 {
  return f32x4.sub(dy, f32x4.add(f32x4.mul(d, slope), rest));
}

/** dx = left factor */
@inline
function gradientOf(dy: v128, d: v128, slope: v128, rest: v128, factor: v128): v128 {
  return f32x4.mul(left(dy, d, slope, rest), factor);
}

@inline
function gradientTurned<N>(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
  const n = <i32>(offsetof<N>() >> 2);
  const reciprocal = f32x4.splat(<f32>(1.0 / <f64>n));
  const epsilon = f32x4.splat(<f32>n * epsilonOfAll);
  const own = scratch;
  do {
    let p = n == 3 ? v128.load(x) : fourOf<N, Zero, Zero>(x);
    let q = n == 3 ? v128.load(x, 16) : fourOf<N, One, Zero>(x);
    let r = n == 3 ? v128.load(x, 32) : fourOf<N, Two, Zero>(x);
    let s = n == 3 ? r : fourOf<N, Three, Zero>(x);
    let low = joinLow(p, q);
    let low2 = joinLow(r, s);
    let high = joinHigh(p, q);
    let high2 = joinHigh(r, s);
    const shift = n == 3 ? firstOfThree(p, q, r) : evens(low, low2);
    let d1 = f32x4.sub(n == 3 ? secondOfThree(p, q, r) : odds(low, low2), shift);
    let sum = d1;
    let squares = f32x4.add(f32x4.mul(d1, d1), epsilon);
    let d2 = f32x4.sub(n == 3 ? thirdOfThree(p, q, r) : evens(high, high2), shift);
    sum = f32x4.add(sum, d2);
    squares = f32x4.add(squares, f32x4.mul(d2, d2));
    let d3 = d2;
    let d4 = d2;
    let d5 = d2;
    let d6 = d2;
    let d7 = d2;
    let d8 = d2;
    if (n > 3) {
      d3 = f32x4.sub(odds(high, high2), shift);
      sum = f32x4.add(sum, d3);
      squares = f32x4.add(squares, f32x4.mul(d3, d3));
    }
    if (n == 5) {
      d4 = f32x4.sub(single<N, Four>(x), shift);
      sum = f32x4.add(sum, d4);
      squares = f32x4.add(squares, f32x4.mul(d4, d4));
    }
    if (n > 5) {
      p = n > 7 ? fourOf<N, Zero, Four>(x) : fourOf<N, Zero, Two>(x);
      q = n > 7 ? fourOf<N, One, Four>(x) : fourOf<N, One, Two>(x);
      r = n > 7 ? fourOf<N, Two, Four>(x) : fourOf<N, Two, Two>(x);
      s = n > 7 ? fourOf<N, Three, Four>(x) : fourOf<N, Three, Two>(x);
      low = n > 7 ? joinLow(p, q) : joinHigh(p, q);
      low2 = n > 7 ? joinLow(r, s) : joinHigh(r, s);
      high = joinHigh(p, q);
      high2 = joinHigh(r, s);
      d4 = f32x4.sub(evens(low, low2), shift);
      sum = f32x4.add(sum, d4);
      squares = f32x4.add(squares, f32x4.mul(d4, d4));
      d5 = f32x4.sub(odds(low, low2), shift);
      sum = f32x4.add(sum, d5);
      squares = f32x4.add(squares, f32x4.mul(d5, d5));
    }
    if (n == 7) {
      d6 = f32x4.sub(single<N, Six>(x), shift);
      sum = f32x4.add(sum, d6);
      squares = f32x4.add(squares, f32x4.mul(d6, d6));
    }
    if (n > 7) {
      d6 = f32x4.sub(evens(high, high2), shift);
      sum = f32x4.add(sum, d6);
      squares = f32x4.add(squares, f32x4.mul(d6, d6));
      d7 = f32x4.sub(odds(high, high2), shift);
      sum = f32x4.add(sum, d7);
      squares = f32x4.add(squares, f32x4.mul(d7, d7));
    }
    if (n == 9) {
      d8 = f32x4.sub(single<N, Eight>(x), shift);
      sum = f32x4.add(sum, d8);
      squares = f32x4.add(squares, f32x4.mul(d8, d8));
    }
    const delta = f32x4.mul(sum, reciprocal);
    if (n == 3) {
      // little may be left of dy, so that every digit counts: elements less their mean
      d1 = f32x4.sub(d1, delta);
      d2 = f32x4.sub(d2, delta);
      squares = f32x4.add(f32x4.mul(delta, delta), epsilon);
      squares = f32x4.add(squares, f32x4.add(f32x4.mul(d1, d1), f32x4.mul(d2, d2)));
    } else squares = f32x4.sub(squares, f32x4.mul(sum, delta));
    if (!areModerate(squares)) break;
    const share = f32x4.div(v128.load(own, ONES), squares);
    const inverse = f32x4.sqrt(f32x4.mul(share, f32x4.splat(<f32>n)));
    p = n == 3 ? v128.load(dy) : fourOf<N, Zero, Zero>(dy);
    q = n == 3 ? v128.load(dy, 16) : fourOf<N, One, Zero>(dy);
    r = n == 3 ? v128.load(dy, 32) : fourOf<N, Two, Zero>(dy);
    s = n == 3 ? r : fourOf<N, Three, Zero>(dy);
    low = joinLow(p, q);
    low2 = joinLow(r, s);
    high = joinHigh(p, q);
    high2 = joinHigh(r, s);
    const g0 = n == 3 ? firstOfThree(p, q, r) : evens(low, low2);
    const g1 = n == 3 ? secondOfThree(p, q, r) : odds(low, low2);
    let first = f32x4.add(g0, g1);
    let products = f32x4.mul(g1, d1);
    const g2 = n == 3 ? thirdOfThree(p, q, r) : evens(high, high2);
    first = f32x4.add(first, g2);
    products = f32x4.add(products, f32x4.mul(g2, d2));
    let g3 = g2;
    let g4 = g2;
    let g5 = g2;
    let g6 = g2;
    let g7 = g2;
    let g8 = g2;
    if (n > 3) {
      g3 = odds(high, high2);
      first = f32x4.add(first, g3);
      products = f32x4.add(products, f32x4.mul(g3, d3));
    }
    if (n == 5) {
      g4 = single<N, Four>(dy);
      first = f32x4.add(first, g4);
      products = f32x4.add(products, f32x4.mul(g4, d4));
    }
    if (n > 5) {
      p = n > 7 ? fourOf<N, Zero, Four>(dy) : fourOf<N, Zero, Two>(dy);
      q = n > 7 ? fourOf<N, One, Four>(dy) : fourOf<N, One, Two>(dy);
      r = n > 7 ? fourOf<N, Two, Four>(dy) : fourOf<N, Two, Two>(dy);
      s = n > 7 ? fourOf<N, Three, Four>(dy) : fourOf<N, Three, Two>(dy);
      low = n > 7 ? joinLow(p, q) : joinHigh(p, q);
      low2 = n > 7 ? joinLow(r, s) : joinHigh(r, s);
      high = joinHigh(p, q);
      high2 = joinHigh(r, s);
      g4 = evens(low, low2);
      first = f32x4.add(first, g4);
      products = f32x4.add(products, f32x4.mul(g4, d4));
      g5 = odds(low, low2);
      first = f32x4.add(first, g5);
      products = f32x4.add(products, f32x4.mul(g5, d5));
    }
    if (n == 7) {
      g6 = single<N, Six>(dy);
      first = f32x4.add(first, g6);
      products = f32x4.add(products, f32x4.mul(g6, d6));
    }
    if (n > 7) {
      g6 = evens(high, high2);
      first = f32x4.add(first, g6);
      products = f32x4.add(products, f32x4.mul(g6, d6));
      g7 = odds(high, high2);
      first = f32x4.add(first, g7);
      products = f32x4.add(products, f32x4.mul(g7, d7));
    }
    if (n == 9) {
      g8 = single<N, Eight>(dy);
      first = f32x4.add(first, g8);
      products = f32x4.add(products, f32x4.mul(g8, d8));
    }
    const mean = f32x4.mul(first, reciprocal);
    products = f32x4.sub(products, n == 3 ? f32x4.mul(g0, delta) : f32x4.mul(mean, sum));
    const slope = f32x4.mul(products, share);
    const rest0 = f32x4.sub(mean, f32x4.mul(delta, slope));
    const rest = n == 3 ? mean : rest0;
    const factor = f32x4.mul(inverse, v128.load(column, SCALES));
    const left0 = f32x4.sub(g0, rest0);
    const left1 = left(g1, d1, slope, rest);
    const second = f32x4.mul(products, inverse);
    if (n == 3) {
      // an "or" of two magnitudes lies between the larger one and twice that
      const magnitudes = v128.load(own, MAGNITUDES);
      const most = v128.and(v128.or(left0, left1), magnitudes);
      const least = f32x4.mul(v128.and(second, magnitudes), f32x4.splat(LEAST_LEFT));
      if (i32x4.bitmask(f32x4.lt(most, least))) break;
    }
    addSums(column, first, second);
    const r0 = f32x4.mul(left0, factor);
    const r1 = f32x4.mul(left1, factor);
    const r2 = gradientOf(g2, d2, slope, rest, factor);
    if (n == 3) storeTriples(dx, r0, r1, r2);
    else storeFours<N, Zero>(dx, r0, r1, r2, gradientOf(g3, d3, slope, rest, factor));
    const r4 = gradientOf(g4, d4, slope, rest, factor);
    const r5 = gradientOf(g5, d5, slope, rest, factor);
    const r6 = gradientOf(g6, d6, slope, rest, factor);
    if (n == 5) storeSingle<N, Four>(dx, r4);
    if (n == 6 || n == 7) storePairs<N, Four>(dx, r4, r5);
    if (n == 7) storeSingle<N, Six>(dx, r6);
    if (n > 7) storeFours<N, Four>(dx, r4, r5, r6, gradientOf(g7, d7, slope, rest, factor));
    if (n == 9) storeSingle<N, Eight>(dx, gradientOf(g8, d8, slope, rest, factor));
    x += 4 * offsetof<N>();
    dy += 4 * offsetof<N>();
    dx += 4 * offsetof<N>();
    column += 16;
    count -= 4;
  } while (count > 0);
  return count;
}

export function gradientThrees(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Three>(x, dy, dx, column, count, epsilon);
}

export function gradientFours(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Four>(x, dy, dx, column, count, epsilon);
}

export function gradientFives(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Five>(x, dy, dx, column, count, epsilon);
}

export function gradientSixes(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Six>(x, dy, dx, column, count, epsilon);
}

export function gradientSevens(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Seven>(x, dy, dx, column, count, epsilon);
}

export function gradientNines(x: usize, dy: usize, dx: usize, column: usize, count: i32, epsilon: f32): i32 {
  return gradientTurned<Nine>(x, dy, dx, column, count, epsilon);
}
