// Maximum and average pooling over one to three dimensions, their gradients, and the gather that is the adjoint of the
// maximum's gradient (it picks from another array what the forward pass picked from x).
//
// x is float32 [height, width, depth, planes], y is [outHeight, outWidth, outDepth, planes], column-major; sizes are 1
// for dimensions that are not pooled, and a plane is a channel of an observation. Window o of a dimension covers the
// positions o * stride - padding ... o * stride - padding + pool - 1; those outside x are padding.
//
// Maximum: padding never wins; a window without any element gives -infinity. The first of equal elements wins, in
// memory order. NaN wins over numbers (a NaN in x stays visible), the last of several. `offsets` names the winner as
// its place in the window, i + poolHeight * (j + poolWidth * k), a whole number below 2^24 in a float.
// Average: padding counts as zeros, and the divisor is the window's size; with `excludePadding` it is the number of
// elements inside x.
//
// Work item: forward and gather, one column of y (outHeight numbers; columns are numbered in memory order); gradients,
// one plane, whose windows are visited in memory order. Four windows at a time where none touches the top or bottom
// padding and the vertical stride is 1 or 2, else one at a time; both give the same bits. Average: float32 sums in
// memory order; where one window is all of x, sixteen of them side by side.
import { loadUpTo, storeUpTo, total } from '../lanes';

@unmanaged
class Pooling {
  /** Forward: x. Gather: the array to pick from. Gradients: unused. */
  x: usize;
  /** Forward and gather: the result. Gradients: unused. */
  y: usize;
  /** The winners' places: written by maximumPool unless 0; read by its gradient and by the gather. */
  offsets: usize;
  dy: usize;
  dx: usize;
  height: i32;
  width: i32;
  depth: i32;
  outHeight: i32;
  outWidth: i32;
  outDepth: i32;
  poolHeight: i32;
  poolWidth: i32;
  poolDepth: i32;
  strideHeight: i32;
  strideWidth: i32;
  strideDepth: i32;
  /** Before the first element; what is behind the last follows from the sizes. */
  paddingHeight: i32;
  paddingWidth: i32;
  paddingDepth: i32;
  /** Average pooling: 1 to divide by the number of elements inside x. */
  excludePadding: i32;
}

@inline
function address(base: usize, index: i32): usize {
  return base + (<usize>index << 2);
}

/** Elements 0, stride, 2 stride, 3 stride; stride is 1 or 2. Reads nothing behind the last of them. */
@inline
function loadEvery(at: usize, stride: i32): v128 {
  const first = v128.load(at);
  if (stride == 1) return first;
  return v128.shuffle<f32>(first, v128.load(at, 12), 0, 2, 5, 7);
}

/** The first window of a dimension that does not reach into the padding before it. */
@inline
function firstInside(padding: i32, stride: i32): i32 {
  return (padding + stride - 1) / stride;
}

/** One behind the last window that does not reach into the padding after it. */
@inline
function endInside(size: i32, pool: i32, stride: i32, padding: i32, out: i32): i32 {
  const room = size - pool + padding;
  return room < 0 ? 0 : min(room / stride + 1, out);
}

/** Largest element of one window and its place. `columns` holds the window's valid columns. */
@inline
function maximumOne<B>(b: B, plane: usize, row: i32, j0: i32, j1: i32, w: i32, k0: i32, k1: i32, d: i32, y: usize, offset: usize): void {
  const top = row * b.strideHeight - b.paddingHeight;
  const i0 = max(0, -top);
  const i1 = min(b.poolHeight, b.height - top);
  let best: f32 = -Infinity;
  let place = i0 + b.poolHeight * (j0 + b.poolWidth * k0);
  for (let k = k0; k < k1; ++k) {
    for (let j = j0; j < j1; ++j) {
      const column = address(plane, top + b.height * (w + j + b.width * (d + k)));
      const before = b.poolHeight * (j + b.poolWidth * k);
      for (let i = i0; i < i1; ++i) {
        const value = load<f32>(address(column, i));
        if (value > best || value != value) {
          best = value;
          place = before + i;
        }
      }
    }
  }
  store<f32>(y, best);
  if (offset) store<f32>(offset, <f32>place);
}

