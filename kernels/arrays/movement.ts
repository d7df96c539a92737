// Moving elements: copies between any two strided layouts (permutation, slices, concatenation, expansion), and filling.
// float32, column-major; values pass unchanged, and sums (with `add`) are rounded once.
import { storeTurned } from '../lanes';

// ---------------------------------------------------------------- strided copies

@unmanaged
class StridedCopy {
  /** Address of the first element read. */
  x: usize;
  /** Address of the first element written. */
  y: usize;
  /** 1 to add to what is in y, 0 to replace it. */
  add: i32;
  /**
   * Sizes of the region, 1 for missing dimensions, and the strides of both sides in elements: 0 repeats (x only),
   * negative ones run backwards. No two elements of the region may meet in y. Any order of the dimensions is right;
   * fast are xStride0 = yStride0 = 1 (rows), yStride0 = 1 with xStride0 = 0 (filling) and yStride0 = xStride1 = 1
   * (transposition).
   */
  size0: i32;
  size1: i32;
  size2: i32;
  size3: i32;
  size4: i32;
  size5: i32;
  size6: i32;
  size7: i32;
  xStride0: i32;
  xStride1: i32;
  xStride2: i32;
  xStride3: i32;
  xStride4: i32;
  xStride5: i32;
  xStride6: i32;
  xStride7: i32;
  yStride0: i32;
  yStride1: i32;
  yStride2: i32;
  yStride3: i32;
  yStride4: i32;
  yStride5: i32;
  yStride6: i32;
  yStride7: i32;
}

@inline
function element(base: usize, index: i32): usize {
  return base + (<usize>index << 2);
}

/** y = x over neighbouring elements. */
@inline
function copyRun(x: usize, y: usize, count: i32): void {
  // the engine's copy is a call out of the module: worth it for long runs
  if (count >= 512) {
    memory.copy(y, x, <usize>count << 2);
    return;
  }
  const last = y + (<usize>count << 2);
  for (; y + 16 <= last; y += 16) {
    v128.store(y, v128.load(x));
    x += 16;
  }
  for (; y < last; y += 4) {
    store<f32>(y, load<f32>(x));
    x += 4;
  }
}

/** y += x over neighbouring elements. */
@inline
function addRun(x: usize, y: usize, count: i32): void {
  const last = y + (<usize>count << 2);
  for (; y + 16 <= last; y += 16) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
    x += 16;
  }
  for (; y < last; y += 4) {
    store<f32>(y, load<f32>(y) + load<f32>(x));
    x += 4;
  }
}

/** Columns first..last of dimension 0, `rows` of dimension 1, where x runs along 1 and y along 0: 4 by 4 at a time. */
function transpose(x: usize, y: usize, count: i32, rows: i32, xStep: i32, yStep: i32): void {
  const dx = <usize>xStep << 2;
  const dy = <usize>yStep << 2;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    let from = x + <usize>i * dx;
    let to = y + (<usize>i << 2);
    let j = 0;
    for (; j + 4 <= rows; j += 4) {
      const a = v128.load(from);
      const b = v128.load(from + dx);
      const c = v128.load(from + 2 * dx);
      const d = v128.load(from + 3 * dx);
      storeTurned(to, dy, a, b, c, d);
      from += 16;
      to += 4 * dy;
    }
    for (; j < rows; ++j) {
      store<f32>(to, load<f32>(from));
      store<f32>(to, load<f32>(from + dx), 4);
      store<f32>(to, load<f32>(from + 2 * dx), 8);
      store<f32>(to, load<f32>(from + 3 * dx), 12);
      from += 4;
      to += dy;
    }
  }
  for (; i < count; ++i) {
    let from = x + <usize>i * dx;
    let to = y + (<usize>i << 2);
    for (let j = 0; j < rows; ++j) {
      store<f32>(to, load<f32>(from));
      from += 4;
      to += dy;
    }
  }
}

