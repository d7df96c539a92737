// One family for instance, group, layer and batch normalization, forward and backward.
//
// Arrays are float32 [inner, channels, observations, outer], column-major. A plane is what one channel of one
// observation holds: `outer` runs of `inner` elements, inner * channels * observations apart. A group is `groupChannels`
// neighbouring channels of one observation; each group has one mean and one deviation:
//
//   xhat = (x - mean) / sqrt(var + epsilon),  y = scale_c xhat + offset_c,  var = sum((x - mean)²) / count
//
// instance norm: groupChannels 1. group norm: channels / groups. layer norm: channels. batch norm: groupChannels 1, one
// observation, and batch times outer as `outer`. inner is the product of S, outer of T and U.
//
// Precision: sums are taken of x - shift, where the shift is near the mean, over parts of at most PART elements: four
// float32 accumulators of four lanes each, emptied into float64 after 32 additions. Parts are joined in their order in
// float64 (Chan, Golub, LeVeque 1979). A part whose shift turns out more than two deviations from its mean is summed
// again from its mean. The mean is kept as two floats, mean = high + low with high the nearest float, since one float's
// rounding is no longer small beside a deviation of 1e-6 of the mean. So x of mean 1e4 and deviation 1e-2 keep their digits.
//
// A result depends on the sizes only, never on how the work is divided. There are two ways to divide it, with the same
// bits: `normalize` (and `normalizeGradient`) take whole groups, so that a group is read from memory once and from
// cache the second time; the kernels in steps take parts, for few large groups.
import { joinHalves, upperHalf } from './lanes';
import { addMoments, addMomentsBeside, applyRun, resetMoments, sumOfFirst, sumOfSecond } from './moments';
import {
  groupAddress,
  groupsPerObservation,
  inColumns,
  moveColumns,
  normalizationParts,
  offsetOf,
  PACKED_ROWS,
  PART,
  scaleOf,
  stride,
} from './normalization-layout';
import { scratch } from './scratch';

@unmanaged
class Normalization {
  x: usize;
  /** The result; may be x itself. */
  y: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** One number per channel; 0 stands for all zeros. */
  offset: usize;
  /** [3, groups]: mean (nearest float), what the mean has beyond it, 1 / sqrt(var + epsilon). */
  statistics: usize;
  /** Kernels in steps: float64 [2, parts, groups]. Else unused. */
  partials: usize;
  inner: i32;
  channels: i32;
  observations: i32;
  outer: i32;
  groupChannels: i32;
  epsilon: f32;
}

// ---------------------------------------------------------------- statistics

/** Sums of d and d² over elements from..to of a group's runs of `run` elements, d = x - shift. */
@inline
function sumMoments(group: usize, run: i32, apart: usize, from: i32, to: i32, shift: f32): void {
  resetMoments();
  if (to <= run) {
    addMoments(group + (<usize>from << 2), to - from, shift);
    return;
  }
  let r = from / run;
  let start = from - r * run;
  let i = from;
  while (i < to) {
    const count = min(run - start, to - i);
    addMoments(group + <usize>r * apart + (<usize>start << 2), count, shift);
    i += count;
    start = 0;
    ++r;
  }
}

/** Element i of a group. */
@inline
function element(group: usize, run: i32, apart: usize, i: i32): f64 {
  if (i < run) return <f64>load<f32>(group + (<usize>i << 2));
  const r = i / run;
  return <f64>load<f32>(group + <usize>r * apart + (<usize>(i - r * run) << 2));
}

// of the part or group measured last
let partMean: f64 = 0;
let partSquares: f64 = 0;

/** What elements from..to of a group are shifted by: near their mean. */
@inline
function shiftOfPart(group: usize, run: i32, apart: usize, from: i32, to: i32): f32 {
  // the mean of three elements: nearer to the mean than one, should one of them be an outlier
  const one = element(group, run, apart, from);
  const two = element(group, run, apart, from + ((to - from) >> 1));
  const three = element(group, run, apart, to - 1);
  const shift = <f32>((one + two + three) * (1.0 / 3.0));
  // elements on both sides of 0: no shift is good enough, and saves a quarter of the arithmetic
  const range = max<f64>(max<f64>(one, two), three) - min<f64>(min<f64>(one, two), three);
  return abs<f64>(<f64>shift) <= 0.5 * range ? 0 : shift;
}

