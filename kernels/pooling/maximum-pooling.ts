// Maximum pooling, its gradient, and the gather that is the adjoint of the gradient (it picks from another array what the
// forward pass picked from x). Arrays and windows are those of windows.ts.
//
// Padding never wins; a window without any element gives -infinity. The first of equal elements wins, in memory order. NaN
// wins over numbers (a NaN in x stays visible), the last of several. `offsets` names the winner as its place in the window,
// i + poolHeight * (j + poolWidth * k), a whole number below 2^24 in a float.
//
// Work item: forward and gather, one column of y (outHeight numbers; columns are numbered in memory order); gradient, one
// plane, whose windows are visited in memory order. Four windows at a time where none touches the top or bottom padding and
// the vertical stride is 1 or 2, else one at a time; both give the same bits.
import { address, endInside, firstInside, insideDimension, isTwoByTwo, loadEvery, Windows } from './windows';

@unmanaged
class MaximumPooling extends Windows {
  /** Forward: x. Gather: the array to pick from. Gradient: unused. */
  x: usize;
  /** Forward and gather: the result. Gradient: unused. */
  y: usize;
  /** The winners' places: written by maximumPool unless 0; read by its gradient and by the gather. */
  offsets: usize;
  dy: usize;
  dx: usize;
}

/** Largest element of one window and its place. `columns` holds the window's valid columns. */
@inline
function maximumOne(b: Windows, plane: usize, row: i32, j0: i32, j1: i32, w: i32, k0: i32, k1: i32, d: i32, y: usize, offset: usize): void {
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

/**
 * Columns `first` to `end` of one plane of y: the largest element of each window; at `offsets`, unless 0, its place. `y` and
 * `offsets` are where the first of these columns lies.
 */
export function maximumColumns(b: Windows, x: usize, y: usize, offset: usize, first: i32, end: i32): void {
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
export function maximumPool(b: MaximumPooling, begin: i32, end: i32): void {
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
export function maximumScatter(b: Windows, dx: usize, dy: usize, offset: usize): void {
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
export function maximumPoolGradient(b: MaximumPooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const windows = b.outHeight * b.outWidth * b.outDepth;
  for (let plane = begin; plane < end; ++plane) {
    const at = (<usize>plane * <usize>windows) << 2;
    maximumScatter(b, b.dx + ((<usize>plane * <usize>size) << 2), b.dy + at, b.offsets + at);
  }
}

/** y = x at each window's winner; 0 for a window of nothing but padding. The adjoint of maximumPoolGradient. */
export function maximumPoolGather(b: MaximumPooling, begin: i32, end: i32): void {
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
