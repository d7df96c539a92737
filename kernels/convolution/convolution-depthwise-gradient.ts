// Gradient of the convolution of convolution-depthwise.ts for its filters, with the same lanes and bands.
import { planeOf, turnBand, turnIn } from './convolution-depthwise';
import { scratch } from '../scratch';

/** Bytes of the nine sums of four planes. */
const SUMS: usize = 9 * 16;
/** Floats of a plane's partial sums: 9 rounded up to vectors. */
const SUMS_OF_PLANE: i32 = 12;

@unmanaged class DepthwiseGradientBlock {
  x: usize;
  dy: usize;
  partials: usize; // [12, planes rounded up to 2, splits]
  observations: i32;
  planes: i32; // of an observation
  heightX: i32;
  widthX: i32;
  heightY: i32;
  widthY: i32;
  stepH: i32;
  stepW: i32;
  offsetH: i32;
  offsetW: i32;
  lines: i32; // lines of dy (along h) of a band
  splits: i32; // into how many partial sums the observations are cut
}

// Adds the products of a line of dy and three lines of x to the nine sums at `to`. One of them is stored, to be overwritten, before the next
// line is loaded: the engine would load all lines first and run out of registers.
export function depthwiseProducts(y: usize, count: i32, x0: usize, pitch: usize, step: usize, to: usize): void {
  let s00 = v128.load(to);
  let s10 = v128.load(to, 16);
  let s20 = v128.load(to, 32);
  let s01 = v128.load(to, 48);
  let s11 = v128.load(to, 64);
  let s21 = v128.load(to, 80);
  let s02 = v128.load(to, 96);
  let s12 = v128.load(to, 112);
  let s22 = v128.load(to, 128);
  let x1 = x0 + pitch;
  let x2 = x1 + pitch;
  for (const end = y + (<usize>count << 4); y < end; y += 16) {
    const d = v128.load(y);
    s00 = f32x4.add(s00, f32x4.mul(d, v128.load(x0)));
    s10 = f32x4.add(s10, f32x4.mul(d, v128.load(x0, 16)));
    s20 = f32x4.add(s20, f32x4.mul(d, v128.load(x0, 32)));
    v128.store(to, s20);
    s01 = f32x4.add(s01, f32x4.mul(d, v128.load(x1)));
    s11 = f32x4.add(s11, f32x4.mul(d, v128.load(x1, 16)));
    s21 = f32x4.add(s21, f32x4.mul(d, v128.load(x1, 32)));
    v128.store(to, s21);
    s02 = f32x4.add(s02, f32x4.mul(d, v128.load(x2)));
    s12 = f32x4.add(s12, f32x4.mul(d, v128.load(x2, 16)));
    s22 = f32x4.add(s22, f32x4.mul(d, v128.load(x2, 32)));
    x0 += step;
    x1 += step;
    x2 += step;
  }
  v128.store(to, s00);
  v128.store(to, s10, 16);
  v128.store(to, s20, 32);
  v128.store(to, s01, 48);
  v128.store(to, s11, 64);
  v128.store(to, s21, 80);
  v128.store(to, s02, 96);
  v128.store(to, s12, 112);
  v128.store(to, s22, 128);
}

/**
 * partials[tap, plane, split] = the sum over the observations of a part. Work item: four planes of one of `splits` equal parts of the
 * observations; items run over the planes first. Preconditions: addresses of floats; (lines - 1) stepW + 3 lines of
 * (heightY - 1) stepH + 3 vectors and `lines` of heightY fit in 1.9 MB; 1 <= splits <= observations. Tails: missing planes are computed
 * as the first of the four, and not stored. Order of summation: positions of a band of lines, h fastest, then bands and observations.
 */
export function convolveDepthwiseGradient(b: DepthwiseGradientBlock, begin: i32, end: i32): void {
  const panels = (b.planes + 3) >> 2;
  const length = (b.heightY - 1) * b.stepH + 3;
  const pitch = <usize>length << 4;
  const sums = scratch;
  const totals = sums + SUMS;
  const band = totals + SUMS;
  const bandBytes = <usize>((b.lines - 1) * b.stepW + 3) * pitch;
  const source = band + bandBytes;
  const bytesX = <usize>(b.heightX * b.widthX) << 2;
  const bytesY = <usize>(b.heightY * b.widthY) << 2;
  memory.fill(band, 0, bandBytes);
  for (let item = begin; item < end; ++item) {
    const plane = item % panels << 2;
    const split = item / panels;
    const count = min(b.planes - plane, 4);
    memory.fill(totals, 0, SUMS);
    const last = <i32>(<i64>(split + 1) * b.observations / b.splits);
    for (let n = <i32>(<i64>split * b.observations / b.splits); n < last; ++n) {
      const place = <usize>(n * b.planes + plane);
      const x = b.x + place * bytesX;
      const xb = planeOf(x, bytesX, 1, count);
      const xc = planeOf(x, bytesX, 2, count);
      const xd = planeOf(x, bytesX, 3, count);
      for (let from = 0; from < b.widthY; from += b.lines) {
        const lines = min(b.widthY - from, b.lines);
        turnBand(x, xb, xc, xd, b.offsetH, b.heightX, from * b.stepW + b.offsetW, b.widthX, length, (lines - 1) * b.stepW + 3, band);
        const y = b.dy + place * bytesY + (<usize>(from * b.heightY) << 2);
        turnIn(y, planeOf(y, bytesY, 1, count), planeOf(y, bytesY, 2, count), planeOf(y, bytesY, 3, count), 0, lines * b.heightY, 1, source, 0);
        memory.fill(sums, 0, SUMS);
        for (let line: usize = 0; line < <usize>lines; ++line)
          depthwiseProducts(source + (line * <usize>b.heightY << 4), b.heightY, band + line * <usize>b.stepW * pitch, pitch, <usize>b.stepH << 4, sums);
        for (let i: usize = 0; i < SUMS; i += 16) v128.store(totals + i, f32x4.add(v128.load(totals + i), v128.load(sums + i)));
      }
    }
    const to = b.partials + (<usize>((split * (b.planes + 1 & ~1) + plane) * SUMS_OF_PLANE) << 2);
    for (let lane = 0; lane < count; ++lane)
      for (let tap = 0; tap < 9; ++tap)
        store<f32>(to + (<usize>(lane * SUMS_OF_PLANE + tap) << 2), load<f32>(totals + (<usize>(tap * 4 + lane) << 2)));
  }
}