/** Mean and sum of squared deviations of elements from..to of a group, whose sums with that shift are known. */
@inline
function finishPart(group: usize, run: i32, apart: usize, from: i32, to: i32, firstShift: f32): void {
  const count = <f64>(to - from);
  let shift = firstShift;
  let delta = sumOfFirst / count;
  let squares = sumOfSecond - sumOfFirst * delta;
  // the shift must be within two deviations of the mean; what is left after one repetition is rounding
  if (delta * delta * count > 4.0 * squares) {
    shift = <f32>(<f64>shift + delta);
    sumMoments(group, run, apart, from, to, shift);
    delta = sumOfFirst / count;
    squares = sumOfSecond - sumOfFirst * delta;
  }
  partMean = <f64>shift + delta;
  partSquares = max<f64>(squares, 0.0);
}

/** Mean and sum of squared deviations of elements from..to of a group. */
function measurePart(group: usize, run: i32, apart: usize, from: i32, to: i32): void {
  const shift = shiftOfPart(group, run, apart, from, to);
  sumMoments(group, run, apart, from, to, shift);
  finishPart(group, run, apart, from, to, shift);
}

/** Joins (count, mean, squares) of what was measured before with those of a part that follows it. */
let joinedCount: f64 = 0;
let joinedMean: f64 = 0;
let joinedSquares: f64 = 0;

@inline
function join(count: f64, mean: f64, squares: f64): void {
  const all = joinedCount + count;
  const apart = mean - joinedMean;
  joinedMean += (apart * count) / all;
  joinedSquares += squares + (apart * apart * joinedCount * count) / all;
  joinedCount = all;
}

@inline
function writeStatistics<B>(b: B, group: i32): void {
  const high = <f32>joinedMean;
  const at = b.statistics + <usize>group * 12;
  store<f32>(at, high);
  // an infinite mean has no rest
  store<f32>(at, high - high == 0 ? <f32>(joinedMean - <f64>high) : 0, 4);
  store<f32>(at, <f32>sqrt<f64>(joinedCount / (joinedSquares + <f64>b.epsilon * joinedCount)), 8);
}

/** Joins the part measured last, of `count` elements, to those before it. */
@inline
function joinPart(from: i32, count: i32): void {
  if (from == 0) {
    joinedCount = <f64>count;
    joinedMean = partMean;
    joinedSquares = partSquares;
  } else join(<f64>count, partMean, partSquares);
}

/** Statistics of one group, whose elements begin at `address`, part by part. */
export function measureGroup<B>(b: B, address: usize, group: i32): void {
  const run = b.inner * b.groupChannels;
  const count = run * b.outer;
  const apart = stride(b);
  for (let from = 0; from < count; from += PART) {
    const to = min(from + PART, count);
    measurePart(address, run, apart, from, to);
    joinPart(from, to - from);
  }
  writeStatistics(b, group);
}

// what turns x of a plane into y: (x - planeHigh) planeFactor + planeRest
export let planeHigh: f32 = 0;
export let planeFactor: f32 = 0;
export let planeRest: f32 = 0;

@inline
export function prepareForward<B>(b: B, group: i32, channel: i32): void {
  const at = b.statistics + <usize>group * 12;
  const high = load<f32>(at);
  const inverse = load<f32>(at, 8);
  const factor = <f64>inverse * <f64>scaleOf(b, channel);
  let rest = <f64>offsetOf(b, channel) - <f64>load<f32>(at, 4) * factor;
  planeHigh = high;
  if (abs<f32>(high * inverse) <= 2) {
    // a mean within two deviations of 0 cancels nothing: a subtraction less for every element
    rest -= <f64>high * factor;
    planeHigh = 0;
  }
  planeFactor = <f32>factor;
  planeRest = <f32>rest;
}

// ---------------------------------------------------------------- four groups of single elements at a time
//
// Where a run is one element (no S: sequences, features), four neighbouring groups go in the lanes of a vector. Every lane
// does what the functions above do for one group, in the same order.

