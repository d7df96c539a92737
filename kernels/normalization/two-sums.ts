// Two sums over a long run, in float64: of d and d² (moments.ts), of dy and dy d (gradient-sums.ts). A block of at most 2 KiB
// is added in float32 lanes, 32 additions each at most, and these are emptied into float64 lanes; that order depends on the
// number of elements only.
import { totalOf, upperHalf } from '../lanes';

const PAGE: usize = 4096;
/** How far ahead of a loop a page is asked for. */
const AHEAD: usize = PAGE / 2;

// results; each thread has its own instance
export let sumOfFirst: f64 = 0;
export let sumOfSecond: f64 = 0;

export function resetSums(): void {
  sumOfFirst = 0;
  sumOfSecond = 0;
}

// over the blocks of a run: two lanes of low and two of high parts
let firstLow: v128 = f64x2.splat(0);
let firstHigh: v128 = f64x2.splat(0);
let secondLow: v128 = f64x2.splat(0);
let secondHigh: v128 = f64x2.splat(0);

@inline
export function startBlocks(): void {
  firstLow = f64x2.splat(0);
  firstHigh = f64x2.splat(0);
  secondLow = f64x2.splat(0);
  secondHigh = f64x2.splat(0);
}

/** Empties a block's accumulators. */
@inline
export function addToSums(first: v128, second: v128): void {
  firstLow = f64x2.add(firstLow, f64x2.promote_low_f32x4(first));
  firstHigh = f64x2.add(firstHigh, f64x2.promote_low_f32x4(upperHalf(first)));
  secondLow = f64x2.add(secondLow, f64x2.promote_low_f32x4(second));
  secondHigh = f64x2.add(secondHigh, f64x2.promote_low_f32x4(upperHalf(second)));
}

@inline
export function endBlocks(): void {
  sumOfFirst += totalOf(firstLow, firstHigh);
  sumOfSecond += totalOf(secondLow, secondHigh);
}

/**
 * Reads the first line of the page that begins AHEAD bytes behind one of the next `bytes` from `address` on, if that is below
 * `end`. A processor's prefetcher does not look beyond a page: so the page's address is known and its lines are on their way
 * when the loop gets there. It is worth as much for a page that will be written.
 */
@inline
export function askAhead(address: usize, bytes: usize, end: usize): void {
  const from = address + AHEAD;
  const page = (from + bytes) & ~(PAGE - 1);
  if (page > from && page < end) load<u8>(page);
}

/**
 * At which byte of a run of `bytes`, whole blocks, to begin writing it while another is read, so that the two come to the ends of
 * their pages in turns: `apart` is what lies between them. It gains 2 to 5 % in runs of 64 KB and loses as much in runs of 16.
 */
@inline
export function turnOf(bytes: usize, apart: usize): usize {
  return bytes % AHEAD == 0 && bytes > 8 * PAGE && (apart + AHEAD / 2) % PAGE < AHEAD ? AHEAD : 0;
}

/** Types that stand for a loop's kind, since the compiler joins two copies of a loop that differ by a constant only. */
export type Shifted = i32;
export type Unshifted = f32;

/** v - s, or v where nothing is shifted. */
@inline
export function less<Kind>(v: v128, s: v128): v128 {
  return isInteger<Kind>() ? f32x4.sub(v, s) : v;
}
