// Padding of images at the edges of up to three dimensions, and its adjoint, single precision.
//
//   pad          y[u] = x[source(u)], or value where nothing is the source
//   padGradient  x[v] = sum of y[u] over all u with source(u) = v
//
// x is [h, w, d, planes] and y likewise, column-major, h fastest. source(u) in each dimension, for i = u - before and an
// extent of n: mode 0 none outside of 0..n-1; 1 the nearest edge; 2 mirrored with the edge repeated, ... 1 0 | 0 1 ...;
// 3 mirrored without it, ... 2 1 | 0 1 2 ...
import { copyFloats } from '../products/tile';

@unmanaged class PadBlock {
  x: usize;
  y: usize;
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32;
  widthY: i32;
  depthY: i32;
  beforeH: i32;
  beforeW: i32;
  beforeD: i32;
  mode: i32;
  value: f32;
}

// The coordinate in 0..n-1 that position i (counted from the first element of x) takes its value from, or -1.
function source(i: i32, n: i32, mode: i32): i32 {
  if (i >= 0 && i < n) return i;
  if (mode == 0 || n == 0) return -1;
  if (mode == 1) return i < 0 ? 0 : n - 1;
  if (n == 1) return 0;
  const period = mode == 2 ? 2 * n : 2 * n - 2;
  let j = i % period;
  if (j < 0) j += period;
  return j < n ? j : (mode == 2 ? period - 1 - j : period - j);
}

/** Work item: one plane. Preconditions: addresses of floats, before >= 0. Tails: rows of any length, copied exactly. */
export function pad(block: PadBlock, begin: i32, end: i32): void {
  const heightX = block.heightX;
  const heightY = block.heightY;
  const beforeH = block.beforeH;
  const mode = block.mode;
  const value = block.value;
  for (let plane = begin; plane < end; plane++) {
    let to = block.y + (((plane as usize) * ((heightY * block.widthY * block.depthY) as usize)) << 2);
    const from = block.x + (((plane as usize) * ((heightX * block.widthX * block.depthX) as usize)) << 2);
    for (let d = 0; d < block.depthY; d++) {
      const depth = source(d - block.beforeD, block.depthX, mode);
      for (let w = 0; w < block.widthY; w++) {
        const width = source(w - block.beforeW, block.widthX, mode);
        if (depth < 0 || width < 0) {
          for (let h = 0; h < heightY; h++) store<f32>(to + (h << 2), value);
        } else {
          const row = from + (((depth * block.widthX + width) * heightX) << 2);
          for (let h = 0; h < heightY; h++) {
            if (h == beforeH && heightX > 0) {
              copyFloats(to + (h << 2), row, heightX);
              h += heightX - 1;
              continue;
            }
            const at = source(h - beforeH, heightX, mode);
            store<f32>(to + (h << 2), at < 0 ? value : load<f32>(row + (at << 2)));
          }
        }
        to += heightY << 2;
      }
    }
  }
}

/** Work item: one plane, its sums in the order of y's elements. Preconditions: addresses of floats. No tails. */
export function padGradient(block: PadBlock, begin: i32, end: i32): void {
  const heightX = block.heightX;
  const heightY = block.heightY;
  const mode = block.mode;
  const plane = heightX * block.widthX * block.depthX;
  for (let item = begin; item < end; item++) {
    let from = block.y + (((item as usize) * ((heightY * block.widthY * block.depthY) as usize)) << 2);
    const to = block.x + (((item as usize) * (plane as usize)) << 2);
    memory.fill(to, 0, (plane as usize) << 2);
    for (let d = 0; d < block.depthY; d++) {
      const depth = source(d - block.beforeD, block.depthX, mode);
      for (let w = 0; w < block.widthY; w++) {
        const width = source(w - block.beforeW, block.widthX, mode);
        if (depth >= 0 && width >= 0) {
          const row = to + (((depth * block.widthX + width) * heightX) << 2);
          for (let h = 0; h < heightY; h++) {
            const at = source(h - block.beforeH, heightX, mode);
            if (at >= 0) store<f32>(row + (at << 2), load<f32>(row + (at << 2)) + load<f32>(from + (h << 2)));
          }
        }
        from += heightY << 2;
      }
    }
  }
}
