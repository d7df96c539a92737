// What the blocks of several families of convolutions have in common. Arrays are float32, column-major, with up to three dimensions
// h, w and d: x [h, w, d, channels, groups, observations], y [h, w, d, filters, groups, observations]. Position u of y meets tap t at
// position u * step + t * spacing + offset of x; what lies outside x is zero. Strides are in elements.

/** Forward, and the gradient for the input. */
@unmanaged export class ConvolutionFields {
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
  stepH: i32;
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
}

/** The gradient for the filters. */
@unmanaged export class FilterGradientFields {
  x: usize;
  dy: usize; // [h, w, d, filters, groups, observations]
  partials: usize; // splits partial sums: groups * filters2 * k4 floats each, filters rounded up to 2 and k to a multiple of 4
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32;
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
  lines: i32; // lines of dy (along h) that share a band
  splits: i32; // into how many partial sums the observations, or their bands, are cut; a function of the sizes alone
}
