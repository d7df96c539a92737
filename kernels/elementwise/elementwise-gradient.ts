// Gradients of element-wise functions in one pass.
//
// float32, arrays column-major and without gaps, any alignment of a range. One work item is one element of the result,
// numbered in memory order. Vectors of four; the last one to three elements of a run go through the same vector code in a
// padded vector, so that an element's bits do not depend on where a range begins or ends. A result may lie in the same memory
// as an operand of the same size. The functions' accuracy stands in math.ts.
import { loadPart, splat, storePart } from '../lanes';
import * as m from '../math';

@unmanaged
class ElementwiseGradient {
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

function mapGradient<F>(p: ElementwiseGradient, begin: i32, end: i32): void {
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
function mapGradientLong<F>(p: ElementwiseGradient, begin: i32, end: i32): void {
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
export function elementwiseGradient(b: ElementwiseGradient, begin: i32, end: i32): void {
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