/** One line along dimension 0. */
@inline
function copyLine(x: usize, y: usize, count: i32, xStep: i32, yStep: i32, add: i32): void {
  if (xStep == 1 && yStep == 1) {
    if (add) addRun(x, y, count);
    else copyRun(x, y, count);
  } else if (xStep == 0 && yStep == 1 && !add) {
    fillRun(y, count, load<f32>(x));
  } else if (xStep == 2 && yStep == 1 && !add) {
    let i = 0;
    // the second load ends with the last element wanted
    for (; i + 4 <= count; i += 4) {
      v128.store(element(y, i), v128.shuffle<f32>(v128.load(element(x, 2 * i)), v128.load(element(x, 2 * i + 3)), 0, 2, 5, 7));
    }
    for (; i < count; ++i) store<f32>(element(y, i), load<f32>(element(x, 2 * i)));
  } else {
    const dx = <usize>xStep << 2;
    const dy = <usize>yStep << 2;
    if (add) {
      for (let i = 0; i < count; ++i) {
        store<f32>(y, load<f32>(y) + load<f32>(x));
        x += dx;
        y += dy;
      }
    } else {
      for (let i = 0; i < count; ++i) {
        store<f32>(y, load<f32>(x));
        x += dx;
        y += dy;
      }
    }
  }
}

@inline
function fillRun(y: usize, count: i32, value: f32): void {
  const lanes = f32x4.splat(value);
  const last = y + (<usize>count << 2);
  for (; y + 16 <= last; y += 16) v128.store(y, lanes);
  for (; y < last; y += 4) store<f32>(y, value);
}

/**
 * y[i . yStrides] = x[i . xStrides] for every subscript i of the region, or += with `add`. Work item: one line along
 * dimension 0; lines are numbered with dimension 1 fastest. Lines that are transposed go sixteen at a time, so that
 * whole cache lines of x are used.
 */
export function copyStrided(b: StridedCopy, begin: i32, end: i32): void {
  const transposed = b.xStride1 == 1 && b.yStride0 == 1 && b.xStride0 != 1 && b.xStride0 != 0 && !b.add && b.size0 > 1;
  let i1 = begin % b.size1;
  let rest = begin / b.size1;
  let i2 = rest % b.size2;
  rest /= b.size2;
  let i3 = rest % b.size3;
  rest /= b.size3;
  let i4 = rest % b.size4;
  rest /= b.size4;
  let i5 = rest % b.size5;
  rest /= b.size5;
  let i6 = rest % b.size6;
  let i7 = rest / b.size6;
  let line = begin;
  while (line < end) {
    const x = element(
      b.x,
      i1 * b.xStride1 + i2 * b.xStride2 + i3 * b.xStride3 + i4 * b.xStride4 + i5 * b.xStride5 + i6 * b.xStride6 + i7 * b.xStride7,
    );
    const y = element(
      b.y,
      i1 * b.yStride1 + i2 * b.yStride2 + i3 * b.yStride3 + i4 * b.yStride4 + i5 * b.yStride5 + i6 * b.yStride6 + i7 * b.yStride7,
    );
    let lines = 1;
    if (transposed) {
      lines = min(16, min(b.size1 - i1, end - line));
      transpose(x, y, b.size0, lines, b.xStride0, b.yStride1);
    } else copyLine(x, y, b.size0, b.xStride0, b.yStride0, b.add);
    line += lines;
    i1 += lines;
    if (i1 == b.size1) {
      i1 = 0;
      if (++i2 == b.size2) {
        i2 = 0;
        if (++i3 == b.size3) {
          i3 = 0;
          if (++i4 == b.size4) {
            i4 = 0;
            if (++i5 == b.size5) {
              i5 = 0;
              if (++i6 == b.size6) {
                i6 = 0;
                ++i7;
              }
            }
          }
        }
      }
    }
  }
}

// ---------------------------------------------------------------- filling

@unmanaged
class Fill {
  y: usize;
  value: f32;
}

/** y = value. Work item: one element. */
export function fill(b: Fill, begin: i32, end: i32): void {
  fillRun(element(b.y, begin), end - begin, b.value);
}
