// Planes of a few elements without gaps, forward. Formulas are those of normalization.ts. Square roots and divisions serve four
// planes at once: small planes are turned round in registers (normalization-tiny-turned.ts), so that each is a lane of vectors; of
// larger ones the sums alone are (normalization-tiny-vectors.ts). Elements are shifted by the first of their plane, so that nothing cancels and float32 is enough for so
// few; fours of planes for which it is not (squares beyond its range, a first element far from the others) are done in float64.
// A lane goes through the same operations wherever its plane lies: results do not depend on which planes go together.
import { zipHigh, zipLow } from '../lanes';
import { storeTriples } from './normalization-layout';
import {
  areModerate, copyEdge, EDGE_RESULT, EDGE_STATISTICS, EDGE_X, inverseRoot, measureExactly, OFFSETS, planeInverse, planeMean,
  prepareConstants, SCALES, spreadChannels, writeStatistics,
} from './normalization-tiny-layout';
import {
  normalizeFives, normalizeFours, normalizeNines, normalizeSevens, normalizeSixes, normalizeThrees,
} from './normalization-tiny-turned';
import { normalizeMoreVectors, normalizeTwoVectors } from './normalization-tiny-vectors';
import { scratch } from '../scratch';

@unmanaged
class TinyNormalization {
  x: usize;
  /** The result; may be x itself. */
  y: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** One number per channel; 0 stands for all zeros. */
  offset: usize;
  /** [3, planes], as in normalization.ts; 0 where they are not kept. */
  statistics: usize;
  /** Elements of a plane: 1 to 64. */
  inner: i32;
  channels: i32;
  planes: i32;
  row: i32;
  together: i32;
  rows: i32;
  epsilon: f32;
}

/** Four planes in float64. */
function normalizeExactly(b: TinyNormalization, x: usize, y: usize, statistics: usize, column: usize): void {
  const bytes = <usize>b.inner << 2;
  for (let lane = 0; lane < 4; ++lane) {
    measureExactly(x, b.inner, b.epsilon);
    const factor = planeInverse * <f64>load<f32>(column, SCALES);
    const offset = <f64>load<f32>(column, OFFSETS);
    const end = x + bytes;
    for (; x < end; x += 4) {
      store<f32>(y, <f32>((<f64>load<f32>(x) - planeMean) * factor + offset));
      y += 4;
    }
    column += 4;
    if (statistics) {
      const high = <f32>planeMean;
      store<f32>(statistics, high);
      store<f32>(statistics, high - high == 0 ? <f32>(planeMean - <f64>high) : 0, 4);
      store<f32>(statistics, <f32>planeInverse, 8);
      statistics += 12;
    }
  }
}

/** Statistics of planes of one element. */
function writeOnes(x: usize, statistics: usize, count: i32, epsilon: f32): void {
  const inverse = inverseRoot(f32x4.splat(epsilon), scratch);
  for (; count > 0; count -= 4) {
    const alone = v128.load(x);
    storeTriples(statistics, alone, f32x4.sub(alone, alone), inverse);
    x += 16;
    statistics += 48;
  }
}

// The loops below test at their end and call nothing, so that the engine keeps constants and addresses in registers.

function normalizeOnes(x: usize, y: usize, column: usize, count: i32): void {
  do {
    const alone = v128.load(x);
    // not a number where it is infinite
    const nothing = f32x4.sub(alone, alone);
    v128.store(y, f32x4.add(f32x4.mul(nothing, v128.load(column, SCALES)), v128.load(column, OFFSETS)));
    x += 16;
    y += 16;
    column += 16;
    count -= 4;
  } while (count > 0);
}

// They end before four planes that float32 cannot hold, and return how many planes are left.

