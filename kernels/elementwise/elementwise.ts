// Element-wise functions of one and of two arrays, with implicit expansion, and their gradients.
//
// All kernels here: float32, arrays column-major and without gaps, any alignment of a range. One work item is one
// element of the result, numbered in memory order. Vectors of four; the last one to three elements of a run go through
// the same vector code in a padded vector, so that an element's bits do not depend on where a range begins or ends.
// A result may lie in the same memory as an operand of the same size. The functions' accuracy stands in math.ts.
import { loadPart, storePart } from '../lanes';
import * as m from '../math';

@inline
function splat(value: f32): v128 {
  return f32x4.splat(value);
}

// ---------------------------------------------------------------- functions of one array

@unmanaged
class Unary {
  x: usize;
  y: usize;
  /** Which function: the order of the switch below. */
  code: i32;
  /** leakyRelu: the factor of negative numbers; elu: alpha; clip: the lower bound; multiplyScalar: the factor. */
  first: f32;
  /** clip: the upper bound. */
  second: f32;
}

/** Functions are classes so that a loop can be compiled for each; `apply` never reads `this`. */
class Abs { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.abs(x); } }
// NaN stays NaN, zeros keep their sign
class Sign {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    const sign = v128.bitselect(x, splat(1.0), splat(-0.0));
    return v128.bitselect(sign, x, v128.or(f32x4.lt(x, splat(0.0)), f32x4.gt(x, splat(0.0))));
  }
}
class Floor { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.floor(x); } }
class Ceil { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.ceil(x); } }
// halves away from zero, as MATLAB's round
class Round {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    const whole = f32x4.trunc(x);
    const away = f32x4.ge(f32x4.abs(f32x4.sub(x, whole)), splat(0.5));
    return f32x4.add(whole, v128.bitselect(x, v128.and(away, splat(1.0)), splat(-0.0)));
  }
}
class Fix { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.trunc(x); } }
class Sqrt { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.sqrt(x); } }
class Exp { @inline apply(x: v128, a: v128, b: v128): v128 { return m.exp(x); } }
class Expm1 { @inline apply(x: v128, a: v128, b: v128): v128 { return m.expm1(x); } }
class Log { @inline apply(x: v128, a: v128, b: v128): v128 { return m.log(x); } }
class Log1p { @inline apply(x: v128, a: v128, b: v128): v128 { return m.log1p(x); } }
class Sin { @inline apply(x: v128, a: v128, b: v128): v128 { return m.sin(x); } }
class Cos { @inline apply(x: v128, a: v128, b: v128): v128 { return m.cos(x); } }
class Tan { @inline apply(x: v128, a: v128, b: v128): v128 { return m.tan(x); } }
class Tanh { @inline apply(x: v128, a: v128, b: v128): v128 { return m.tanh(x); } }
class Sigmoid { @inline apply(x: v128, a: v128, b: v128): v128 { return m.sigmoid(x); } }
// zero where x < 0: a comparison, since NaN must stay NaN
class Relu { @inline apply(x: v128, a: v128, b: v128): v128 { return v128.andnot(x, f32x4.lt(x, splat(0.0))); } }
class LeakyRelu {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(x, a), x, f32x4.lt(x, splat(0.0)));
  }
}
class Elu {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(a, m.expm1(x)), x, f32x4.lt(x, splat(0.0)));
  }
}
// x Φ(x); the distribution is 0 or 1 at the infinities, where the product would not be a number
class Gelu {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    const y = f32x4.mul(x, m.normalDistribution(x));
    return v128.bitselect(splat(0.0), y, f32x4.lt(x, splat(-14.5)));
  }
}
// x sigmoid(x)
class Swish {
  @inline apply(x: v128, a: v128, b: v128): v128 {
    const y = f32x4.mul(x, m.sigmoid(x));
    return v128.bitselect(splat(0.0), y, f32x4.eq(x, splat(-Infinity)));
  }
}
class Softplus { @inline apply(x: v128, a: v128, b: v128): v128 { return m.softplus(x); } }
// NaN stays NaN
class Clip { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.pmax(f32x4.pmin(x, b), a); } }
class MultiplyScalar { @inline apply(x: v128, a: v128, b: v128): v128 { return f32x4.mul(x, a); } }
class NormalDistribution { @inline apply(x: v128, a: v128, b: v128): v128 { return m.normalDistribution(x); } }
class NormalDensity { @inline apply(x: v128, a: v128, b: v128): v128 { return m.normalDensity(x); } }

