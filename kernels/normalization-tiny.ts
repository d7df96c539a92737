// Planes of a few elements without gaps, hundreds at a time: they are turned round in working memory, so that each plane is a
// column, go through normalization-columns.ts, and are turned round again on their way out.
import { COLUMNS, kept, keptPitch } from './normalization-columns';

/** Largest plane that goes this way; larger ones fill vectors of their own well enough. */
const LARGEST: i32 = 48;

/** Whether planes go this way. */
@inline
export function areTiny<B>(b: B): bool {
  return b.outer == 1 && b.groupChannels == 1 && b.inner > 0 && b.inner <= LARGEST;
}

/** Planes that go together. */
export const PLANES_TOGETHER: i32 = COLUMNS;

/** Planes of `inner` elements at `from` to columns in working memory, behind `skip` bytes. */
export function turnPlanes(from: usize, inner: i32, planes: i32, skip: usize): void {
  const pitch = keptPitch(planes);
  const apart = <usize>inner << 2;
  let column = kept() + skip;
  let left = planes;
  for (; left >= 4; left -= 4) {
    let x = from;
    let to = column;
    let i = inner;
    for (; i >= 4; i -= 4) {
      const a = v128.load(x);
      const b = v128.load(x + apart);
      const c = v128.load(x + 2 * apart);
      const d = v128.load(x + 3 * apart);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
      v128.store(to + pitch, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
      v128.store(to + 2 * pitch, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5));
      v128.store(to + 3 * pitch, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7));
      x += 16;
      to += 4 * pitch;
    }
    for (; i > 0; --i) {
      let lanes = v128.load32_zero(x);
      lanes = v128.load_lane<f32>(x + apart, lanes, 1);
      lanes = v128.load_lane<f32>(x + 2 * apart, lanes, 2);
      lanes = v128.load_lane<f32>(x + 3 * apart, lanes, 3);
      v128.store(to, lanes);
      x += 4;
      to += pitch;
    }
    from += 4 * apart;
    column += 16;
  }
  for (; left > 0; --left) {
    let to = column;
    for (let i = 0; i < inner; ++i) {
      store<f32>(to, load<f32>(from));
      from += 4;
      to += pitch;
    }
    column += 4;
  }
}

/** Columns in working memory, behind `skip` bytes, back to planes at `to`. */
export function turnBack(to: usize, inner: i32, planes: i32, skip: usize): void {
  const pitch = keptPitch(planes);
  const apart = <usize>inner << 2;
  let column = kept() + skip;
  let left = planes;
  for (; left >= 4; left -= 4) {
    let from = column;
    let y = to;
    let i = inner;
    for (; i >= 4; i -= 4) {
      const a = v128.load(from);
      const b = v128.load(from + pitch);
      const c = v128.load(from + 2 * pitch);
      const d = v128.load(from + 3 * pitch);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(y, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
      v128.store(y + apart, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
      v128.store(y + 2 * apart, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5));
      v128.store(y + 3 * apart, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7));
      from += 4 * pitch;
      y += 16;
    }
    for (; i > 0; --i) {
      const lanes = v128.load(from);
      v128.store_lane<f32>(y, lanes, 0);
      v128.store_lane<f32>(y + apart, lanes, 1);
      v128.store_lane<f32>(y + 2 * apart, lanes, 2);
      v128.store_lane<f32>(y + 3 * apart, lanes, 3);
      from += pitch;
      y += 4;
    }
    to += 4 * apart;
    column += 16;
  }
  for (; left > 0; --left) {
    let from = column;
    for (let i = 0; i < inner; ++i) {
      store<f32>(to, load<f32>(from));
      from += pitch;
      to += 4;
    }
    column += 4;
  }
}
