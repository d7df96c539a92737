// The windows of a pooling over one to three dimensions.
//
// x is float32 [height, width, depth, planes], y is [outHeight, outWidth, outDepth, planes], column-major; sizes are 1
// for dimensions that are not pooled, and a plane is a channel of an observation. Window o of a dimension covers the
// positions o * stride - padding ... o * stride - padding + pool - 1; those outside x are padding.

@unmanaged
export class Windows {
  height: i32;
  width: i32;
  depth: i32;
  outHeight: i32;
  outWidth: i32;
  outDepth: i32;
  poolHeight: i32;
  poolWidth: i32;
  poolDepth: i32;
  strideHeight: i32;
  strideWidth: i32;
  strideDepth: i32;
  /** Before the first element; what is behind the last follows from the sizes. */
  paddingHeight: i32;
  paddingWidth: i32;
  paddingDepth: i32;
  /** Average pooling: 1 to divide by the number of elements inside x. */
  excludePadding: i32;
}

@inline
export function address(base: usize, index: i32): usize {
  return base + (<usize>index << 2);
}

@inline
export function insideDimension(index: i32, size: i32): bool {
  return <u32>index < <u32>size;
}

/** Elements 0, stride, 2 stride, 3 stride; stride is 1 or 2. Reads nothing behind the last of them. */
@inline
export function loadEvery(at: usize, stride: i32): v128 {
  const first = v128.load(at);
  if (stride == 1) return first;
  return v128.shuffle<f32>(first, v128.load(at, 12), 0, 2, 5, 7);
}

/** The first window of a dimension that does not reach into the padding before it. */
@inline
export function firstInside(padding: i32, stride: i32): i32 {
  return (padding + stride - 1) / stride;
}

/** One behind the last window that does not reach into the padding after it. */
@inline
export function endInside(size: i32, pool: i32, stride: i32, padding: i32, out: i32): i32 {
  const room = size - pool + padding;
  return room < 0 ? 0 : min(room / stride + 1, out);
}

@inline
export function isTwoByTwo(b: Windows): bool {
  return (
    b.poolHeight == 2 &&
    b.poolWidth == 2 &&
    b.poolDepth == 1 &&
    b.strideHeight == 2 &&
    b.strideWidth == 2 &&
    b.strideDepth == 1 &&
    b.paddingHeight == 0 &&
    b.paddingWidth == 0 &&
    b.paddingDepth == 0 &&
    b.outHeight * 2 <= b.height &&
    b.outWidth * 2 <= b.width &&
    b.outDepth == b.depth
  );
}

/** One window without padding that is all of x. */
@inline
export function isWhole(b: Windows): bool {
  return (
    b.poolHeight == b.height &&
    b.poolWidth == b.width &&
    b.poolDepth == b.depth &&
    b.outHeight == 1 &&
    b.outWidth == 1 &&
    b.outDepth == 1 &&
    b.paddingHeight == 0 &&
    b.paddingWidth == 0 &&
    b.paddingDepth == 0
  );
}