function mapUnary<F>(b: Unary, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const first = f32x4.splat(b.first);
  const second = f32x4.splat(b.second);
  const offset = b.y - b.x;
  let x = b.x + (<usize>begin << 2);
  const last = b.x + (<usize>end << 2);
  for (; x + 32 <= last; x += 32) {
    const y0 = f.apply(v128.load(x), first, second);
    const y1 = f.apply(v128.load(x, 16), first, second);
    v128.store(x + offset, y0);
    v128.store(x + offset, y1, 16);
  }
  if (x + 16 <= last) {
    v128.store(x + offset, f.apply(v128.load(x), first, second));
    x += 16;
  }
  const rest = <i32>((last - x) >> 2);
  if (rest > 0) storePart(x + offset, f.apply(loadPart(x, rest), first, second), rest);
}

/** The same with one copy of the function in the module, for functions of many instructions. */
function mapUnaryLong<F>(b: Unary, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const first = f32x4.splat(b.first);
  const second = f32x4.splat(b.second);
  const offset = b.y - b.x;
  let x = b.x + (<usize>begin << 2);
  const last = b.x + (<usize>end << 2);
  while (x < last) {
    const rest = <i32>((last - x) >> 2);
    const y = f.apply(rest < 4 ? loadPart(x, rest) : v128.load(x), first, second);
    if (rest < 4) storePart(x + offset, y, rest);
    else v128.store(x + offset, y);
    x += 16;
  }
}

/** y = f(x), element by element. */
export function unary(b: Unary, begin: i32, end: i32): void {
  switch (b.code) {
    case 0:
      return mapUnary<Abs>(b, begin, end);
    case 1:
      return mapUnary<Sign>(b, begin, end);
    case 2:
      return mapUnary<Floor>(b, begin, end);
    case 3:
      return mapUnary<Ceil>(b, begin, end);
    case 4:
      return mapUnaryLong<Round>(b, begin, end);
    case 5:
      return mapUnary<Fix>(b, begin, end);
    case 6:
      return mapUnary<Sqrt>(b, begin, end);
    case 7:
      return mapUnaryLong<Exp>(b, begin, end);
    case 8:
      return mapUnaryLong<Expm1>(b, begin, end);
    case 9:
      return mapUnaryLong<Log>(b, begin, end);
    case 10:
      return mapUnaryLong<Log1p>(b, begin, end);
    case 11:
      return mapUnaryLong<Sin>(b, begin, end);
    case 12:
      return mapUnaryLong<Cos>(b, begin, end);
    case 13:
      return mapUnaryLong<Tan>(b, begin, end);
    case 14:
      return mapUnaryLong<Tanh>(b, begin, end);
    case 15:
      return mapUnaryLong<Sigmoid>(b, begin, end);
    case 16:
      return mapUnary<Relu>(b, begin, end);
    case 17:
      return mapUnary<LeakyRelu>(b, begin, end);
    case 18:
      return mapUnaryLong<Elu>(b, begin, end);
    case 19:
      return mapUnaryLong<Gelu>(b, begin, end);
    case 20:
      return mapUnaryLong<Swish>(b, begin, end);
    case 21:
      return mapUnaryLong<Softplus>(b, begin, end);
    case 22:
      return mapUnary<Clip>(b, begin, end);
    case 23:
      return mapUnary<MultiplyScalar>(b, begin, end);
    case 24:
      return mapUnaryLong<NormalDistribution>(b, begin, end);
    case 25:
      return mapUnaryLong<NormalDensity>(b, begin, end);
  }
}

// ---------------------------------------------------------------- functions of two arrays

