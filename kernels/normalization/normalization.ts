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
// A result depends on the sizes only, never on how the work is divided. `normalize` (and `normalizeGradient`) take whole
// groups, so that a group is read from memory once and from cache the second time: one beside the next where groups lie
// without gaps. Short runs that lie apart (normalization-columns.ts) and tiny planes (normalization-tiny.ts) go other ways. The
// kernels in steps take parts of few large groups. Sizes decide which; long runs get the same bits either way.
import { leastOf, mostOf, total } from '../lanes';
import { reduce, Reduction } from '../reductions/reduction';
import { addMoments, addMomentsBeside, applyRun } from './moments';
import { groupAddress, groupsPerObservation, normalizationParts, offsetOf, PART, scaleOf, stride } from './normalization-layout';
import { resetSums, sumOfFirst, sumOfSecond } from './two-sums';

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

@unmanaged
class NormalizationAndReduction {
  /** The blocks of the two: a Normalization of groups without gaps, and a Reduction whose x or other factor is its y. */
  normalization: usize;
  reduction: usize;
  /** Elements of an item of the reduction, whose items follow each other in memory. */
  span: i32;
}

// ---------------------------------------------------------------- statistics

/** Sums of d and d² over elements from..to of a group's runs of `run` elements, d = x - shift. */
@inline
function sumMoments(group: usize, run: i32, apart: usize, from: i32, to: i32, shift: f32): void {
  resetSums();
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

/**
 * What a mean is shifted by, estimated from elements between `least` and `most`: nothing where elements lie on both sides of
 * 0, since no shift is good enough then, and saves a quarter of the arithmetic.
 */
@inline
function shiftFrom(mean: f64, least: f64, most: f64): f32 {
  return abs<f64>(mean) <= 0.5 * (most - least) ? 0 : <f32>mean;
}

/** What elements from..to of a group are shifted by: near their mean. */
@inline
function shiftOfPart(group: usize, run: i32, apart: usize, from: i32, to: i32): f32 {
  const middle = from + ((to - from) >> 1);
  if (to <= run && to - from >= 12) {
    // Twelve elements of three places: the loop's kind is guessed right nearly always, before they have come from memory.
    const one = v128.load(group + (<usize>from << 2));
    const two = v128.load(group + (<usize>middle << 2));
    const three = v128.load(group + (<usize>to << 2) - 16);
    const sum = f32x4.add(f32x4.add(one, two), three);
    const least = f32x4.pmin(f32x4.pmin(one, two), three);
    const most = f32x4.pmax(f32x4.pmax(one, two), three);
    return shiftFrom(total(sum) * (1.0 / 12.0), <f64>leastOf(least), <f64>mostOf(most));
  }
  const one = element(group, run, apart, from);
  const two = element(group, run, apart, middle);
  const three = element(group, run, apart, to - 1);
  return shiftFrom(
    (one + two + three) * (1.0 / 3.0),
    min<f64>(min<f64>(one, two), three),
    max<f64>(max<f64>(one, two), three),
  );
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
  if (squares - squares != 0) measureWide(group, run, apart, from, to);
}

/**
 * As measurePart, element by element in float64: where squares of elements, or their sums, are too large for float32. What
 * is infinite or not a number comes this way too and stays so.
 */
function measureWide(group: usize, run: i32, apart: usize, from: i32, to: i32): void {
  let sum: f64 = 0;
  for (let i = from; i < to; ++i) sum += element(group, run, apart, i);
  partMean = sum / <f64>(to - from);
  partSquares = 0;
  for (let i = from; i < to; ++i) {
    const d = element(group, run, apart, i) - partMean;
    partSquares += d * d;
  }
}

/** Mean and sum of squared deviations of elements from..to of a group. */
function measurePart(group: usize, run: i32, apart: usize, from: i32, to: i32): void {
  const shift = shiftOfPart(group, run, apart, from, to);
  sumMoments(group, run, apart, from, to, shift);
  finishPart(group, run, apart, from, to, shift);
}

/** Joins (count, mean, squares) of what was measured before with those of a part that follows it. */
let joinedCount: f64 = 0;
export let joinedMean: f64 = 0;
export let joinedSquares: f64 = 0;

@inline
function join(count: f64, mean: f64, squares: f64): void {
  const all = joinedCount + count;
  const apart = mean - joinedMean;
  // an infinite part makes the mean infinite
  joinedMean += apart - apart == 0 ? (apart * count) / all : mean;
  joinedSquares += squares + (apart * apart * joinedCount * count) / all;
  joinedCount = all;
}

/** As join; `first` starts anew. */
@inline
export function joinMeasured(first: bool, count: f64, mean: f64, squares: f64): void {
  if (first) {
    joinedCount = count;
    joinedMean = mean;
    joinedSquares = squares;
  } else join(count, mean, squares);
}

@inline
export function writeStatistics<B>(b: B, group: i32): void {
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
  joinMeasured(from == 0, <f64>count, partMean, partSquares);
}

/** Mean and sum of squared deviations of `count` neighbouring elements, part by part. */
export function measureRun(x: usize, count: i32): void {
  for (let from = 0; from < count; from += PART) {
    const to = min(from + PART, count);
    measurePart(x, count, 0, from, to);
    joinPart(from, to - from);
  }
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

/** Reduces the elements of y from item `done` on, as far as the first `written` elements go; gives the item that is next. */
function reduceWritten(b: Normalization, reduction: usize, span: i32, done: i32, written: i32): i32 {
  // the last item may be short
  const isAll = written == b.inner * b.channels * b.observations;
  const next = (isAll ? written + span - 1 : written) / span;
  if (next > done) reduce(changetype<Reduction>(reduction), done, next);
  return next;
}

/**
 * Groups begin..end, each without gaps: measures a group while one before it, still in the cache, is scaled and written. So the
 * reads of one and the writes of the other wait for memory at the same time. Groups of one part are measured two ahead, so
 * that nothing waits for the divisions and the square root of a deviation. With a reduction (its block, else 0), items of
 * `span` elements are reduced when they have just been written; the groups begin and end with one.
 */
function normalizeNeighbours(b: Normalization, begin: i32, end: i32, reduction: usize, span: i32): void {
  const count = b.inner;
  const bytes = <usize>count << 2;
  const ahead = min(count > PART ? 1 : 2, end - begin);
  let x = b.x + <usize>begin * bytes;
  let y = b.y + <usize>begin * bytes;
  const xEnd = b.x + <usize>end * bytes;
  let next = x;
  let channel = begin % b.channels;
  let written = begin * count;
  let reduced = reduction ? written / span : 0;
  for (let group = begin; group < begin + ahead; ++group) {
    measureGroup(b, next, group);
    next += bytes;
  }
  for (let group = begin; group < end; ++group) {
    prepareForward(b, group, channel);
    if (++channel == b.channels) channel = 0;
    if (group + ahead < end) {
      for (let from = 0; from < count; from += PART) {
        const to = min(from + PART, count);
        const shift = shiftOfPart(next, count, 0, from, to);
        const at = <usize>from << 2;
        resetSums();
        addMomentsBeside(next + at, to - from, shift, x + at, y + at, planeHigh, planeFactor, planeRest, xEnd);
        finishPart(next, count, 0, from, to, shift);
        joinPart(from, to - from);
        if (reduction) reduced = reduceWritten(b, reduction, span, reduced, written + to);
      }
      writeStatistics(b, group + ahead);
      written += count;
    } else {
      applyRun(x, y, count, planeHigh, planeFactor, planeRest);
      written += count;
      if (reduction) reduced = reduceWritten(b, reduction, span, reduced, written);
    }
    x += bytes;
    y += bytes;
    next += bytes;
  }
}

/** Forward. Work item: one group (groups are numbered channels first, then observations). Reads x; writes y, statistics. */
export function normalize(b: Normalization, begin: i32, end: i32): void {
  const perObservation = groupsPerObservation(b);
  const apart = stride(b);
  const offset = b.y - b.x;
  if (b.outer == 1 && b.groupChannels == 1) {
    normalizeNeighbours(b, begin, end, 0, 0);
    return;
  }
  for (let group = begin; group < end; ++group) {
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

/** As `normalize`, and among it the items of a reduction of y, read while it is still in the cache. Work item: one group. */
export function normalizeAndReduce(b: NormalizationAndReduction, begin: i32, end: i32): void {
  normalizeNeighbours(changetype<Normalization>(b.normalization), begin, end, b.reduction, b.span);
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
 * Forward, last step; also normalization with given statistics. Work item: one part of one plane (parts first), counted from the
 * last one: what was measured last is still in the cache. Reads x and statistics; writes y.
 */
export function normalizeApply(b: Normalization, begin: i32, end: i32): void {
  const count = b.inner * b.outer;
  const parts = normalizationParts(count);
  const apart = stride(b);
  const offset = b.y - b.x;
  const last = b.channels * b.observations * parts - 1 - begin;
  let plane = last / parts;
  let part = last - plane * parts;
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
    if (--part < 0) {
      part = parts - 1;
      --plane;
    }
  }
}
