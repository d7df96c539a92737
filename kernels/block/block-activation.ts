// ReLU and leaky ReLU in a block (block.ts), alone and behind a normalization.
import { loadPart, storePart } from '../lanes';

export const RECTIFIED: i32 = 1;
export const LEAKY: i32 = 2;

@inline
export function activated(v: v128, activation: i32, leak: v128): v128 {
  if (activation == RECTIFIED) return f32x4.pmax(v, f32x4.splat(0));
  return v128.bitselect(f32x4.mul(v, leak), v, f32x4.lt(v, f32x4.splat(0)));
}

@inline
export function activatedOne(v: f32, activation: i32, leak: f32): f32 {
  if (activation == 0 || !(v < 0)) return v;
  return activation == RECTIFIED ? 0 : v * leak;
}

/** In place. */
@inline
export function activate(y: usize, count: i32, activation: i32, leak: f32): void {
  const factor = f32x4.splat(leak);
  const end = y + ((<usize>count & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, activated(v128.load(y), activation, factor));
  for (let left = count & 3; left > 0; --left) {
    store<f32>(y, activatedOne(load<f32>(y), activation, leak));
    y += 4;
  }
}

/** y = max((x - high) factor + rest, 0). */
export function rectifyRun(x: usize, y: usize, count: i32, high: f32, factor: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const r = f32x4.splat(rest);
  const zero = f32x4.splat(0);
  let left = count;
  for (; left >= 8; left -= 8) {
    const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
    const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 16), h), f), r);
    v128.store(y, f32x4.pmax(y0, zero));
    v128.store(y, f32x4.pmax(y1, zero), 16);
    x += 32;
    y += 32;
  }
  if (left >= 4) {
    v128.store(y, f32x4.pmax(f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r), zero));
    x += 16;
    y += 16;
    left -= 4;
  }
  if (left > 0) storePart(y, f32x4.pmax(f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), f), r), zero), left);
}
