// Convolution that reads patches in place, single precision: the same formula, arrays and packed filters as in
// convolution.ts, for step 1 in the direction h. A band of lines of the image is copied once, with its zeros around it,
// and every tap reads it at its own offset. With few filters per group (depthwise convolutions, the last layer of an image
// generator) copying every patch would cost more than the arithmetic.
import { scratch } from './scratch';
import { copyLine, zeroFloats } from './tile';

/** Most taps of a run of channels that is summed in registers: the offsets of so many are kept. */
const MOST_TAPS: i32 = 4096;
/** Most filters per group. */
const MOST_FILTERS: i32 = 64;

@unmanaged export class ConvolveDirectBlock {
  x: usize;
  packed: usize; // from packFilters
  bias: usize; // filters * groups floats, or 0
  y: usize;
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32; // positions computed by this call
  widthY: i32;
  depthY: i32;
  tapsH: i32;
  tapsW: i32;
  tapsD: i32;
  stepW: i32;
  stepD: i32;
  spacingH: i32;
  spacingW: i32;
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  firstY: i32; // element of y where position (0, 0, 0) lies
  strideHY: i32; // elements of y between neighbouring positions
  strideWY: i32;
  strideDY: i32;
  planeY: i32; // elements of y in one channel
  lines: i32; // lines of y (along h) per work item
  runChannels: i32; // channels whose taps are summed in registers
}

// Sums over k of band[base + offset(k) + i] w[k, j]; `to` gets 16 floats for each j.
function direct16x1(base: usize, offsets: usize, w: usize, k: i32, to: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (; k > 0; k--) {
    const x = base + load<usize>(offsets);
    const y = v128.load32_splat(w);
    s0 = f32x4.add(s0, f32x4.mul(v128.load(x, 0), y));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(x, 16), y));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(x, 32), y));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(x, 48), y));
    offsets += sizeof<usize>();
    w += 16;
  }
  v128.store(to, s0, 0);
  v128.store(to, s1, 16);
  v128.store(to, s2, 32);
  v128.store(to, s3, 48);
}

function direct16x2(base: usize, offsets: usize, w: usize, k: i32, to: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s03 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s13 = s00;
  for (; k > 0; k--) {
    const at = base + load<usize>(offsets);
    const y0 = v128.load32_splat(w, 0);
    const y1 = v128.load32_splat(w, 4);
    let x = v128.load(at, 0);
    s00 = f32x4.add(s00, f32x4.mul(x, y0));
    s10 = f32x4.add(s10, f32x4.mul(x, y1));
    x = v128.load(at, 16);
    s01 = f32x4.add(s01, f32x4.mul(x, y0));
    s11 = f32x4.add(s11, f32x4.mul(x, y1));
    x = v128.load(at, 32);
    s02 = f32x4.add(s02, f32x4.mul(x, y0));
    s12 = f32x4.add(s12, f32x4.mul(x, y1));
    x = v128.load(at, 48);
    s03 = f32x4.add(s03, f32x4.mul(x, y0));
    s13 = f32x4.add(s13, f32x4.mul(x, y1));
    offsets += sizeof<usize>();
    w += 16;
  }
  v128.store(to, s00, 0);
  v128.store(to, s01, 16);
  v128.store(to, s02, 32);
  v128.store(to, s03, 48);
  v128.store(to, s10, 64);
  v128.store(to, s11, 80);
  v128.store(to, s12, 96);
  v128.store(to, s13, 112);
}