// sums of the four columns, float64: lanes 0 and 1, lanes 2 and 3
let columnFirstLow: v128 = f64x2.splat(0);
let columnFirstHigh: v128 = f64x2.splat(0);
let columnSecondLow: v128 = f64x2.splat(0);
let columnSecondHigh: v128 = f64x2.splat(0);

/** Sums of d and d² over `count` rows of four columns, d = x - shift. */
function sumColumns(x: usize, apart: usize, count: i32, shift: v128): void {
  let firstLow = f64x2.splat(0);
  let firstHigh = f64x2.splat(0);
  let secondLow = f64x2.splat(0);
  let secondHigh = f64x2.splat(0);
  for (let i = 0; i < count; ++i) {
    const d = f32x4.sub(v128.load(x), shift);
    const q = f32x4.mul(d, d);
    firstLow = f64x2.add(firstLow, f64x2.promote_low_f32x4(d));
    firstHigh = f64x2.add(firstHigh, f64x2.promote_low_f32x4(upperHalf(d)));
    secondLow = f64x2.add(secondLow, f64x2.promote_low_f32x4(q));
    secondHigh = f64x2.add(secondHigh, f64x2.promote_low_f32x4(upperHalf(q)));
    x += apart;
  }
  columnFirstLow = firstLow;
  columnFirstHigh = firstHigh;
  columnSecondLow = secondLow;
  columnSecondHigh = secondHigh;
}

/** What `measurePart` shifts two columns by, from three elements of each. */
@inline
function shiftOf(a: v128, b: v128, c: v128): v128 {
  const mean = f64x2.mul(f64x2.add(f64x2.add(a, b), c), f64x2.splat(1.0 / 3.0));
  const rounded = f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(mean));
  const range = f64x2.sub(f64x2.max(f64x2.max(a, b), c), f64x2.min(f64x2.min(a, b), c));
  return v128.andnot(rounded, f64x2.le(f64x2.abs(rounded), f64x2.mul(f64x2.splat(0.5), range)));
}

/** Lanes, as float64, in which the shift lies too far from the mean. */
@inline
function tooFar(delta: v128, squares: v128, count: v128): v128 {
  return f64x2.gt(f64x2.mul(f64x2.mul(delta, delta), count), f64x2.mul(f64x2.splat(4), squares));
}

/** Means and sums of squared deviations of `count` rows of four columns: eight float64 at `to`. */
function measureColumns(x: usize, apart: usize, count: i32, to: usize): void {
  const n = f64x2.splat(<f64>count);
  const one = v128.load(x);
  const two = v128.load(x + <usize>(count >> 1) * apart);
  const three = v128.load(x + <usize>(count - 1) * apart);
  let shift = joinHalves(
    shiftOf(f64x2.promote_low_f32x4(one), f64x2.promote_low_f32x4(two), f64x2.promote_low_f32x4(three)),
    shiftOf(
      f64x2.promote_low_f32x4(upperHalf(one)),
      f64x2.promote_low_f32x4(upperHalf(two)),
      f64x2.promote_low_f32x4(upperHalf(three)),
    ),
  );
  sumColumns(x, apart, count, shift);
  let deltaLow = f64x2.div(columnFirstLow, n);
  let deltaHigh = f64x2.div(columnFirstHigh, n);
  let squaresLow = f64x2.sub(columnSecondLow, f64x2.mul(columnFirstLow, deltaLow));
  let squaresHigh = f64x2.sub(columnSecondHigh, f64x2.mul(columnFirstHigh, deltaHigh));
  const farLow = tooFar(deltaLow, squaresLow, n);
  const farHigh = tooFar(deltaHigh, squaresHigh, n);
  if (v128.any_true(v128.or(farLow, farHigh))) {
    // lanes that were near enough are summed again from the same shift, with the same result
    const moved = joinHalves(
      f64x2.add(f64x2.promote_low_f32x4(shift), deltaLow),
      f64x2.add(f64x2.promote_low_f32x4(upperHalf(shift)), deltaHigh),
    );
    shift = v128.bitselect(moved, shift, v128.shuffle<i32>(farLow, farHigh, 0, 2, 4, 6));
    sumColumns(x, apart, count, shift);
    deltaLow = f64x2.div(columnFirstLow, n);
    deltaHigh = f64x2.div(columnFirstHigh, n);
    squaresLow = f64x2.sub(columnSecondLow, f64x2.mul(columnFirstLow, deltaLow));
    squaresHigh = f64x2.sub(columnSecondHigh, f64x2.mul(columnFirstHigh, deltaHigh));
  }
  const zero = f64x2.splat(0);
  v128.store(to, f64x2.add(f64x2.promote_low_f32x4(shift), deltaLow));
  v128.store(to, f64x2.add(f64x2.promote_low_f32x4(upperHalf(shift)), deltaHigh), 16);
  v128.store(to, f64x2.max(squaresLow, zero), 32);
  v128.store(to, f64x2.max(squaresHigh, zero), 48);
}

