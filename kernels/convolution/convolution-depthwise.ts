// Convolution of planes on their own, each with a filter of 3 by 3 taps (one channel and one filter per group), and its adjoint,
// single precision: the formula of convolution.ts with C = F = 1 and spacing 1.
//
// Lanes are four neighbouring planes: lines of x are turned round as they are read, lines of y as they are written, so that every tap
// reads a whole vector, whatever the step, and borders are vectors of zeros. A band of lines at a time is turned, few enough for a
// first-level cache.
import { joinHigh, joinLow, storeTurned, zipHigh, zipLow } from '../lanes';
import { scratch } from '../scratch';

/** Bytes of the filters of four planes. */
const FILTERS: usize = 9 * 16;

@unmanaged class DepthwiseBlock {
  x: usize;
  weights: usize;
  bias: usize; // a float for each plane of an observation, or 0
  y: usize;
  planes: i32; // of an observation
  heightX: i32;
  widthX: i32;
  heightY: i32;
  widthY: i32;
  stepH: i32;
  stepW: i32;
  offsetH: i32; // tap (0, 0) of position u of y meets position u step + offset of x; of the adjoint, with x and y exchanged
  offsetW: i32;
  first: i32; // where tap (0, 0) of the first plane lies, in elements; the strides below are elements too
  strideH: i32;
  strideW: i32;
  stridePlane: i32;
  lines: i32; // lines of y (along h) per work item
}

/** The address of a plane that follows `first`; where there are only `count`, the first again. */
@inline
export function planeOf(first: usize, bytes: usize, lane: i32, count: i32): usize {
  return lane < count ? first + <usize>lane * bytes : first;
}

/** A float of each of four planes. */
@inline
function gather(a: usize, b: usize, c: usize, d: usize): v128 {
  let lanes = v128.load32_zero(a);
  lanes = v128.load_lane<f32>(b, lanes, 1);
  lanes = v128.load_lane<f32>(c, lanes, 2);
  return v128.load_lane<f32>(d, lanes, 3);
}

/** Turns `lines` lines of `count` floats of four planes, `line` bytes apart, into vectors; their lines lie `pitch` bytes apart. */
export function turnIn(a: usize, b: usize, c: usize, d: usize, line: usize, count: i32, lines: i32, to: usize, pitch: usize): void {
  const end = <usize>count << 2;
  for (; lines > 0; --lines) {
    if (count < 4) for (let i: usize = 0; i < end; i += 4) v128.store(to + (i << 2), gather(a + i, b + i, c + i, d + i));
    else
      // The last four begin earlier where fewer are left.
      for (let i: usize = 0, last = end - 16; ; i = min(i + 16, last)) {
        storeTurned(to + (i << 2), 16, v128.load(a + i), v128.load(b + i), v128.load(c + i), v128.load(d + i));
        if (i == last) break;
      }
    a += line;
    b += line;
    c += line;
    d += line;
    to += pitch;
  }
}

/** Turns lines of `count` vectors, `pitch` bytes apart, back into four planes, where they follow each other. Plane a may be given for missing ones: it is written last. */
export function turnOut(from: usize, pitch: usize, a: usize, b: usize, c: usize, d: usize, count: i32, lines: i32): void {
  const line = <usize>count << 2;
  for (; lines > 0; --lines) {
    if (count < 4)
      for (let i: usize = 0; i < line; i += 4) {
        const lanes = v128.load(from + (i << 2));
        v128.store_lane<f32>(d + i, lanes, 3);
        v128.store_lane<f32>(c + i, lanes, 2);
        v128.store_lane<f32>(b + i, lanes, 1);
        v128.store_lane<f32>(a + i, lanes, 0);
      }
    else
      for (let i: usize = 0, last = line - 16; ; i = min(i + 16, last)) {
        const at = from + (i << 2);
        const p = v128.load(at);
        const q = v128.load(at, 16);
        const r = v128.load(at, 32);
        const s = v128.load(at, 48);
        const low = zipLow(p, q);
        const low2 = zipLow(r, s);
        const high = zipHigh(p, q);
        const high2 = zipHigh(r, s);
        v128.store(d + i, joinHigh(high, high2));
        v128.store(c + i, joinLow(high, high2));
        v128.store(b + i, joinHigh(low, low2));
        v128.store(a + i, joinLow(low, low2));
        if (i == last) break;
      }
    a += line;
    b += line;
    c += line;
    d += line;
    from += pitch;
  }
}