@unmanaged
class Binary {
  a: usize;
  b: usize;
  y: usize;
  /** Which function: the order of the switch below. */
  code: i32;
  /**
   * Sizes of the result, 1 where there are fewer dimensions, and the operands' strides in elements, 0 where an operand
   * is expanded. Neighbouring dimensions that expand alike are given as one, dimensions of size 1 are left out, so that
   * the first strides are (1, 1), (1, 0) or (0, 1).
   */
  size0: i32;
  size1: i32;
  size2: i32;
  size3: i32;
  size4: i32;
  size5: i32;
  aStride0: i32;
  aStride1: i32;
  aStride2: i32;
  aStride3: i32;
  aStride4: i32;
  aStride5: i32;
  bStride0: i32;
  bStride1: i32;
  bStride2: i32;
  bStride3: i32;
  bStride4: i32;
  bStride5: i32;
}

class Plus { @inline apply(a: v128, b: v128): v128 { return f32x4.add(a, b); } }
class Minus { @inline apply(a: v128, b: v128): v128 { return f32x4.sub(a, b); } }
class Times { @inline apply(a: v128, b: v128): v128 { return f32x4.mul(a, b); } }
class Rdivide { @inline apply(a: v128, b: v128): v128 { return f32x4.div(a, b); } }
class Power { @inline apply(a: v128, b: v128): v128 { return m.power(a, b); } }
// max and min leave NaN out, as MATLAB: a number wins over NaN
class Max {
  @inline apply(a: v128, b: v128): v128 {
    return v128.bitselect(b, a, v128.or(f32x4.lt(a, b), f32x4.ne(a, a)));
  }
}
class Min {
  @inline apply(a: v128, b: v128): v128 {
    return v128.bitselect(b, a, v128.or(f32x4.gt(a, b), f32x4.ne(a, a)));
  }
}
class Eq { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.eq(a, b), splat(1.0)); } }
class Ne { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.ne(a, b), splat(1.0)); } }
class Lt { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.lt(a, b), splat(1.0)); } }
class Le { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.le(a, b), splat(1.0)); } }
class Gt { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.gt(a, b), splat(1.0)); } }
class Ge { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.ge(a, b), splat(1.0)); } }

/** `count` results with unit strides. */
@inline
function runBoth<F>(a: usize, b: usize, y: usize, count: i32): void {
  const f = changetype<F>(0);
  const last = y + (<usize>count << 2);
  while (y + 32 <= last) {
    const y0 = f.apply(v128.load(a), v128.load(b));
    const y1 = f.apply(v128.load(a, 16), v128.load(b, 16));
    v128.store(y, y0);
    v128.store(y, y1, 16);
    a += 32;
    b += 32;
    y += 32;
  }
  if (y + 16 <= last) {
    v128.store(y, f.apply(v128.load(a), v128.load(b)));
    a += 16;
    b += 16;
    y += 16;
  }
  const rest = <i32>((last - y) >> 2);
  if (rest > 0) storePart(y, f.apply(loadPart(a, rest), loadPart(b, rest)), rest);
}

/** `count` results where b is one number. */
@inline
function runFirst<F>(a: usize, b: usize, y: usize, count: i32): void {
  const f = changetype<F>(0);
  const other = v128.load32_splat(b);
  const last = y + (<usize>count << 2);
  while (y + 16 <= last) {
    v128.store(y, f.apply(v128.load(a), other));
    a += 16;
    y += 16;
  }
  const rest = <i32>((last - y) >> 2);
  if (rest > 0) storePart(y, f.apply(loadPart(a, rest), other), rest);
}

/** `count` results where a is one number. */
@inline
function runSecond<F>(a: usize, b: usize, y: usize, count: i32): void {
  const f = changetype<F>(0);
  const other = v128.load32_splat(a);
  const last = y + (<usize>count << 2);
  while (y + 16 <= last) {
    v128.store(y, f.apply(other, v128.load(b)));
    b += 16;
    y += 16;
  }
  const rest = <i32>((last - y) >> 2);
  if (rest > 0) storePart(y, f.apply(other, loadPart(b, rest)), rest);
}

