// One pass per parameter for each solver, and the norms that clipping needs. float32, parameters and their averages
// updated in place. Every gradient element is first made ready, in this order:
//
//   g = gradient + decay * parameter          L2 regularization, coupled
//   g = g * factor                            clipping by a norm; 1 without
//   g = min(max(g, -limit), limit)            clipping by value; limit = infinity without
//
// Work item: one element, except `gradientSquares`; `updateParameters` runs one of these for many parameters. Vectors of four;
// the last one to three elements of a range go through the same code in a padded vector. Every operation is rounded once to
// float32, in the order of the formulas.
import { loadUpTo, storeUpTo, totalOf, upperHalf } from '../lanes';

/** The gradient ready for the solver; NaN stays NaN. */
@inline
function ready(gradient: v128, parameter: v128, decay: v128, factor: v128, limit: v128): v128 {
  const g = f32x4.mul(f32x4.add(gradient, f32x4.mul(decay, parameter)), factor);
  return f32x4.pmax(f32x4.pmin(g, limit), f32x4.neg(limit));
}

@unmanaged
class Sgdm {
  parameter: usize;
  gradient: usize;
  count: i32; // elements
  velocity: usize;
  decay: f32;
  factor: f32;
  limit: f32;
  rate: f32;
  momentum: f32;
}

/** velocity = momentum * velocity - rate * g; parameter += velocity. */
export function sgdm(b: Sgdm, begin: i32, end: i32): void {
  const decay = f32x4.splat(b.decay);
  const factor = f32x4.splat(b.factor);
  const limit = f32x4.splat(b.limit);
  const rate = f32x4.splat(b.rate);
  const momentum = f32x4.splat(b.momentum);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(loadUpTo(b.gradient + at, left), w, decay, factor, limit);
    const v = f32x4.sub(f32x4.mul(momentum, loadUpTo(b.velocity + at, left)), f32x4.mul(rate, g));
    storeUpTo(b.velocity + at, v, left);
    storeUpTo(b.parameter + at, f32x4.add(w, v), left);
  }
}

@unmanaged
class Adam {
  parameter: usize;
  gradient: usize;
  count: i32; // elements
  /** Average gradient. */
  average: usize;
  /** Average squared gradient. */
  squares: usize;
  decay: f32;
  factor: f32;
  limit: f32;
  rate: f32;
  gradientDecay: f32;
  /** 1 - gradientDecay and 1 - squaredDecay, rounded from float64. */
  gradientGain: f32;
  squaredDecay: f32;
  squaredGain: f32;
  /** 1 / (1 - gradientDecay^iteration) and 1 / (1 - squaredDecay^iteration). */
  gradientCorrection: f32;
  squaredCorrection: f32;
  epsilon: f32;
}

/**
 * average = b1 average + (1 - b1) g; squares = b2 squares + (1 - b2) g²;
 * parameter -= rate * (c1 average) / (sqrt(c2 squares) + epsilon).
 */
export function adam(b: Adam, begin: i32, end: i32): void {
  const decay = f32x4.splat(b.decay);
  const factor = f32x4.splat(b.factor);
  const limit = f32x4.splat(b.limit);
  const rate = f32x4.splat(b.rate);
  const b1 = f32x4.splat(b.gradientDecay);
  const gain1 = f32x4.splat(b.gradientGain);
  const b2 = f32x4.splat(b.squaredDecay);
  const gain2 = f32x4.splat(b.squaredGain);
  const c1 = f32x4.splat(b.gradientCorrection);
  const c2 = f32x4.splat(b.squaredCorrection);
  const epsilon = f32x4.splat(b.epsilon);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(loadUpTo(b.gradient + at, left), w, decay, factor, limit);
    const m = f32x4.add(f32x4.mul(b1, loadUpTo(b.average + at, left)), f32x4.mul(gain1, g));
    const v = f32x4.add(f32x4.mul(b2, loadUpTo(b.squares + at, left)), f32x4.mul(gain2, f32x4.mul(g, g)));
    storeUpTo(b.average + at, m, left);
    storeUpTo(b.squares + at, v, left);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(v, c2)), epsilon);
    storeUpTo(b.parameter + at, f32x4.sub(w, f32x4.mul(rate, f32x4.div(f32x4.mul(m, c1), root))), left);
  }
}