/**
 * Turns lines w to w + lines - 1 of four planes of x, of `length` vectors each from coordinate h on, zero where there are none. Before
 * and behind the lines of a plane the band must be zero already.
 */
@inline
export function turnBand(a: usize, b: usize, c: usize, d: usize, h: i32, height: i32, w: i32, width: i32, length: i32, lines: i32, to: usize): void {
  const pitch = <usize>length << 4;
  const low = min(max(-w, 0), lines);
  const high = max(min(width - w, lines), low);
  memory.fill(to, 0, <usize>low * pitch);
  memory.fill(to + <usize>high * pitch, 0, <usize>(lines - high) * pitch);
  const begin = max(-h, 0);
  const at = <usize>((w + low) * height + h + begin) << 2;
  const count = min(height - h, length) - begin;
  turnIn(a + at, b + at, c + at, d + at, <usize>height << 2, max(count, 0), high - low, to + <usize>low * pitch + (<usize>begin << 4), pitch);
}

/** The filters of four planes, tap by tap. */
function turnFilters(b: DepthwiseBlock, plane: i32, count: i32, to: usize): void {
  const bytes = <usize>b.stridePlane << 2;
  const first = b.weights + (<usize>(b.first + plane * b.stridePlane) << 2);
  for (let w = 0; w < 3; ++w)
    for (let h = 0; h < 3; ++h) {
      const tap = first + (<usize>(h * b.strideH + w * b.strideW) << 2);
      v128.store(to, gather(tap, planeOf(tap, bytes, 1, count), planeOf(tap, bytes, 2, count), planeOf(tap, bytes, 3, count)));
      to += 16;
    }
}

/** What is added to each of four planes. */
@inline
function biasOf(b: DepthwiseBlock, plane: i32, count: i32): v128 {
  const at = b.bias + (<usize>plane << 2);
  return b.bias ? gather(at, planeOf(at, 4, 1, count), planeOf(at, 4, 2, count), planeOf(at, 4, 3, count)) : f32x4.splat(0);
}

// Two lines of y of `count` vectors from four lines of x, `pitch` bytes apart. A sum is stored, to be overwritten, before the
// next line is loaded: the engine would load all lines first and run out of registers.
export function depthwisePair(x0: usize, pitch: usize, w: usize, start: v128, to: usize, count: i32): void {
  const w00 = v128.load(w);
  const w10 = v128.load(w, 16);
  const w20 = v128.load(w, 32);
  const w01 = v128.load(w, 48);
  const w11 = v128.load(w, 64);
  const w21 = v128.load(w, 80);
  const w02 = v128.load(w, 96);
  const w12 = v128.load(w, 112);
  const w22 = v128.load(w, 128);
  const length = <usize>count << 4;
  const x1 = x0 + pitch;
  const x2 = x1 + pitch;
  const x3 = x2 + pitch;
  const next = to + length;
  for (let i: usize = 0; i < length; i += 16) {
    let a = v128.load(x0 + i);
    let b = v128.load(x0 + i, 16);
    let c = v128.load(x0 + i, 32);
    let s = f32x4.add(f32x4.add(f32x4.add(start, f32x4.mul(a, w00)), f32x4.mul(b, w10)), f32x4.mul(c, w20));
    v128.store(to + i, s);
    a = v128.load(x1 + i);
    b = v128.load(x1 + i, 16);
    c = v128.load(x1 + i, 32);
    s = f32x4.add(f32x4.add(f32x4.add(s, f32x4.mul(a, w01)), f32x4.mul(b, w11)), f32x4.mul(c, w21));
    let t = f32x4.add(f32x4.add(f32x4.add(start, f32x4.mul(a, w00)), f32x4.mul(b, w10)), f32x4.mul(c, w20));
    v128.store(to + i, s);
    v128.store(next + i, t);
    a = v128.load(x2 + i);
    b = v128.load(x2 + i, 16);
    c = v128.load(x2 + i, 32);
    s = f32x4.add(f32x4.add(f32x4.add(s, f32x4.mul(a, w02)), f32x4.mul(b, w12)), f32x4.mul(c, w22));
    t = f32x4.add(f32x4.add(f32x4.add(t, f32x4.mul(a, w01)), f32x4.mul(b, w11)), f32x4.mul(c, w21));
    v128.store(to + i, s);
    v128.store(next + i, t);
    a = v128.load(x3 + i);
    b = v128.load(x3 + i, 16);
    c = v128.load(x3 + i, 32);
    t = f32x4.add(f32x4.add(f32x4.add(t, f32x4.mul(a, w02)), f32x4.mul(b, w12)), f32x4.mul(c, w22));
    v128.store(next + i, t);
  }
}