/** 2 by 2 windows with stride 2 and no padding: a column of y from two columns of x. */
@inline
function maximumTwoByTwo(left: usize, right: usize, y: usize, offset: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const a0 = v128.load(left);
    const a1 = v128.load(left, 16);
    const b0 = v128.load(right);
    const b1 = v128.load(right, 16);
    const v1 = v128.shuffle<f32>(a0, a1, 1, 3, 5, 7);
    const v2 = v128.shuffle<f32>(b0, b1, 0, 2, 4, 6);
    const v3 = v128.shuffle<f32>(b0, b1, 1, 3, 5, 7);
    let best = v128.shuffle<f32>(a0, a1, 0, 2, 4, 6);
    const m1 = v128.or(f32x4.gt(v1, best), f32x4.ne(v1, v1));
    best = v128.bitselect(v1, best, m1);
    const m2 = v128.or(f32x4.gt(v2, best), f32x4.ne(v2, v2));
    best = v128.bitselect(v2, best, m2);
    const m3 = v128.or(f32x4.gt(v3, best), f32x4.ne(v3, v3));
    best = v128.bitselect(v3, best, m3);
    v128.store(y, best);
    if (offset) {
      let place = v128.and(m1, f32x4.splat(1));
      place = v128.bitselect(f32x4.splat(2), place, m2);
      v128.store(offset, v128.bitselect(f32x4.splat(3), place, m3));
      offset += 16;
    }
    left += 32;
    right += 32;
    y += 16;
  }
  for (; i < count; ++i) {
    let best = load<f32>(left);
    let place: f32 = 0;
    let value = load<f32>(left, 4);
    if (value > best || value != value) {
      best = value;
      place = 1;
    }
    value = load<f32>(right);
    if (value > best || value != value) {
      best = value;
      place = 2;
    }
    value = load<f32>(right, 4);
    if (value > best || value != value) {
      best = value;
      place = 3;
    }
    store<f32>(y, best);
    if (offset) {
      store<f32>(offset, place);
      offset += 4;
    }
    left += 8;
    right += 8;
    y += 4;
  }
}

@inline
export function isTwoByTwo<B>(b: B): bool {
  return (
    b.poolHeight == 2 &&
    b.poolWidth == 2 &&
    b.poolDepth == 1 &&
    b.strideHeight == 2 &&
    b.strideWidth == 2 &&
    b.strideDepth == 1 &&
    b.paddingHeight == 0 &&
    b.paddingWidth == 0 &&
    b.paddingDepth == 0 &&
    b.outHeight * 2 <= b.height &&
    b.outWidth * 2 <= b.width &&
    b.outDepth == b.depth
  );
}

/** One window without padding that is all of x. */
@inline
function isWhole<B>(b: B): bool {
  return (
    b.poolHeight == b.height &&
    b.poolWidth == b.width &&
    b.poolDepth == b.depth &&
    b.outHeight == 1 &&
    b.outWidth == 1 &&
    b.outDepth == 1 &&
    b.paddingHeight == 0 &&
    b.paddingWidth == 0 &&
    b.paddingDepth == 0
  );
}

/**
 * Columns `first` to `end` of one plane of y: the largest element of each window; at `offsets`, unless 0, its place. `y` and
 * `offsets` are where the first of these columns lies.
 */
