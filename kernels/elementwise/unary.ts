// Element-wise functions of one array.
//
// float32, arrays column-major and without gaps, any alignment of a range. One work item is one element of the result,
// numbered in memory order. Vectors of four; the last one to three elements of a run go through the same vector code in a
// padded vector, so that an element's bits do not depend on where a range begins or ends. A result may lie in the same memory
// as an operand of the same size. The functions' accuracy stands in math.ts.
import { loadPart, splat, storePart } from '../lanes';
import * as m from '../math';

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