// A line of y from three lines of x; positions are `step` bytes of x apart.
export function depthwiseLine(x0: usize, pitch: usize, step: usize, w: usize, start: v128, to: usize, count: i32): void {
  const w00 = v128.load(w);
  const w10 = v128.load(w, 16);
  const w20 = v128.load(w, 32);
  const w01 = v128.load(w, 48);
  const w11 = v128.load(w, 64);
  const w21 = v128.load(w, 80);
  const w02 = v128.load(w, 96);
  const w12 = v128.load(w, 112);
  const w22 = v128.load(w, 128);
  let x1 = x0 + pitch;
  let x2 = x1 + pitch;
  for (const end = to + (<usize>count << 4); to < end; to += 16) {
    let s = f32x4.add(start, f32x4.mul(v128.load(x0), w00));
    s = f32x4.add(s, f32x4.mul(v128.load(x0, 16), w10));
    s = f32x4.add(s, f32x4.mul(v128.load(x0, 32), w20));
    s = f32x4.add(s, f32x4.mul(v128.load(x1), w01));
    s = f32x4.add(s, f32x4.mul(v128.load(x1, 16), w11));
    s = f32x4.add(s, f32x4.mul(v128.load(x1, 32), w21));
    s = f32x4.add(s, f32x4.mul(v128.load(x2), w02));
    s = f32x4.add(s, f32x4.mul(v128.load(x2, 16), w12));
    s = f32x4.add(s, f32x4.mul(v128.load(x2, 32), w22));
    v128.store(to, s);
    x0 += step;
    x1 += step;
    x2 += step;
  }
}

/**
 * Work item: `lines` neighbouring lines of y of four planes of one observation; items run over the lines first, then over the planes, then
 * over the observations. Preconditions: addresses of floats; (lines - 1) stepW + 3 lines of (heightY - 1) stepH + 3 vectors and `lines` of
 * heightY fit in 1.9 MB. Tails: missing planes are computed as the first of the four, and not stored. Order of summation: bias, then
 * taps with h fastest.
 */
export function convolveDepthwise(b: DepthwiseBlock, begin: i32, end: i32): void {
  const panels = (b.planes + 3) >> 2;
  const bands = (b.widthY + b.lines - 1) / b.lines;
  const length = (b.heightY - 1) * b.stepH + 3;
  const pitch = <usize>length << 4;
  const filters = scratch;
  const band = filters + FILTERS;
  const bandBytes = <usize>((b.lines - 1) * b.stepW + 3) * pitch;
  const results = band + bandBytes;
  const bytesX = <usize>(b.heightX * b.widthX) << 2;
  const bytesY = <usize>(b.heightY * b.widthY) << 2;
  const step = <usize>b.stepH << 4;
  const dense = b.stepH == 1 && b.stepW == 1;
  memory.fill(band, 0, bandBytes);
  for (let item = begin; item < end; ++item) {
    const from = item % bands * b.lines;
    const lines = min(b.widthY - from, b.lines);
    const rest = item / bands;
    const plane = rest % panels << 2;
    const count = min(b.planes - plane, 4);
    const place = <usize>(rest / panels * b.planes + plane);
    turnFilters(b, plane, count, filters);
    const start = biasOf(b, plane, count);
    const x = b.x + place * bytesX;
    const xb = planeOf(x, bytesX, 1, count);
    const xc = planeOf(x, bytesX, 2, count);
    const xd = planeOf(x, bytesX, 3, count);
    turnBand(x, xb, xc, xd, b.offsetH, b.heightX, from * b.stepW + b.offsetW, b.widthX, length, (lines - 1) * b.stepW + 3, band);
    for (let line = 0; line < lines; ) {
      const from = band + <usize>(line * b.stepW) * pitch;
      const to = results + (<usize>(line * b.heightY) << 4);
      if (dense && line + 1 < lines) {
        depthwisePair(from, pitch, filters, start, to, b.heightY);
        line += 2;
      } else {
        depthwiseLine(from, pitch, step, filters, start, to, b.heightY);
        line += 1;
      }
    }
    const y = b.y + place * bytesY + (<usize>(from * b.heightY) << 2);
    turnOut(results, 0, y, planeOf(y, bytesY, 1, count), planeOf(y, bytesY, 2, count), planeOf(y, bytesY, 3, count), lines * b.heightY, 1);
  }
}

