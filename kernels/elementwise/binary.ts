// Element-wise functions of two arrays, with implicit expansion.
//
// float32, arrays column-major and without gaps, any alignment of a range. One work item is one element of the result,
// numbered in memory order. Vectors of four; the last one to three elements of a run go through the same vector code in a
// padded vector, so that an element's bits do not depend on where a range begins or ends. A result may lie in the same memory
// as an operand of the same size. The functions' accuracy stands in math.ts.
import { loadPart, splat, storePart } from '../lanes';
import * as m from '../math';

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