/** Statistics and result of groups group ... group + 3, whose rows are at x and y, `apart` bytes from one another. */
function normalizeColumns(b: Normalization, group: i32, first: usize, y: usize, apart: usize): void {
  const part = scratch;
  const means = scratch + 64;
  const squares = scratch + 96;
  for (let from = 0; from < b.outer; from += PART) {
    const rows = min(PART, b.outer - from);
    measureColumns(first + <usize>from * apart, apart, rows, part);
    for (let lane: usize = 0; lane < 32; lane += 8) {
      if (from == 0) {
        store<f64>(means + lane, load<f64>(part + lane));
        store<f64>(squares + lane, load<f64>(part + lane, 32));
      } else {
        joinedCount = <f64>from;
        joinedMean = load<f64>(means + lane);
        joinedSquares = load<f64>(squares + lane);
        join(<f64>rows, load<f64>(part + lane), load<f64>(part + lane, 32));
        store<f64>(means + lane, joinedMean);
        store<f64>(squares + lane, joinedSquares);
      }
    }
  }
  joinedCount = <f64>b.outer;
  for (let lane = 0; lane < 4; ++lane) {
    joinedMean = load<f64>(means + (<usize>lane << 3));
    joinedSquares = load<f64>(squares + (<usize>lane << 3));
    writeStatistics(b, group + lane);
    prepareForward(b, group + lane, (group + lane) % b.channels);
    const at = part + (<usize>lane << 2);
    store<f32>(at, planeHigh);
    store<f32>(at, planeFactor, 16);
    store<f32>(at, planeRest, 32);
  }
  const high = v128.load(part);
  const factor = v128.load(part, 16);
  const rest = v128.load(part, 32);
  let x = first;
  for (let o = 0; o < b.outer; ++o) {
    v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), high), factor), rest));
    x += apart;
    y += apart;
  }
}

/**
 * Groups begin..end, each without gaps: measures a group while the one before it, still in the cache, is scaled and written.
 * So the reads of one and the writes of the other wait for memory at the same time.
 */
function normalizeNeighbours(b: Normalization, begin: i32, end: i32): void {
  const count = b.inner;
  const bytes = <usize>count << 2;
  let x = b.x + <usize>begin * bytes;
  let y = b.y + <usize>begin * bytes;
  measureGroup(b, x, begin);
  for (let group = begin; group < end; ++group) {
    prepareForward(b, group, group % b.channels);
    if (group + 1 == end) {
      applyRun(x, y, count, planeHigh, planeFactor, planeRest);
      return;
    }
    const next = x + bytes;
    for (let from = 0; from < count; from += PART) {
      const to = min(from + PART, count);
      const shift = shiftOfPart(next, count, 0, from, to);
      const at = <usize>from << 2;
      resetMoments();
      addMomentsBeside(next + at, to - from, shift, x + at, y + at, planeHigh, planeFactor, planeRest);
      finishPart(next, count, 0, from, to, shift);
      joinPart(from, to - from);
    }
    writeStatistics(b, group + 1);
    x = next;
    y += bytes;
  }
}