// Adds what a line of x of `count` vectors gives to three lines of y: each position meets three of each.
export function spreadLine(x: usize, count: i32, w: usize, y0: usize, pitch: usize, step: usize): void {
  const w00 = v128.load(w);
  const w10 = v128.load(w, 16);
  const w20 = v128.load(w, 32);
  const w01 = v128.load(w, 48);
  const w11 = v128.load(w, 64);
  const w21 = v128.load(w, 80);
  const w02 = v128.load(w, 96);
  const w12 = v128.load(w, 112);
  const w22 = v128.load(w, 128);
  let y1 = y0 + pitch;
  let y2 = y1 + pitch;
  for (const end = x + (<usize>count << 4); x < end; x += 16) {
    const d = v128.load(x);
    v128.store(y0, f32x4.add(v128.load(y0), f32x4.mul(d, w00)));
    v128.store(y0, f32x4.add(v128.load(y0, 16), f32x4.mul(d, w10)), 16);
    v128.store(y0, f32x4.add(v128.load(y0, 32), f32x4.mul(d, w20)), 32);
    v128.store(y1, f32x4.add(v128.load(y1), f32x4.mul(d, w01)));
    v128.store(y1, f32x4.add(v128.load(y1, 16), f32x4.mul(d, w11)), 16);
    v128.store(y1, f32x4.add(v128.load(y1, 32), f32x4.mul(d, w21)), 32);
    v128.store(y2, f32x4.add(v128.load(y2), f32x4.mul(d, w02)));
    v128.store(y2, f32x4.add(v128.load(y2, 16), f32x4.mul(d, w12)), 16);
    v128.store(y2, f32x4.add(v128.load(y2, 32), f32x4.mul(d, w22)), 32);
    y0 += step;
    y1 += step;
    y2 += step;
  }
}

/**
 * The adjoint, for any steps: position u of x is added to positions u step + offset + t of y. Work item and tails as above.
 * Preconditions: addresses of floats; offsets of 0 or less; lines + 4 lines of (heightX - 1) stepH + 3 vectors, or heightY - offsetH where
 * that is more, and (lines + 1) / stepW + 2 of heightX fit in 1.9 MB. Order of summation: bias, then lines of x, their positions, and taps.
 */
export function spreadDepthwise(b: DepthwiseBlock, begin: i32, end: i32): void {
  const panels = (b.planes + 3) >> 2;
  const bands = (b.widthY + b.lines - 1) / b.lines;
  const pitch = <usize>max((b.heightX - 1) * b.stepH + 3, b.heightY - b.offsetH) << 4;
  const filters = scratch;
  // Two lines before and behind the band take what the outermost lines of x add there.
  const band = filters + FILTERS;
  const source = band + <usize>(b.lines + 4) * pitch;
  const bytesX = <usize>(b.heightX * b.widthX) << 2;
  const bytesY = <usize>(b.heightY * b.widthY) << 2;
  for (let item = begin; item < end; ++item) {
    const from = item % bands * b.lines;
    const lines = min(b.widthY - from, b.lines);
    const rest = item / bands;
    const plane = rest % panels << 2;
    const count = min(b.planes - plane, 4);
    const place = <usize>(rest / panels * b.planes + plane);
    turnFilters(b, plane, count, filters);
    const start = biasOf(b, plane, count);
    for (let at = band, behind = band + <usize>(lines + 4) * pitch; at < behind; at += 16) v128.store(at, start);
    // Lines of x whose taps meet the band.
    const first = from - b.offsetW;
    const low = (max(first - 2, 0) + b.stepW - 1) / b.stepW;
    const high = min((first + lines - 1) / b.stepW + 1, b.widthX);
    const x = b.x + place * bytesX + (<usize>(low * b.heightX) << 2);
    const all = max(high - low, 0);
    turnIn(x, planeOf(x, bytesX, 1, count), planeOf(x, bytesX, 2, count), planeOf(x, bytesX, 3, count), 0, all * b.heightX, 1, source, 0);
    for (let u = low; u < high; ++u)
      spreadLine(source + (<usize>((u - low) * b.heightX) << 4), b.heightX, filters, band + <usize>(u * b.stepW - first + 2) * pitch, pitch, <usize>b.stepH << 4);
    const y = b.y + place * bytesY + (<usize>(from * b.heightY) << 2);
    turnOut(band + 2 * pitch + (<usize>-b.offsetH << 4), pitch, y, planeOf(y, bytesY, 1, count), planeOf(y, bytesY, 2, count), planeOf(y, bytesY, 3, count), b.heightY, lines);
  }
}