export function maximumColumns<B>(b: B, x: usize, y: usize, offset: usize, first: i32, end: i32): void {
  const twoByTwo = isTwoByTwo(b);
  const vertical = b.strideHeight <= 2;
  const inside = firstInside(b.paddingHeight, b.strideHeight);
  const insideEnd = endInside(b.height, b.poolHeight, b.strideHeight, b.paddingHeight, b.outHeight);
  const bytes = <usize>b.outHeight << 2;
  for (let column = first; column < end; ++column) {
    const outDepth = column / b.outWidth;
    const w = (column - outDepth * b.outWidth) * b.strideWidth - b.paddingWidth;
    const d = outDepth * b.strideDepth - b.paddingDepth;
    if (twoByTwo) {
      const left = address(x, b.height * (w + b.width * d));
      maximumTwoByTwo(left, address(left, b.height), y, offset, b.outHeight);
    } else {
      const j0 = max(0, -w);
      const j1 = min(b.poolWidth, b.width - w);
      const k0 = max(0, -d);
      const k1 = min(b.poolDepth, b.depth - d);
      let row = 0;
      while (row < b.outHeight) {
        if (vertical && row >= inside && row + 4 <= insideEnd) {
          let best = f32x4.splat(-Infinity);
          let place = f32x4.splat(<f32>(b.poolHeight * (j0 + b.poolWidth * k0)));
          for (let k = k0; k < k1; ++k) {
            for (let j = j0; j < j1; ++j) {
              let at = address(x, row * b.strideHeight - b.paddingHeight + b.height * (w + j + b.width * (d + k)));
              const before = b.poolHeight * (j + b.poolWidth * k);
              for (let i = 0; i < b.poolHeight; ++i) {
                const value = loadEvery(at, b.strideHeight);
                const wins = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
                best = v128.bitselect(value, best, wins);
                place = v128.bitselect(f32x4.splat(<f32>(before + i)), place, wins);
                at += 4;
              }
            }
          }
          v128.store(address(y, row), best);
          if (offset) v128.store(address(offset, row), place);
          row += 4;
        } else {
          maximumOne(b, x, row, j0, j1, w, k0, k1, d, address(y, row), offset ? address(offset, row) : 0);
          ++row;
        }
      }
    }
    y += bytes;
    if (offset) offset += bytes;
  }
}

/** y = the largest element of each window; offsets, unless 0, its place. */
export function maximumPool(b: Pooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const columns = b.outWidth * b.outDepth;
  let item = begin;
  while (item < end) {
    const plane = item / columns;
    const column = item - plane * columns;
    const count = min(end - item, columns - column);
    const x = b.x + ((<usize>plane * <usize>size) << 2);
    const start = (<usize>item * <usize>b.outHeight) << 2;
    maximumColumns(b, x, b.y + start, b.offsets ? b.offsets + start : 0, column, column + count);
    item += count;
  }
}

/** One plane of dx: 0, then at each window's winner += dy. */
export function maximumScatter<B>(b: B, dx: usize, dy: usize, offset: usize): void {
  const size = b.height * b.width * b.depth;
  const square = b.poolHeight * b.poolWidth;
  const twoByTwo = isTwoByTwo(b);
  memory.fill(dx, 0, <usize>size << 2);
  for (let od = 0; od < b.outDepth; ++od) {
    const d = od * b.strideDepth - b.paddingDepth;
    for (let ow = 0; ow < b.outWidth; ++ow) {
      const w = ow * b.strideWidth - b.paddingWidth;
      const corner = b.height * (w + b.width * d) - b.paddingHeight;
      let oh = 0;
      if (twoByTwo) {
        // every element belongs to one window at most: write instead of adding
        let left = address(dx, corner);
        let right = address(left, b.height);
        for (; oh + 4 <= b.outHeight; oh += 4) {
          const g = v128.load(dy);
          const place = v128.load(offset);
          const g0 = v128.and(g, f32x4.eq(place, f32x4.splat(0)));
          const g1 = v128.and(g, f32x4.eq(place, f32x4.splat(1)));
          const g2 = v128.and(g, f32x4.eq(place, f32x4.splat(2)));
          const g3 = v128.and(g, f32x4.eq(place, f32x4.splat(3)));
          v128.store(left, v128.shuffle<f32>(g0, g1, 0, 4, 1, 5));
          v128.store(left, v128.shuffle<f32>(g0, g1, 2, 6, 3, 7), 16);
          v128.store(right, v128.shuffle<f32>(g2, g3, 0, 4, 1, 5));
          v128.store(right, v128.shuffle<f32>(g2, g3, 2, 6, 3, 7), 16);
          dy += 16;
          offset += 16;
          left += 32;
          right += 32;
        }
      }
      for (; oh < b.outHeight; ++oh) {
        const place = <i32>load<f32>(offset);
        const k = b.poolDepth == 1 ? 0 : place / square;
        const rest = place - k * square;
        const j = b.poolWidth == 1 ? 0 : rest / b.poolHeight;
        const i = rest - j * b.poolHeight;
        const index = corner + oh * b.strideHeight + i + b.height * (j + b.width * k);
        // a window of nothing but padding names a place outside x
        if (insideDimension(oh * b.strideHeight - b.paddingHeight + i, b.height) && insideDimension(w + j, b.width) && insideDimension(d + k, b.depth)) {
          const at = address(dx, index);
          store<f32>(at, load<f32>(at) + load<f32>(dy));
        }
        dy += 4;
        offset += 4;
      }
    }
  }
}