function mapBinary<F>(p: Binary, begin: i32, end: i32): void {
  const n0 = p.size0;
  const stepA = p.aStride0;
  const stepB = p.bStride0;
  // the subscripts of the first result
  let i0 = begin % n0;
  let rest = begin / n0;
  let i1 = rest % p.size1;
  rest /= p.size1;
  let i2 = rest % p.size2;
  rest /= p.size2;
  let i3 = rest % p.size3;
  rest /= p.size3;
  let i4 = rest % p.size4;
  let i5 = rest / p.size4;
  let y = p.y + (<usize>begin << 2);
  let left = end - begin;
  while (left > 0) {
    const count = min(n0 - i0, left);
    const a = p.a + (<usize>(i0 * stepA + i1 * p.aStride1 + i2 * p.aStride2 + i3 * p.aStride3 + i4 * p.aStride4 + i5 * p.aStride5) << 2);
    const b = p.b + (<usize>(i0 * stepB + i1 * p.bStride1 + i2 * p.bStride2 + i3 * p.bStride3 + i4 * p.bStride4 + i5 * p.bStride5) << 2);
    if (stepB == 0) runFirst<F>(a, b, y, count);
    else if (stepA == 0) runSecond<F>(a, b, y, count);
    else runBoth<F>(a, b, y, count);
    y += <usize>count << 2;
    left -= count;
    i0 = 0;
    if (++i1 == p.size1) {
      i1 = 0;
      if (++i2 == p.size2) {
        i2 = 0;
        if (++i3 == p.size3) {
          i3 = 0;
          if (++i4 == p.size4) {
            i4 = 0;
            ++i5;
          }
        }
      }
    }
  }
}

/** y = f(a, b), element by element, with implicit expansion; comparisons give 0 or 1, and ne alone holds for NaN. */
export function binary(b: Binary, begin: i32, end: i32): void {
  switch (b.code) {
    case 0:
      return mapBinary<Plus>(b, begin, end);
    case 1:
      return mapBinary<Minus>(b, begin, end);
    case 2:
      return mapBinary<Times>(b, begin, end);
    case 3:
      return mapBinary<Rdivide>(b, begin, end);
    case 4:
      return mapBinary<Power>(b, begin, end);
    case 5:
      return mapBinary<Max>(b, begin, end);
    case 6:
      return mapBinary<Min>(b, begin, end);
    case 7:
      return mapBinary<Eq>(b, begin, end);
    case 8:
      return mapBinary<Ne>(b, begin, end);
    case 9:
      return mapBinary<Lt>(b, begin, end);
    case 10:
      return mapBinary<Le>(b, begin, end);
    case 11:
      return mapBinary<Gt>(b, begin, end);
    case 12:
      return mapBinary<Ge>(b, begin, end);
  }
}

// ---------------------------------------------------------------- gradients in one pass

@unmanaged
class Gradient {
  /** What came in from behind. */
  dy: usize;
  /** What the forward pass saved: its result for relu, tanh and sigmoid, its input for the others. */
  saved: usize;
  dx: usize;
  /** Which function: the order of the switch below. */
  code: i32;
  /** As in the forward function. */
  first: f32;
  second: f32;
}

