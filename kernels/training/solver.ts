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
import { loadUpTo, splat, storeUpTo, totalOf, upperHalf } from '../lanes';

/** A gradient and its parameter: what all kernels' blocks begin with. */
@unmanaged
class Gradient {
  parameter: usize;
  gradient: usize;
  count: i32; // elements
  decay: f32;
}

@unmanaged
class Update extends Gradient {
  factor: f32;
  limit: f32;
  rate: f32;
}

/** The gradient with L2 regularization; lanes behind the end are 0. */
@inline
function regularized(b: Gradient, at: usize, parameter: v128, left: i32): v128 {
  return f32x4.add(loadUpTo(b.gradient + at, left), f32x4.mul(splat(b.decay), parameter));
}

/** The gradient ready for the solver; NaN stays NaN. */
@inline
function ready(b: Update, at: usize, parameter: v128, left: i32): v128 {
  const g = f32x4.mul(regularized(b, at, parameter, left), splat(b.factor));
  return f32x4.pmax(f32x4.pmin(g, splat(b.limit)), splat(-b.limit));
}

/** The moving average at `at`, renewed: average = decay * average + gain * value. */
@inline
function averaged(at: usize, decay: f32, gain: f32, value: v128, left: i32): v128 {
  const average = f32x4.add(f32x4.mul(splat(decay), loadUpTo(at, left)), f32x4.mul(splat(gain), value));
  storeUpTo(at, average, left);
  return average;
}

@unmanaged
class Sgdm extends Update {
  velocity: usize;
  momentum: f32;
}

/** velocity = momentum * velocity - rate * g; parameter += velocity. */
export function sgdm(b: Sgdm, begin: i32, end: i32): void {
  const rate = splat(b.rate);
  const momentum = splat(b.momentum);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(b, at, w, left);
    const v = f32x4.sub(f32x4.mul(momentum, loadUpTo(b.velocity + at, left)), f32x4.mul(rate, g));
    storeUpTo(b.velocity + at, v, left);
    storeUpTo(b.parameter + at, f32x4.add(w, v), left);
  }
}

@unmanaged
class Adam extends Update {
  /** Average gradient. */
  average: usize;
  /** Average squared gradient. */
  squares: usize;
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
  const rate = splat(b.rate);
  const c1 = splat(b.gradientCorrection);
  const c2 = splat(b.squaredCorrection);
  const epsilon = splat(b.epsilon);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(b, at, w, left);
    const m = averaged(b.average + at, b.gradientDecay, b.gradientGain, g, left);
    const v = averaged(b.squares + at, b.squaredDecay, b.squaredGain, f32x4.mul(g, g), left);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(v, c2)), epsilon);
    storeUpTo(b.parameter + at, f32x4.sub(w, f32x4.mul(rate, f32x4.div(f32x4.mul(m, c1), root))), left);
  }
}

@unmanaged
class Rmsprop extends Update {
  /** Average squared gradient. */
  squares: usize;
  squaredDecay: f32;
  /** 1 - squaredDecay, rounded from float64. */
  squaredGain: f32;
  epsilon: f32;
}

/** squares = b2 squares + (1 - b2) g²; parameter -= rate * g / (sqrt(squares) + epsilon). */
export function rmsprop(b: Rmsprop, begin: i32, end: i32): void {
  const rate = splat(b.rate);
  const epsilon = splat(b.epsilon);
  for (let i = begin; i < end; i += 4) {
    const left = end - i;
    const at = <usize>i << 2;
    const w = loadUpTo(b.parameter + at, left);
    const g = ready(b, at, w, left);
    const v = averaged(b.squares + at, b.squaredDecay, b.squaredGain, f32x4.mul(g, g), left);
    const root = f32x4.add(f32x4.sqrt(v), epsilon);
    storeUpTo(b.parameter + at, f32x4.sub(w, f32x4.mul(rate, f32x4.div(g, root))), left);
  }
}

/** Elements of one work item of `gradientSquares` and `updateParameters`. */
const BLOCK: i32 = 4096;

@unmanaged
class GradientSquares extends Gradient {
  /** float64, one number per block. */
  sums: usize;
}

/**
 * sums = sum((gradient + decay * parameter)²) over blocks of 4096 elements; the host adds the blocks in their order.
 * Work item: one block. Squares in float64, in four lanes that are joined at the end.
 */
export function gradientSquares(b: GradientSquares, begin: i32, end: i32): void {
  for (let block = begin; block < end; ++block) {
    const last = min((block + 1) * BLOCK, b.count);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let i = block * BLOCK; i < last; i += 4) {
      const left = last - i;
      const at = <usize>i << 2;
      const g = regularized(b, at, loadUpTo(b.parameter + at, left), left);
      const g0 = f64x2.promote_low_f32x4(g);
      const g1 = f64x2.promote_low_f32x4(upperHalf(g));
      low = f64x2.add(low, f64x2.mul(g0, g0));
      high = f64x2.add(high, f64x2.mul(g1, g1));
    }
    store<f64>(b.sums + (<usize>block << 3), totalOf(low, high));
  }
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
    const count = changetype<Gradient>(block).count;
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
