// Four planes of three to seven or of nine elements turned round in registers: element i of each is a lane of vector i. Planes of
// more are read and written in fours of elements, pairs and a last one, by plain loads and stores: for these the engine keeps
// offsets in the instruction, for loads and stores of lanes it keeps an address each.
import { joinHigh, joinLow, zipHigh, zipLow } from '../lanes';

// Types of as many bytes as so many elements have: those of a plane (N), or those before one of its elements (I).
@unmanaged
export class Zero {}
@unmanaged
export class One extends Zero {
  first: f32;
}
@unmanaged
export class Two extends One {
  second: f32;
}
@unmanaged
export class Three extends Two {
  third: f32;
}
@unmanaged
export class Four extends Three {
  fourth: f32;
}
@unmanaged
export class Five extends Four {
  fifth: f32;
}
@unmanaged
export class Six extends Five {
  sixth: f32;
}
@unmanaged
export class Seven extends Six {
  seventh: f32;
}
@unmanaged
export class Eight extends Seven {
  eighth: f32;
}
@unmanaged
export class Nine extends Eight {
  ninth: f32;
}

/** The four elements from I on of plane P of four. */
@inline
export function fourOf<N, P, I>(x: usize): v128 {
  return v128.load(x, (offsetof<P>() >> 2) * offsetof<N>() + offsetof<I>());
}

/** Element I of four planes. */
@inline
export function single<N, I>(x: usize): v128 {
  let lanes = f32x4.splat(load<f32>(x, offsetof<I>()));
  lanes = f32x4.replace_lane(lanes, 1, load<f32>(x, offsetof<N>() + offsetof<I>()));
  lanes = f32x4.replace_lane(lanes, 2, load<f32>(x, 2 * offsetof<N>() + offsetof<I>()));
  return f32x4.replace_lane(lanes, 3, load<f32>(x, 3 * offsetof<N>() + offsetof<I>()));
}

/** Writes the four elements from I on of four planes. */
@inline
export function storeFours<N, I>(y: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const low = zipLow(r0, r1);
  const high = zipHigh(r0, r1);
  const low2 = zipLow(r2, r3);
  const high2 = zipHigh(r2, r3);
  v128.store(y, joinLow(low, low2), offsetof<I>());
  v128.store(y, joinHigh(low, low2), offsetof<N>() + offsetof<I>());
  v128.store(y, joinLow(high, high2), 2 * offsetof<N>() + offsetof<I>());
  v128.store(y, joinHigh(high, high2), 3 * offsetof<N>() + offsetof<I>());
}

/** Writes element I and the next of four planes. */
@inline
export function storePairs<N, I>(y: usize, even: v128, odd: v128): void {
  const low = zipLow(even, odd);
  const high = zipHigh(even, odd);
  store<f64>(y, f64x2.extract_lane(low, 0), offsetof<I>());
  v128.store64_lane(y, low, 1, offsetof<N>() + offsetof<I>());
  store<f64>(y, f64x2.extract_lane(high, 0), 2 * offsetof<N>() + offsetof<I>());
  v128.store64_lane(y, high, 1, 3 * offsetof<N>() + offsetof<I>());
}

/** Writes element I of four planes. */
@inline
export function storeSingle<N, I>(y: usize, lanes: v128): void {
  store<f32>(y, f32x4.extract_lane(lanes, 0), offsetof<I>());
  store<f32>(y, f32x4.extract_lane(lanes, 1), offsetof<N>() + offsetof<I>());
  store<f32>(y, f32x4.extract_lane(lanes, 2), 2 * offsetof<N>() + offsetof<I>());
  store<f32>(y, f32x4.extract_lane(lanes, 3), 3 * offsetof<N>() + offsetof<I>());
}

/** a0 b0 c0 d0 */
@inline
export function evens(first: v128, last: v128): v128 {
  return v128.shuffle<f32>(first, last, 0, 2, 4, 6);
}

/** a1 b1 c1 d1 */
@inline
export function odds(first: v128, last: v128): v128 {
  return v128.shuffle<f32>(first, last, 1, 3, 5, 7);
}

// The first to third elements of four planes of three, which fill three vectors.

@inline
export function firstOfThree(p: v128, q: v128, r: v128): v128 {
  return v128.shuffle<f32>(p, v128.shuffle<f32>(q, r, 2, 2, 5, 5), 0, 3, 4, 6);
}

@inline
export function secondOfThree(p: v128, q: v128, r: v128): v128 {
  return v128.shuffle<f32>(v128.shuffle<f32>(p, q, 1, 1, 4, 4), v128.shuffle<f32>(q, r, 3, 3, 6, 6), 0, 2, 4, 6);
}

@inline
export function thirdOfThree(p: v128, q: v128, r: v128): v128 {
  return v128.shuffle<f32>(v128.shuffle<f32>(p, q, 2, 2, 5, 5), r, 0, 2, 4, 7);
}