class ReluGradient {
  @inline apply(dy: v128, y: v128, a: v128, b: v128): v128 { return v128.and(dy, f32x4.gt(y, splat(0.0))); }
}
class LeakyReluGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(dy, a), dy, f32x4.lt(x, splat(0.0)));
  }
}
// dy (1 - y²)
class TanhGradient {
  @inline apply(dy: v128, y: v128, a: v128, b: v128): v128 {
    return f32x4.mul(dy, f32x4.sub(splat(1.0), f32x4.mul(y, y)));
  }
}
// dy y (1 - y)
class SigmoidGradient {
  @inline apply(dy: v128, y: v128, a: v128, b: v128): v128 {
    return f32x4.mul(dy, f32x4.mul(y, f32x4.sub(splat(1.0), y)));
  }
}
// dy where x >= 0, else dy alpha e^x
class EluGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(dy, f32x4.mul(a, m.exp(x))), dy, f32x4.lt(x, splat(0.0)));
  }
}
// dy (Φ(x) + x φ(x))
class GeluGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    const bounded = f32x4.pmax(f32x4.pmin(x, splat(16.0)), splat(-16.0));
    const slope = f32x4.add(m.normalDistribution(bounded), f32x4.mul(bounded, m.normalDensity(bounded)));
    return f32x4.mul(dy, slope);
  }
}
// dy s (1 + x (1 - s)), s = sigmoid(x)
class SwishGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    const bounded = f32x4.pmax(f32x4.pmin(x, splat(120.0)), splat(-120.0));
    const s = m.sigmoid(bounded);
    // 1 - s = sigmoid(-x), without cancellation
    const other = m.sigmoid(f32x4.neg(bounded));
    return f32x4.mul(dy, f32x4.mul(s, f32x4.add(splat(1.0), f32x4.mul(bounded, other))));
  }
}
// dy sigmoid(x)
class SoftplusGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 { return f32x4.mul(dy, m.sigmoid(x)); }
}
// dy where first < x < second
class ClipGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    return v128.and(dy, v128.and(f32x4.gt(x, a), f32x4.lt(x, b)));
  }
}
// dy sign(x), 0 at 0
class AbsGradient {
  @inline apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    const signed = v128.xor(dy, v128.and(x, splat(-0.0)));
    return v128.andnot(signed, f32x4.eq(x, splat(0.0)));
  }
}

function mapGradient<F>(p: Gradient, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const first = f32x4.splat(p.first);
  const second = f32x4.splat(p.second);
  const start = <usize>begin << 2;
  let dy = p.dy + start;
  let saved = p.saved + start;
  let dx = p.dx + start;
  const last = dx + (<usize>(end - begin) << 2);
  while (dx + 32 <= last) {
    const y0 = f.apply(v128.load(dy), v128.load(saved), first, second);
    const y1 = f.apply(v128.load(dy, 16), v128.load(saved, 16), first, second);
    v128.store(dx, y0);
    v128.store(dx, y1, 16);
    dy += 32;
    saved += 32;
    dx += 32;
  }
  if (dx + 16 <= last) {
    v128.store(dx, f.apply(v128.load(dy), v128.load(saved), first, second));
    dy += 16;
    saved += 16;
    dx += 16;
  }
  const rest = <i32>((last - dx) >> 2);
  if (rest > 0) storePart(dx, f.apply(loadPart(dy, rest), loadPart(saved, rest), first, second), rest);
}

/** The same with one copy of the function in the module. */
function mapGradientLong<F>(p: Gradient, begin: i32, end: i32): void {
  const f = changetype<F>(0);
  const first = f32x4.splat(p.first);
  const second = f32x4.splat(p.second);
  const start = <usize>begin << 2;
  let dy = p.dy + start;
  let saved = p.saved + start;
  let dx = p.dx + start;
  const last = dx + (<usize>(end - begin) << 2);
  while (dx < last) {
    const rest = <i32>((last - dx) >> 2);
    const partial = rest < 4;
    const value = f.apply(
      partial ? loadPart(dy, rest) : v128.load(dy),
      partial ? loadPart(saved, rest) : v128.load(saved),
      first,
      second,
    );
    if (partial) storePart(dx, value, rest);
    else v128.store(dx, value);
    dy += 16;
    saved += 16;
    dx += 16;
  }
}

/** dx = dy f'(saved), element by element. */
export function elementwiseGradient(b: Gradient, begin: i32, end: i32): void {
  switch (b.code) {
    case 0:
      return mapGradient<ReluGradient>(b, begin, end);
    case 1:
      return mapGradient<LeakyReluGradient>(b, begin, end);
    case 2:
      return mapGradient<TanhGradient>(b, begin, end);
    case 3:
      return mapGradient<SigmoidGradient>(b, begin, end);
    case 4:
      return mapGradientLong<EluGradient>(b, begin, end);
    case 5:
      return mapGradientLong<GeluGradient>(b, begin, end);
    case 6:
      return mapGradientLong<SwishGradient>(b, begin, end);
    case 7:
      return mapGradientLong<SoftplusGradient>(b, begin, end);
    case 8:
      return mapGradient<ClipGradient>(b, begin, end);
    case 9:
      return mapGradient<AbsGradient>(b, begin, end);
  }
}
