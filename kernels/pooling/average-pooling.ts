// Average pooling and its gradient. Arrays and windows are those of windows.ts.
//
// Padding counts as zeros, and the divisor is the window's size; with `excludePadding` it is the number of elements inside x.
//
// Work item: forward, one column of y (outHeight numbers; columns are numbered in memory order); gradient, one plane, whose
// windows are visited in memory order. Four windows at a time where none touches the top or bottom padding and the vertical
// stride is 1 or 2, else one at a time; both give the same bits. Sums are float32 in memory order; where one window is all of
// x, sixteen of them side by side.
import { loadUpTo, storeUpTo, total } from '../lanes';
import { address, endInside, firstInside, isTwoByTwo, isWhole, loadEvery, Windows } from './windows';

@unmanaged
class AveragePooling extends Windows {
  /** Forward. */
  x: usize;
  y: usize;
  /** Gradient. */
  dy: usize;
  dx: usize;
}

/** What a window's sum is multiplied by: 1 / its size, or 1 / its elements inside x. */
@inline
function averageFactor(b: Windows, row: i32, across: i32): f32 {
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
export function averageColumns(b: Windows, x: usize, y: usize, first: i32, end: i32): void {
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
export function averagePool(b: AveragePooling, begin: i32, end: i32): void {
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
export function averageScatter(b: Windows, dx: usize, dy: usize): void {
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
export function averagePoolGradient(b: AveragePooling, begin: i32, end: i32): void {
  const size = b.height * b.width * b.depth;
  const windows = b.outHeight * b.outWidth * b.outDepth;
  for (let plane = begin; plane < end; ++plane)
    averageScatter(b, b.dx + ((<usize>plane * <usize>size) << 2), b.dy + ((<usize>plane * <usize>windows) << 2));
}