function direct12x3(base: usize, offsets: usize, w: usize, k: i32, to: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s20 = s00;
  let s21 = s00;
  let s22 = s00;
  for (; k > 0; k--) {
    const at = base + load<usize>(offsets);
    const x0 = v128.load(at, 0);
    const x1 = v128.load(at, 16);
    const x2 = v128.load(at, 32);
    let y = v128.load32_splat(w, 0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s01 = f32x4.add(s01, f32x4.mul(x1, y));
    s02 = f32x4.add(s02, f32x4.mul(x2, y));
    y = v128.load32_splat(w, 4);
    s10 = f32x4.add(s10, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    s12 = f32x4.add(s12, f32x4.mul(x2, y));
    y = v128.load32_splat(w, 8);
    s20 = f32x4.add(s20, f32x4.mul(x0, y));
    s21 = f32x4.add(s21, f32x4.mul(x1, y));
    s22 = f32x4.add(s22, f32x4.mul(x2, y));
    offsets += sizeof<usize>();
    w += 16;
  }
  v128.store(to, s00, 0);
  v128.store(to, s01, 16);
  v128.store(to, s02, 32);
  v128.store(to, s10, 64);
  v128.store(to, s11, 80);
  v128.store(to, s12, 96);
  v128.store(to, s20, 128);
  v128.store(to, s21, 144);
  v128.store(to, s22, 160);
}

// The same for 8 positions, written to columns `column` bytes apart after adding the 4 floats at `bias`, or, where that is
// 0, the destination.
export function direct8x4(base: usize, offsets: usize, w: usize, k: i32, to: usize, column: usize, bias: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (; k > 0; k--) {
    const at = base + load<usize>(offsets);
    const x0 = v128.load(at, 0);
    const x1 = v128.load(at, 16);
    let y = v128.load32_splat(w, 0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s01 = f32x4.add(s01, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 4);
    s10 = f32x4.add(s10, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 8);
    s20 = f32x4.add(s20, f32x4.mul(x0, y));
    s21 = f32x4.add(s21, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 12);
    s30 = f32x4.add(s30, f32x4.mul(x0, y));
    s31 = f32x4.add(s31, f32x4.mul(x1, y));
    offsets += sizeof<usize>();
    w += 16;
  }
  const c1 = to + column;
  const c2 = c1 + column;
  const c3 = c2 + column;
  if (bias) {
    let y = v128.load32_splat(bias, 0);
    v128.store(to, f32x4.add(y, s00), 0);
    v128.store(to, f32x4.add(y, s01), 16);
    y = v128.load32_splat(bias, 4);
    v128.store(c1, f32x4.add(y, s10), 0);
    v128.store(c1, f32x4.add(y, s11), 16);
    y = v128.load32_splat(bias, 8);
    v128.store(c2, f32x4.add(y, s20), 0);
    v128.store(c2, f32x4.add(y, s21), 16);
    y = v128.load32_splat(bias, 12);
    v128.store(c3, f32x4.add(y, s30), 0);
    v128.store(c3, f32x4.add(y, s31), 16);
  } else {
    v128.store(to, f32x4.add(v128.load(to, 0), s00), 0);
    v128.store(to, f32x4.add(v128.load(to, 16), s01), 16);
    v128.store(c1, f32x4.add(v128.load(c1, 0), s10), 0);
    v128.store(c1, f32x4.add(v128.load(c1, 16), s11), 16);
    v128.store(c2, f32x4.add(v128.load(c2, 0), s20), 0);
    v128.store(c2, f32x4.add(v128.load(c2, 16), s21), 16);
    v128.store(c3, f32x4.add(v128.load(c3, 0), s30), 0);
    v128.store(c3, f32x4.add(v128.load(c3, 16), s31), 16);
  }
}

/** y = (first ? bias : y) + sums for `count` positions, `stride` bytes apart. */
@inline
function finish(sums: usize, bias: f32, y: usize, stride: usize, count: i32, first: bool): void {
  let i = 0;
  if (stride == 4) {
    const start = f32x4.splat(bias);
    for (; i + 4 <= count; i += 4) {
      v128.store(y, f32x4.add(first ? start : v128.load(y), v128.load(sums)));
      y += 16;
      sums += 16;
    }
  }
  for (; i < count; i++) {
    store<f32>(y, (first ? bias : load<f32>(y)) + load<f32>(sums));
    y += stride;
    sums += 4;
  }
}

/**
 * The convolution of convolution.ts with stepH = 1. Work item: `lines` neighbouring lines of y, with all filters of one
 * group, of one observation; items run over the lines first, then over d, groups and observations.
 * Preconditions: addresses of floats; at most 64 filters; 1 or more taps in every dimension; runChannels * taps of h, w and d <= 4096; the
 * band, runChannels * tapsD * ((lines - 1) stepW + (tapsW - 1) |spacingW| + 1) * (heightY rounded up to 48 + (tapsH - 1)
 * |spacingH|) floats, fits in 1.5 MB of working memory.
 * Tails: a line is computed in whole tiles of 8, 12 or 16 positions on zeros; only the positions of y are stored.
 * Order of summation: k ascending in runs of `runChannels` channels, each run summed from zero and added to y, which
 * starts as the bias; it depends on the numbers of taps and channels alone.
 */
export function convolveDirect(block: ConvolveDirectBlock, begin: i32, end: i32): void {
  convolveDirectTo(block, begin, end, block.y);
}

/** The same with y elsewhere. */
export function convolveDirectTo(block: ConvolveDirectBlock, begin: i32, end: i32, y: usize): void {
  const filters = block.filters;
  const tapsH = block.tapsH;
  const tapsW = block.tapsW;
  const tapsD = block.tapsD;
  const taps = tapsH * tapsW * tapsD;
  const k = taps * block.channels;
  const lineBlocks = (block.widthY + block.lines - 1) / block.lines;
  const sums = scratch;
  const zeros = sums + 256;
  const biases = zeros + 16;
  const offsets = biases + MOST_FILTERS * 4;
  const band = offsets + MOST_TAPS * sizeof<usize>();
  const tile = filters <= 2 ? 16 : filters == 3 ? 12 : 8;
  const height = (block.heightY + 47) / 48 * 48 + (tapsH - 1) * abs(block.spacingH);
  const firstH = block.offsetH + min((tapsH - 1) * block.spacingH, 0);
  const belowW = min((tapsW - 1) * block.spacingW, 0);
  const width = (block.lines - 1) * block.stepW + (tapsW - 1) * abs(block.spacingW) + 1;
  // Where each tap of a run of channels reads, in bytes.
  for (let c = 0, at = offsets; c < min(block.runChannels, block.channels); c++)
    for (let d = 0; d < tapsD; d++)
      for (let w = 0; w < tapsW; w++)
        for (let h = 0; h < tapsH; h++) {
          const line = (c * tapsD + d) * width + w * block.spacingW - belowW;
          store<usize>(at, (line * height + h * block.spacingH - (firstH - block.offsetH)) << 2);
          at += sizeof<usize>();
        }
  memory.fill(zeros, 0, 16);
  const planeX = ((block.heightX * block.widthX * block.depthX) as usize) << 2;
  const planeY = (block.planeY as usize) << 2;
  const strideH = (block.strideHY as usize) << 2;
  const panels = (filters + 3) >> 2;
  for (let item = begin; item < end; item++) {
    const w0 = (item % lineBlocks) * block.lines;
    let rest = item / lineBlocks;
    const d0 = rest % block.depthY;
    rest /= block.depthY;
    const group = rest % block.groups;
    const lines = min(block.widthY - w0, block.lines);
    for (let f = 0; f < filters; f++)
      store<f32>(biases + (f << 2), block.bias ? load<f32>(block.bias + ((group * filters + f) << 2)) : 0);
    const image = block.x + ((rest * block.channels) as usize) * planeX;
    const output = y + ((rest * filters) as usize) * planeY +
      ((block.firstY + w0 * block.strideWY + d0 * block.strideDY) << 2);
    const filterPanels = block.packed + (((group * panels) as usize) * (k as usize) << 4);
    const used = (lines - 1) * block.stepW + (tapsW - 1) * abs(block.spacingW) + 1;
    for (let c0 = 0; c0 < block.channels; c0 += block.runChannels) {
      const channels = min(block.channels - c0, block.runChannels);
      for (let c = 0; c < channels; c++)
        for (let d = 0; d < tapsD; d++) {
          const depth = d0 * block.stepD + d * block.spacingD + block.offsetD;
          for (let i = 0; i < used; i++) {
            const to = band + ((((c * tapsD + d) * width + i) * height) << 2);
            const w = w0 * block.stepW + block.offsetW + belowW + i;
            if (depth < 0 || depth >= block.depthX || w < 0 || w >= block.widthX) zeroFloats(to, height);
            else {
              const line = image + ((c0 + c) as usize) * planeX + (((depth * block.widthX + w) * block.heightX) << 2);
              copyLine(to, line, firstH, block.heightX, height);
            }
          }
        }
      const run = channels * taps;
      const first = c0 == 0;
      for (let line = 0; line < lines; line++)
        for (let h = 0; h < block.heightY; h += tile) {
          const base = band + ((line * block.stepW * height + h) << 2);
          const count = min(block.heightY - h, tile);
          for (let f = 0; f < filters; f += 4) {
            const w = filterPanels + (((f >> 2) * k + c0 * taps) << 4);
            if (filters == 1) direct16x1(base, offsets, w, run, sums);
            else if (filters == 2) direct16x2(base, offsets, w, run, sums);
            else if (filters == 3) direct12x3(base, offsets, w, run, sums);
            else {
              if (count == 8 && strideH == 4 && f + 4 <= filters) {
                const start = first ? biases + (f << 2) : 0;
                direct8x4(base, offsets, w, run, output + (f as usize) * planeY + ((line * block.strideWY + h) << 2), planeY, start);
                continue;
              }
              direct8x4(base, offsets, w, run, sums, 64, zeros);
            }
            let to = output + (f as usize) * planeY + ((line * block.strideWY + h * block.strideHY) << 2);
            for (let j = 0, wide = min(filters - f, 4); j < wide; j++) {
              finish(sums + (j << 6), load<f32>(biases + ((f + j) << 2)), to, strideH, count, first);
              to += planeY;
            }
          }
        }
    }
  }
}
