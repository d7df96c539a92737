// Observations of a data set, chosen by their numbers, become a mini-batch: numbers of any kind as float32, one behind the other.

@unmanaged
class Gather {
  /** Address of the data set's first element, of the kind that `kind` says. */
  x: usize;
  /** Float32 [inner, observations, outer]. */
  y: usize;
  /** Numbers of the observations, int32; 0: those from `first` on. */
  order: usize;
  /** Place of each element of an observation, [inner, outer], behind its first one, int32; 0: one behind the other. */
  offsets: usize;
  first: i32;
  /** Elements from one observation to the next. */
  step: i32;
  inner: i32;
  observations: i32;
  /** Uint8 0, int8 1, uint16 2, int16 3, uint32 4, int32 5, float32 6, float64 7. */
  kind: i32;
}

/** Four elements as floats, each rounded to the nearest. */
@inline
function fourOf<T>(x: usize): v128 {
  if (isFloat<T>()) {
    if (sizeof<T>() == 4) return v128.load(x);
    const low = f32x4.demote_f64x2_zero(v128.load(x));
    return v128.shuffle<f64>(low, f32x4.demote_f64x2_zero(v128.load(x, 16)), 0, 2);
  }
  if (sizeof<T>() == 4) {
    if (isSigned<T>()) return f32x4.convert_i32x4_s(v128.load(x));
    return f32x4.convert_i32x4_u(v128.load(x));
  }
  if (sizeof<T>() == 2) {
    if (isSigned<T>()) return f32x4.convert_i32x4_s(v128.load_ext<i16>(x));
    return f32x4.convert_i32x4_s(v128.load_ext<u16>(x));
  }
  if (isSigned<T>()) return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(x))));
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(x))));
}

function gatherAs<T>(b: Gather, begin: i32, end: i32): void {
  const inner = b.inner;
  const observations = b.observations;
  const offsets = b.offsets;
  for (let item = begin; item < end; ++item) {
    const place = item % observations;
    const observation = b.order != 0 ? load<u32>(b.order + (<usize>place << 2)) : <u32>(b.first + place);
    let x = b.x + <usize>observation * <usize>b.step * sizeof<T>();
    let y = b.y + ((<usize>item * <usize>inner) << 2);
    const last = y + (<usize>inner << 2);
    const skipped = <usize>(item / observations) * <usize>inner;
    if (offsets != 0) {
      for (let offset = offsets + (skipped << 2); y < last; y += 4) {
        store<f32>(y, <f32>load<T>(x + <usize>load<u32>(offset) * sizeof<T>()));
        offset += 4;
      }
      continue;
    }
    x += skipped * sizeof<T>();
    for (; y + 16 <= last; y += 16) {
      v128.store(y, fourOf<T>(x));
      x += 4 * sizeof<T>();
    }
    for (; y < last; y += 4) {
      store<f32>(y, <f32>load<T>(x));
      x += sizeof<T>();
    }
  }
}

/** y = the elements of the observations asked for. Work item: `inner` elements of an observation, observations first. */
export function gather(b: Gather, begin: i32, end: i32): void {
  switch (b.kind) {
    case 0:
      gatherAs<u8>(b, begin, end);
      break;
    case 1:
      gatherAs<i8>(b, begin, end);
      break;
    case 2:
      gatherAs<u16>(b, begin, end);
      break;
    case 3:
      gatherAs<i16>(b, begin, end);
      break;
    case 4:
      gatherAs<u32>(b, begin, end);
      break;
    case 5:
      gatherAs<i32>(b, begin, end);
      break;
    case 6:
      gatherAs<f32>(b, begin, end);
      break;
    default:
      gatherAs<f64>(b, begin, end);
  }
}
