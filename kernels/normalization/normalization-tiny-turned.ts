// Planes of three to seven and of nine elements, forward. Four planes are turned round in registers (normalization-tiny-planes.ts);
// otherwise as normalization-tiny.ts says. For as few elements, ways of their own for each number of them pay: twice the speed.
//
// The shift is an element of the plane: so what is taken from the squares is at most as many times what is left as there are
// other elements, and no digits to speak of cancel.
import { joinHigh, joinLow } from '../lanes';
import { storeTriples } from './normalization-layout';
import { areModerate, OFFSETS, ROOTS, SCALES, writeStatistics } from './normalization-tiny-layout';
import {
  Eight, evens, firstOfThree, Five, Four, fourOf, Nine, odds, One, secondOfThree, Seven, single, Six, storeFours,
  storePairs, storeSingle, thirdOfThree, Three, Two, Zero,
} from './normalization-tiny-planes';
import { scratch } from '../scratch';

/** d factor + rest */
@inline
function scaled(d: v128, factor: v128, rest: v128): v128 {
  return f32x4.add(f32x4.mul(d, factor), rest);
}

@inline
function normalizeTurned<N>(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
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
    const d1 = f32x4.sub(n == 3 ? secondOfThree(p, q, r) : odds(low, low2), shift);
    let sum = d1;
    let squares = f32x4.add(f32x4.mul(d1, d1), epsilon);
    const d2 = f32x4.sub(n == 3 ? thirdOfThree(p, q, r) : evens(high, high2), shift);
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
    squares = f32x4.sub(squares, f32x4.mul(sum, delta));
    const inverse = f32x4.div(v128.load(own, ROOTS), f32x4.sqrt(squares));
    const factor = f32x4.mul(inverse, v128.load(column, SCALES));
    const rest = f32x4.sub(v128.load(column, OFFSETS), f32x4.mul(delta, factor));
    if (!areModerate(squares)) break;
    if (statistics) {
      writeStatistics(statistics, shift, delta, inverse);
      statistics += 48;
    }
    const y1 = scaled(d1, factor, rest);
    const y2 = scaled(d2, factor, rest);
    if (n == 3) storeTriples(y, rest, y1, y2);
    else storeFours<N, Zero>(y, rest, y1, y2, scaled(d3, factor, rest));
    const y4 = scaled(d4, factor, rest);
    const y5 = scaled(d5, factor, rest);
    const y6 = scaled(d6, factor, rest);
    if (n == 5) storeSingle<N, Four>(y, y4);
    if (n == 6 || n == 7) storePairs<N, Four>(y, y4, y5);
    if (n == 7) storeSingle<N, Six>(y, y6);
    if (n > 7) storeFours<N, Four>(y, y4, y5, y6, scaled(d7, factor, rest));
    if (n == 9) storeSingle<N, Eight>(y, scaled(d8, factor, rest));
    x += 4 * offsetof<N>();
    y += 4 * offsetof<N>();
    column += 16;
    count -= 4;
  } while (count > 0);
  return count;
}

export function normalizeThrees(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Three>(x, y, statistics, column, count, epsilon);
}

export function normalizeFours(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Four>(x, y, statistics, column, count, epsilon);
}

export function normalizeFives(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Five>(x, y, statistics, column, count, epsilon);
}

export function normalizeSixes(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Six>(x, y, statistics, column, count, epsilon);
}

export function normalizeSevens(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Seven>(x, y, statistics, column, count, epsilon);
}

export function normalizeNines(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilon: f32): i32 {
  return normalizeTurned<Nine>(x, y, statistics, column, count, epsilon);
}