/** dx = 0, then dx at each window's winner += dy. */
export function maximumPoolGradient(b: Pooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const windows = b.outHeight * b.outWidth * b.outDepth;
  for (let plane = begin; plane < end; ++plane) {
    const at = (<usize>plane * <usize>windows) << 2;
    maximumScatter(b, b.dx + ((<usize>plane * <usize>size) << 2), b.dy + at, b.offsets + at);
  }
}

@inline
function insideDimension(index: i32, size: i32): bool {
  return <u32>index < <u32>size;
}

/** y = x at each window's winner; 0 for a window of nothing but padding. The adjoint of maximumPoolGradient. */
export function maximumPoolGather(b: Pooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const columns = b.outWidth * b.outDepth;
  const square = b.poolHeight * b.poolWidth;
  for (let item = begin; item < end; ++item) {
    const plane = item / columns;
    const column = item - plane * columns;
    const x = b.x + ((<usize>plane * <usize>size) << 2);
    const outDepth = column / b.outWidth;
    const w = (column - outDepth * b.outWidth) * b.strideWidth - b.paddingWidth;
    const d = outDepth * b.strideDepth - b.paddingDepth;
    const start = (<usize>item * <usize>b.outHeight) << 2;
    for (let oh = 0; oh < b.outHeight; ++oh) {
      const place = <i32>load<f32>(address(b.offsets + start, oh));
      const k = b.poolDepth == 1 ? 0 : place / square;
      const rest = place - k * square;
      const j = b.poolWidth == 1 ? 0 : rest / b.poolHeight;
      const i = rest - j * b.poolHeight + oh * b.strideHeight - b.paddingHeight;
      let value: f32 = 0;
      if (insideDimension(i, b.height) && insideDimension(w + j, b.width) && insideDimension(d + k, b.depth))
        value = load<f32>(address(x, i + b.height * (w + j + b.width * (d + k))));
      store<f32>(address(b.y + start, oh), value);
    }
  }
}

/** What a window's sum is multiplied by: 1 / its size, or 1 / its elements inside x. */
@inline
function averageFactor<B>(b: B, row: i32, across: i32): f32 {
  if (!b.excludePadding) return 1 / <f32>(b.poolHeight * b.poolWidth * b.poolDepth);
  const top = row * b.strideHeight - b.paddingHeight;
  const count = (min(b.poolHeight, b.height - top) - max(0, -top)) * across;
  return count > 0 ? 1 / <f32>count : 0;
}

