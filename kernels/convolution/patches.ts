// The patches of an image that the windows of a convolution see, packed for the products in convolution.ts and
// convolution-gradient.ts: the left operand patches[position, k] with k running over the taps (h fastest) and then the
// channels. It exists only in blocks, in the working memory of a thread.
import { copyFloats, zeroFloats } from '../products/tile';

// Runs of positions that lie side by side in one line of y, for the block of positions in hand.
// Each run is 8 integers: place in the block, length, h of its first position, w, d (already as coordinates in x
// before spacing is added), observation, and two spare.
export const RUN_BYTES: usize = 32;

/** Writes the runs of `count` positions from `first` on to `runs`, and gives their number. */
export function findRuns(runs: usize, first: i32, count: i32, height: i32, width: i32, depth: i32): i32 {
  let h = first % height;
  let rest = first / height;
  let w = rest % width;
  rest /= width;
  let d = rest % depth;
  let n = rest / depth;
  let place = 0;
  let run = runs;
  let runCount = 0;
  while (place < count) {
    const length = min(height - h, count - place);
    store<i32>(run, place, 0);
    store<i32>(run, length, 4);
    store<i32>(run, h, 8);
    store<i32>(run, w, 12);
    store<i32>(run, d, 16);
    store<i32>(run, n, 20);
    run += RUN_BYTES;
    runCount++;
    place += length;
    h = 0;
    if (++w == width) {
      w = 0;
      if (++d == depth) {
        d = 0;
        n++;
      }
    }
  }
  return runCount;
}

/** Lines k0 .. k0+k of the patches of these runs: line k at to + k * line bytes, one float per position. */
export function packPatches(
  runs: usize, runCount: i32, x: usize, channels: i32, heightX: i32, widthX: i32, depthX: i32, planes: i32,
  tapsH: i32, tapsW: i32, tapsD: i32, stepH: i32, stepW: i32, stepD: i32,
  spacingH: i32, spacingW: i32, spacingD: i32, offsetH: i32, offsetW: i32, offsetD: i32,
  k0: i32, k: i32, to: usize, line: usize, count: i32, padded: i32,
): void {
  const planeBytes = ((heightX * widthX * depthX) as usize) << 2;
  const tap0 = k0 % tapsH;
  let rest = k0 / tapsH;
  const tapW0 = rest % tapsW;
  rest /= tapsW;
  const tapD0 = rest % tapsD;
  const c0 = rest / tapsD;
  for (let r = 0, run = runs; r < runCount; r++, run += RUN_BYTES) {
    const length = load<i32>(run, 4);
    const firstH = load<i32>(run, 8) * stepH + offsetH;
    const firstW = load<i32>(run, 12) * stepW + offsetW;
    const firstD = load<i32>(run, 16) * stepD + offsetD;
    // Whether every tap of every position of the run is inside in the direction h.
    const reach = firstH + (tapsH - 1) * spacingH;
    const last = (length - 1) * stepH;
    const inside = min(firstH, reach) >= 0 && max(firstH, reach) + last < heightX;
    const image = x + (load<i32>(run, 20) as usize) * (planes as usize) * planeBytes;
    let at = to + ((load<i32>(run, 0) as usize) << 2);
    let left = k;
    let tapH = tap0;
    let tapW = tapW0;
    let tapD = tapD0;
    let plane = image + (c0 as usize) * planeBytes;
    while (left > 0) {
      const taps = min(tapsH - tapH, left);
      const w = firstW + tapW * spacingW;
      const d = firstD + tapD * spacingD;
      if (w < 0 || w >= widthX || d < 0 || d >= depthX) {
        for (let t = 0; t < taps; t++) {
          zeroFloats(at, length);
          at += line;
        }
      } else {
        const row = plane + (((d * widthX + w) * heightX) << 2);
        let h = firstH + tapH * spacingH;
        if (inside && stepH == 1) {
          let from = row + (h << 2);
          const next = spacingH << 2;
          if (length >= 4) {
            const final = ((length - 4) as usize) << 2;
            for (let t = 0; t < taps; t++) {
              for (let i: usize = 0; i < final; i += 16) v128.store(at + i, v128.load(from + i));
              v128.store(at + final, v128.load(from + final));
              from += next;
              at += line;
            }
          } else {
            for (let t = 0; t < taps; t++) {
              for (let i = 0; i < length; i++) store<f32>(at + (i << 2), load<f32>(from + (i << 2)));
              from += next;
              at += line;
            }
          }
        } else {
          for (let t = 0; t < taps; t++) {
            // Positions lo..hi of the run are inside: 0 <= h + i stepH < heightX.
            let lo = h >= 0 ? 0 : (-h + stepH - 1) / stepH;
            let hi = h < heightX ? (heightX - 1 - h) / stepH + 1 : 0;
            lo = min(lo, length);
            hi = max(min(hi, length), lo);
            if (lo > 0) zeroFloats(at, lo);
            if (stepH == 1) {
              if (hi > lo) copyFloats(at + (lo << 2), row + ((h + lo) << 2), hi - lo);
            } else {
              let from = row + ((h + lo * stepH) << 2);
              const next = stepH << 2;
              for (let i = lo; i < hi; i++) {
                store<f32>(at + (i << 2), load<f32>(from));
                from += next;
              }
            }
            if (hi < length) zeroFloats(at + (hi << 2), length - hi);
            h += spacingH;
            at += line;
          }
        }
      }
      left -= taps;
      tapH = 0;
      if (++tapW == tapsW) {
        tapW = 0;
        if (++tapD == tapsD) {
          tapD = 0;
          plane += planeBytes;
        }
      }
    }
  }
  if (padded > count)
    for (let i = 0, at = to + ((count as usize) << 2); i < k; i++, at += line) zeroFloats(at, padded - count);
}