/** Forward. Work item: one group (groups are numbered channels first, then observations). Reads x; writes y, statistics. */
export function normalize(b: Normalization, begin: i32, end: i32): void {
  const perObservation = groupsPerObservation(b);
  const apart = stride(b);
  const offset = b.y - b.x;
  const columns = inColumns(b);
  if (b.outer == 1 && b.groupChannels == 1) {
    normalizeNeighbours(b, begin, end);
    return;
  }
  for (let group = begin; group < end; ++group) {
    if (columns && group + 16 <= end && b.outer <= PACKED_ROWS) {
      // rows far apart would meet in the same few lines of the cache: bring them together first
      const packed = scratch + 256;
      const at = <usize>group << 2;
      moveColumns(b.x + at, apart, packed, 64, b.outer);
      for (let q = 0; q < 4; ++q) {
        const lanes = packed + (<usize>q << 4);
        normalizeColumns(b, group + 4 * q, lanes, lanes, 64);
      }
      moveColumns(packed, 64, b.y + at, apart, b.outer);
      group += 15;
      continue;
    }
    if (columns && group + 4 <= end) {
      const at = <usize>group << 2;
      normalizeColumns(b, group, b.x + at, b.y + at, apart);
      group += 3;
      continue;
    }
    const address = groupAddress(b.x, b, group);
    measureGroup(b, address, group);
    const firstChannel = (group % perObservation) * b.groupChannels;
    let plane = address;
    for (let c = 0; c < b.groupChannels; ++c) {
      prepareForward(b, group, firstChannel + c);
      let x = plane;
      for (let o = 0; o < b.outer; ++o) {
        applyRun(x, x + offset, b.inner, planeHigh, planeFactor, planeRest);
        x += apart;
      }
      plane += <usize>b.inner << 2;
    }
  }
}

/** Forward, first step. Work item: one part of one group (parts first). Writes its mean and squares to partials. */
export function normalizeMeasure(b: Normalization, begin: i32, end: i32): void {
  const run = b.inner * b.groupChannels;
  const count = run * b.outer;
  const parts = normalizationParts(count);
  const apart = stride(b);
  for (let item = begin; item < end; ++item) {
    const group = item / parts;
    const from = (item - group * parts) * PART;
    measurePart(groupAddress(b.x, b, group), run, apart, from, min(from + PART, count));
    const at = b.partials + (<usize>item << 4);
    store<f64>(at, partMean);
    store<f64>(at, partSquares, 8);
  }
}

/** Forward, second step. Work item: one group. Joins its partials into statistics. */
export function normalizeJoin(b: Normalization, begin: i32, end: i32): void {
  const count = b.inner * b.groupChannels * b.outer;
  const parts = normalizationParts(count);
  for (let group = begin; group < end; ++group) {
    let at = b.partials + ((<usize>group * <usize>parts) << 4);
    joinedCount = <f64>min(PART, count);
    joinedMean = load<f64>(at);
    joinedSquares = load<f64>(at, 8);
    for (let part = 1; part < parts; ++part) {
      at += 16;
      join(<f64>min(PART, count - part * PART), load<f64>(at), load<f64>(at, 8));
    }
    writeStatistics(b, group);
  }
}

/**
 * Forward, last step; also normalization with given statistics. Work item: one part of one plane (parts first).
 * Reads x and statistics; writes y.
 */
export function normalizeApply(b: Normalization, begin: i32, end: i32): void {
  const count = b.inner * b.outer;
  const parts = normalizationParts(count);
  const apart = stride(b);
  const offset = b.y - b.x;
  let plane = begin / parts;
  let part = begin - plane * parts;
  for (let item = begin; item < end; ++item) {
    prepareForward(b, plane / b.groupChannels, plane % b.channels);
    const address = b.x + ((<usize>plane * <usize>b.inner) << 2);
    let i = part * PART;
    const to = min(i + PART, count);
    while (i < to) {
      const r = i / b.inner;
      const start = i - r * b.inner;
      const n = min(b.inner - start, to - i);
      const x = address + <usize>r * apart + (<usize>start << 2);
      applyRun(x, x + offset, n, planeHigh, planeFactor, planeRest);
      i += n;
    }
    if (++part == parts) {
      part = 0;
      ++plane;
    }
  }
}