/** The average of 2 by 2 windows with stride 2 from what loads of two columns of x: the sums are in memory order. */
@inline
export function averageOfPairs(left0: v128, left1: v128, right0: v128, right1: v128): v128 {
  let sum = f32x4.add(v128.shuffle<f32>(left0, left1, 0, 2, 4, 6), v128.shuffle<f32>(left0, left1, 1, 3, 5, 7));
  sum = f32x4.add(sum, v128.shuffle<f32>(right0, right1, 0, 2, 4, 6));
  sum = f32x4.add(sum, v128.shuffle<f32>(right0, right1, 1, 3, 5, 7));
  return f32x4.mul(sum, f32x4.splat(0.25));
}

/** 2 by 2 windows with stride 2 and no padding: a column of y from two columns of x. */
@inline
function averageTwoByTwo(left: usize, right: usize, y: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(y, averageOfPairs(v128.load(left), v128.load(left, 16), v128.load(right), v128.load(right, 16)));
    left += 32;
    right += 32;
    y += 16;
  }
  for (; i < count; ++i) {
    store<f32>(y, (load<f32>(left) + load<f32>(left, 4) + load<f32>(right) + load<f32>(right, 4)) * 0.25);
    left += 8;
    right += 8;
    y += 4;
  }
}

/** The sum of neighbouring elements, in sixteen parts that are joined at the end. */
function sumOfRun(x: usize, count: i32): f32 {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let left = count;
  for (; left >= 16; left -= 16) {
    a0 = f32x4.add(a0, v128.load(x));
    a1 = f32x4.add(a1, v128.load(x, 16));
    a2 = f32x4.add(a2, v128.load(x, 32));
    a3 = f32x4.add(a3, v128.load(x, 48));
    x += 64;
  }
  for (; left > 0; left -= 4) {
    a0 = f32x4.add(a0, loadUpTo(x, left));
    x += 16;
  }
  return <f32>total(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)));
}

/** Columns `first` to `end` of one plane of y, which begin at `y`: the average of each window. */
export function averageColumns<B>(b: B, x: usize, y: usize, first: i32, end: i32): void {
  if (isWhole(b)) {
    const size = b.height * b.width * b.depth;
    store<f32>(y, sumOfRun(x, size) * (1 / <f32>size));
    return;
  }
  if (isTwoByTwo(b)) {
    for (let column = first; column < end; ++column) {
      const depth = column / b.outWidth;
      const left = address(x, b.height * (2 * (column - depth * b.outWidth) + b.width * depth));
      averageTwoByTwo(left, address(left, b.height), address(y, (column - first) * b.outHeight), b.outHeight);
    }
    return;
  }
  const vertical = b.strideHeight <= 2;
  const inside = firstInside(b.paddingHeight, b.strideHeight);
  const insideEnd = endInside(b.height, b.poolHeight, b.strideHeight, b.paddingHeight, b.outHeight);
  const bytes = <usize>b.outHeight << 2;
  for (let column = first; column < end; ++column) {
    const outDepth = column / b.outWidth;
    const w = (column - outDepth * b.outWidth) * b.strideWidth - b.paddingWidth;
    const d = outDepth * b.strideDepth - b.paddingDepth;
    const j0 = max(0, -w);
    const j1 = min(b.poolWidth, b.width - w);
    const k0 = max(0, -d);
    const k1 = min(b.poolDepth, b.depth - d);
    const across = max(0, j1 - j0) * max(0, k1 - k0);
    let row = 0;
    while (row < b.outHeight) {
      const top = row * b.strideHeight - b.paddingHeight;
      if (vertical && row >= inside && row + 4 <= insideEnd) {
        let sum = f32x4.splat(0);
        for (let k = k0; k < k1; ++k) {
          for (let j = j0; j < j1; ++j) {
            let at = address(x, top + b.height * (w + j + b.width * (d + k)));
            for (let i = 0; i < b.poolHeight; ++i) {
              sum = f32x4.add(sum, loadEvery(at, b.strideHeight));
              at += 4;
            }
          }
        }
        v128.store(address(y, row), f32x4.mul(sum, f32x4.splat(averageFactor(b, row, across))));
        row += 4;
      } else {
        const i0 = max(0, -top);
        const i1 = min(b.poolHeight, b.height - top);
        let sum: f32 = 0;
        for (let k = k0; k < k1; ++k) {
          for (let j = j0; j < j1; ++j) {
            const from = address(x, top + b.height * (w + j + b.width * (d + k)));
            for (let i = i0; i < i1; ++i) sum += load<f32>(address(from, i));
          }
        }
        store<f32>(address(y, row), sum * averageFactor(b, row, across));
        ++row;
      }
    }
    y += bytes;
  }
}

