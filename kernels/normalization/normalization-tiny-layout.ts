// How the kernels of tiny planes see their arrays: neighbouring planes without gaps, in rows of `row` planes. A row is one
// observation, or several where that gives whole vectors: plane j of every row belongs to channel j % channels. Work is cut
// into items of `rows` rows and `together` columns, so that what belongs to channels is spread over the columns once for each
// item, and sums over the planes of a channel are numbers of the item. Sizes decide the cut.
import { zipHigh, zipLow } from '../lanes';
import { storeTriples } from './normalization-layout';
import { scratch } from '../scratch';

/** Largest plane that goes this way; larger ones fill vectors of their own well enough. The host decides by it. */
const LARGEST: i32 = 64;
/** Most columns of an item; the host cuts by it. */
const COLUMNS: i32 = 4096;

// Working memory, in bytes behind `scratch`. Arrays over columns come last: columns are addresses as well, scratch + 4 column.
const FOUR: usize = <usize>LARGEST * 16;
export const ONES: usize = 128;
export const MAGNITUDES: usize = ONES + 16;
export const ROOTS: usize = MAGNITUDES + 16;
/** The last planes of a row, where they are less than four, are worked on in these. */
export const EDGE_X: usize = 768;
export const EDGE_DY: usize = EDGE_X + FOUR;
export const EDGE_RESULT: usize = EDGE_DY + FOUR;
export const EDGE_STATISTICS: usize = EDGE_RESULT + FOUR;
/** A float for each column. */
export const SCALES: usize = EDGE_STATISTICS + 64;
export const OFFSETS: usize = SCALES + <usize>COLUMNS * 4;
/** The sums of dy and of dy xhat. */
export const FIRSTS: usize = OFFSETS + <usize>COLUMNS * 4;
export const SECONDS: usize = FIRSTS + <usize>COLUMNS * 4;

/** `count` numbers of channels from column `first` on; `absent` where there are none. */
export function spreadChannels(from: usize, to: usize, first: i32, count: i32, channels: i32, absent: f32): void {
  let channel = first % channels;
  for (let i = 0; i < count; ++i) {
    store<f32>(to + (<usize>i << 2), from ? load<f32>(from + (<usize>channel << 2)) : absent);
    if (++channel == channels) channel = 0;
  }
}

/** `left` planes of `bytes` bytes and zeros up to four. */
export function copyEdge(to: usize, from: usize, left: i32, bytes: usize): void {
  memory.fill(to, 0, 4 * bytes);
  memory.copy(to, from, <usize>left * bytes);
}

/** 2 ** 126: the reciprocal of less is no smaller than the smallest normal number. */
const MOST: f32 = reinterpret<f32>(0x7e800000);

@inline
export function areModerate(lanes: v128): bool {
  return i32x4.bitmask(f32x4.lt(lanes, f32x4.splat(MOST))) == 15;
}

/** Constants that loops read from `own`, the thread's working memory: the engine would make them anew in each turn. */
export function prepareConstants(inner: i32): void {
  v128.store(scratch, f32x4.splat(1), ONES);
  v128.store(scratch, i32x4.splat(0x7fffffff), MAGNITUDES);
  v128.store(scratch, f32x4.splat(<f32>sqrt<f64>(<f64>inner)), ROOTS);
}

/** 1 / sqrt(lanes) */
@inline
export function inverseRoot(lanes: v128, own: usize): v128 {
  return f32x4.div(v128.load(own, ONES), f32x4.sqrt(lanes));
}

/** Adds those of dy and dy xhat to the sums of four columns. */
@inline
export function addSums(column: usize, first: v128, second: v128): void {
  v128.store(column, f32x4.add(v128.load(column, FIRSTS), first), FIRSTS);
  v128.store(column, f32x4.add(v128.load(column, SECONDS), second), SECONDS);
}

/** Statistics of four planes: the mean, shift + delta, as its nearest float and what that lacks. */
export function writeStatistics(to: usize, shift: v128, delta: v128, inverse: v128): void {
  const high = f32x4.add(shift, delta);
  const added = f32x4.sub(high, shift);
  const low = f32x4.add(f32x4.sub(shift, f32x4.sub(high, added)), f32x4.sub(delta, added));
  storeTriples(to, high, low, inverse);
}

// of the plane measured last
export let planeMean: f64 = 0;
export let planeInverse: f64 = 0;

/** Mean and 1 / sqrt(var + epsilon) of a plane in float64, for what float32 cannot hold. */
export function measureExactly(x: usize, inner: i32, epsilon: f32): void {
  const end = x + (<usize>inner << 2);
  let sum: f64 = 0;
  for (let at = x; at < end; at += 4) sum += <f64>load<f32>(at);
  planeMean = sum / <f64>inner;
  let squares: f64 = 0;
  for (let at = x; at < end; at += 4) {
    const d = <f64>load<f32>(at) - planeMean;
    squares += d * d;
  }
  planeInverse = 1.0 / sqrt<f64>(squares / <f64>inner + <f64>epsilon);
}