function normalizePairs(x: usize, y: usize, statistics: usize, column: usize, count: i32, epsilonOfAll: f32): i32 {
  const epsilon = f32x4.splat(epsilonOfAll);
  const own = scratch;
  do {
    const p = v128.load(x);
    const q = v128.load(x, 16);
    const first = v128.shuffle<f32>(p, q, 0, 2, 4, 6);
    const delta = f32x4.mul(f32x4.sub(v128.shuffle<f32>(p, q, 1, 3, 5, 7), first), f32x4.splat(0.5));
    const variance = f32x4.add(f32x4.mul(delta, delta), epsilon);
    const inverse = inverseRoot(variance, own);
    const distance = f32x4.mul(delta, f32x4.mul(inverse, v128.load(column, SCALES)));
    const offset = v128.load(column, OFFSETS);
    const below = f32x4.sub(offset, distance);
    const above = f32x4.add(offset, distance);
    if (!areModerate(variance)) break;
    if (statistics) {
      writeStatistics(statistics, first, delta, inverse);
      statistics += 48;
    }
    v128.store(y, zipLow(below, above));
    v128.store(y, zipHigh(below, above), 16);
    x += 32;
    y += 32;
    column += 16;
    count -= 4;
  } while (count > 0);
  return count;
}

/** `count` neighbouring planes, whole fours of them. */
function normalizePlanes(b: TinyNormalization, x: usize, y: usize, statistics: usize, column: usize, count: i32): void {
  const inner = b.inner;
  const epsilon = b.epsilon;
  while (count > 0) {
    let left = 0;
    if (inner == 1) {
      if (statistics) writeOnes(x, statistics, count, epsilon);
      normalizeOnes(x, y, column, count);
    } else if (inner == 2) left = normalizePairs(x, y, statistics, column, count, epsilon);
    else if (inner == 3) left = normalizeThrees(x, y, statistics, column, count, epsilon);
    else if (inner == 4) left = normalizeFours(x, y, statistics, column, count, epsilon);
    else if (inner == 5) left = normalizeFives(x, y, statistics, column, count, epsilon);
    else if (inner == 6) left = normalizeSixes(x, y, statistics, column, count, epsilon);
    else if (inner == 7) left = normalizeSevens(x, y, statistics, column, count, epsilon);
    else if (inner == 9) left = normalizeNines(x, y, statistics, column, count, epsilon);
    else if (inner < 12) left = normalizeTwoVectors(x, y, statistics, column, count, inner, epsilon);
    else left = normalizeMoreVectors(x, y, statistics, column, count, inner, epsilon);
    if (left == 0) return;
    const done = <usize>(count - left);
    x += (done * <usize>inner) << 2;
    y += (done * <usize>inner) << 2;
    if (statistics) statistics += done * 12;
    column += done << 2;
    normalizeExactly(b, x, y, statistics, column);
    x += <usize>inner << 4;
    y += <usize>inner << 4;
    if (statistics) statistics += 48;
    column += 16;
    count = left - 4;
  }
}

/** Forward. Work item: `together` columns of `rows` rows (columns first). Reads x; writes y, statistics. */
export function normalizeTiny(b: TinyNormalization, begin: i32, end: i32): void {
  const apart = <usize>b.inner << 2;
  const blocks = (b.row + b.together - 1) / b.together;
  let spread = -1;
  prepareConstants(b.inner);
  for (let item = begin; item < end; ++item) {
    const part = item / blocks;
    const first = (item - part * blocks) * b.together;
    const width = min(b.together, b.row - first);
    if (first != spread) {
      spreadChannels(b.scale, scratch + SCALES, first, width, b.channels, 1);
      spreadChannels(b.offset, scratch + OFFSETS, first, width, b.channels, 0);
      spread = first;
    }
    let plane = part * b.rows * b.row + first;
    for (let r = 0; r < b.rows && plane < b.planes; ++r) {
      const count = min(width, b.planes - plane);
      const left = count & 3;
      const whole = count - left;
      let x = b.x + <usize>plane * apart;
      let y = b.y + <usize>plane * apart;
      let statistics = b.statistics ? b.statistics + <usize>plane * 12 : 0;
      normalizePlanes(b, x, y, statistics, scratch, whole);
      if (left) {
        x += <usize>whole * apart;
        y += <usize>whole * apart;
        copyEdge(scratch + EDGE_X, x, left, apart);
        const measured = statistics ? scratch + EDGE_STATISTICS : 0;
        normalizePlanes(b, scratch + EDGE_X, scratch + EDGE_RESULT, measured, scratch + (<usize>whole << 2), 4);
        memory.copy(y, scratch + EDGE_RESULT, <usize>left * apart);
        if (statistics) memory.copy(statistics + <usize>whole * 12, measured, <usize>left * 12);
      }
      plane += b.row;
    }
  }
}