/** y = the average of each window. */
export function averagePool(b: Pooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const columns = b.outWidth * b.outDepth;
  let item = begin;
  while (item < end) {
    const plane = item / columns;
    const column = item - plane * columns;
    const count = min(end - item, columns - column);
    const x = b.x + ((<usize>plane * <usize>size) << 2);
    averageColumns(b, x, b.y + ((<usize>item * <usize>b.outHeight) << 2), column, column + count);
    item += count;
  }
}

/** One plane of dx: 0, then over each window += dy / divisor. */
export function averageScatter<B>(b: B, dx: usize, dy: usize): void {
  const size = b.height * b.width * b.depth;
  if (isWhole(b)) {
    const share = f32x4.splat(load<f32>(dy) * (1 / <f32>size));
    for (let i = 0; i < size; i += 4) storeUpTo(address(dx, i), share, size - i);
    return;
  }
  const twoByTwo = isTwoByTwo(b);
  memory.fill(dx, 0, <usize>size << 2);
  for (let od = 0; od < b.outDepth; ++od) {
    const d = od * b.strideDepth - b.paddingDepth;
    const k0 = max(0, -d);
    const k1 = min(b.poolDepth, b.depth - d);
    for (let ow = 0; ow < b.outWidth; ++ow) {
      const w = ow * b.strideWidth - b.paddingWidth;
      const j0 = max(0, -w);
      const j1 = min(b.poolWidth, b.width - w);
      const across = max(0, j1 - j0) * max(0, k1 - k0);
      let oh = 0;
      if (twoByTwo) {
        let left = address(dx, b.height * (w + b.width * d));
        let right = address(left, b.height);
        for (; oh + 4 <= b.outHeight; oh += 4) {
          const g = f32x4.mul(v128.load(dy), f32x4.splat(0.25));
          const low = v128.shuffle<f32>(g, g, 0, 0, 1, 1);
          const high = v128.shuffle<f32>(g, g, 2, 2, 3, 3);
          v128.store(left, low);
          v128.store(left, high, 16);
          v128.store(right, low);
          v128.store(right, high, 16);
          dy += 16;
          left += 32;
          right += 32;
        }
      }
      for (; oh < b.outHeight; ++oh) {
        const top = oh * b.strideHeight - b.paddingHeight;
        const i0 = max(0, -top);
        const i1 = min(b.poolHeight, b.height - top);
        const share = load<f32>(dy) * averageFactor(b, oh, across);
        for (let k = k0; k < k1; ++k) {
          for (let j = j0; j < j1; ++j) {
            const from = address(dx, top + b.height * (w + j + b.width * (d + k)));
            for (let i = i0; i < i1; ++i) {
              const at = address(from, i);
              store<f32>(at, load<f32>(at) + share);
            }
          }
        }
        dy += 4;
      }
    }
  }
}

/** dx = 0, then dx over each window += dy / divisor. */
export function averagePoolGradient(b: Pooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const windows = b.outHeight * b.outWidth * b.outDepth;
  for (let plane = begin; plane < end; ++plane)
    averageScatter(b, b.dx + ((<usize>plane * <usize>size) << 2), b.dy + ((<usize>plane * <usize>windows) << 2));
}