@unmanaged
class Rmsprop {
  parameter: usize;
  gradient: usize;
  count: i32; // elements
  /** Average squared gradient. */
  squares: usize;
  decay: f32;
  factor: f32;
  limit: f32;
  rate: f32;
  squaredDecay: f32;
  /** 1 - squaredDecay, rounded from float64. */
  squaredGain: f32;
  epsilon: f32;
}

/** squares = b2 squares + (1 - b2) g²; parameter -= rate * g / (sqrt(squares) + epsilon). */
export function rmsprop(b: Rmsprop, begin: i32, end: i32): void {
  const decay = f32x4.splat(b.decay);
  const factor = f32x4.splat(b.factor);
  const limit = f32x4.splat(b.limit);
  const rate = f32x4.splat(b.rate);
  const b2 = f32x4.splat(b.squaredDecay);
  const gain2 = f32x4.splat(b.squaredGain);
  const epsilon = f32x4.splat(b.epsilon);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(loadUpTo(b.gradient + at, left), w, decay, factor, limit);
    const v = f32x4.add(f32x4.mul(b2, loadUpTo(b.squares + at, left)), f32x4.mul(gain2, f32x4.mul(g, g)));
    storeUpTo(b.squares + at, v, left);
    const root = f32x4.add(f32x4.sqrt(v), epsilon);
    storeUpTo(b.parameter + at, f32x4.sub(w, f32x4.mul(rate, f32x4.div(g, root))), left);
  }
}

/** Elements of one work item of `gradientSquares` and `updateParameters`. */
const BLOCK: i32 = 4096;

@unmanaged
class GradientSquares {
  parameter: usize;
  gradient: usize;
  count: i32; // elements
  /** float64, one number per block. */
  sums: usize;
  decay: f32;
}

/**
 * sums = sum((gradient + decay * parameter)²) over blocks of 4096 elements; the host adds the blocks in their order.
 * Work item: one block. Squares in float64, in four lanes that are joined at the end.
 */
export function gradientSquares(b: GradientSquares, begin: i32, end: i32): void {
  const decay = f32x4.splat(b.decay);
  for (let block = begin; block < end; ++block) {
    const last = min((block + 1) * BLOCK, b.count);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let i = block * BLOCK; i < last; i += 4) {
      const left = last - i;
      const at = <usize>i << 2;
      // lanes behind the end are 0 in both
      const g = f32x4.add(loadUpTo(b.gradient + at, left), f32x4.mul(decay, loadUpTo(b.parameter + at, left)));
      const g0 = f64x2.promote_low_f32x4(g);
      const g1 = f64x2.promote_low_f32x4(upperHalf(g));
      low = f64x2.add(low, f64x2.mul(g0, g0));
      high = f64x2.add(high, f64x2.mul(g1, g1));
    }
    store<f64>(b.sums + (<usize>block << 3), totalOf(low, high));
  }
}

/** What the blocks of all kernels above begin with. */
@unmanaged
class Update {
  parameter: usize;
  gradient: usize;
  count: i32;
}

@unmanaged
class Updates {
  /** Blocks of the kernel, one for each parameter, one behind the other. */
  blocks: usize;
  /** Bytes of such a block. */
  bytes: i32;
  parameters: i32;
  kernel: i32; // 0 gradientSquares, 1 sgdm, 2 adam, 3 rmsprop
}

/** One kernel for many parameters: most have few elements. Work item: 4096 elements of a parameter, or what it has left. */
export function updateParameters(b: Updates, begin: i32, end: i32): void {
  let first = 0;
  for (let p = 0; p < b.parameters && first < end; ++p) {
    const block = b.blocks + <usize>(p * b.bytes);
    const count = changetype<Update>(block).count;
    const blocks = (count + BLOCK - 1) / BLOCK;
    const from = max(begin - first, 0);
    const to = min(end - first, blocks);
    first += blocks;
    if (from >= to) continue;
    const last = min(to * BLOCK, count);
    switch (b.kernel) {
      case 0:
        gradientSquares(changetype<GradientSquares>(block), from, to);
        break;
      case 1:
        sgdm(changetype<Sgdm>(block), from * BLOCK, last);
        break;
      case 2:
        adam(changetype<Adam>(block), from * BLOCK, last);
        break;
      default:
        rmsprop(changetype<Rmsprop>(block), from * BLOCK, last);
    }
  }
}
