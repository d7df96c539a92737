// The transforms of Winograd's minimal filtering F(4, 5): 4 positions of y from 8 neighbours of x and 5 taps by polynomials
// evaluated at 0, 1, -1, 2, -2, 1/2, -1/2 and infinity. In one dimension
//
//   y = A' [(G g) .* (B' x)],   dg = G' [(A dy) .* (B' x)]
//
// A and B are exact in binary; in G g the factors of the points are collected and rounded once. Source: Lavin, Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2016; points: Barabasz, Anderson, Soodhalter, Gregg, "Error Analysis and
// Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020.

export const POINTS: i32 = 8;

/** The eight values B' d, `pitch` bytes apart. */
@inline
export function imagePoints(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, d6: v128, d7: v128, to: usize, pitch: usize): void {
  const outer = f32x4.splat(5.25);
  const quarter = f32x4.splat(0.25);
  const half = f32x4.splat(0.5);
  const two = f32x4.splat(2);
  v128.store(to, f32x4.add(f32x4.sub(d0, d6), f32x4.mul(outer, f32x4.sub(d4, d2))));
  to += pitch;
  let even = f32x4.sub(f32x4.add(d2, d6), f32x4.mul(f32x4.splat(4.25), d4));
  let odd = f32x4.sub(f32x4.add(d1, d5), f32x4.mul(f32x4.splat(4.25), d3));
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  const m = f32x4.mul(f32x4.splat(2.5), d3);
  even = f32x4.sub(f32x4.add(d6, f32x4.mul(quarter, d2)), f32x4.mul(f32x4.splat(1.25), d4));
  odd = f32x4.sub(f32x4.add(f32x4.mul(two, d5), f32x4.mul(half, d1)), m);
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  even = f32x4.sub(f32x4.add(d6, f32x4.mul(f32x4.splat(4), d2)), f32x4.mul(f32x4.splat(5), d4));
  odd = f32x4.sub(f32x4.add(f32x4.mul(half, d5), f32x4.mul(two, d1)), m);
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  v128.store(to, f32x4.add(f32x4.sub(d7, d1), f32x4.mul(outer, f32x4.sub(d3, d5))));
}

/** The eight values A y, `pitch` bytes apart. */
@inline
export function positionPoints(y0: v128, y1: v128, y2: v128, y3: v128, to: usize, pitch: usize): void {
  const four = f32x4.splat(4);
  const quarter = f32x4.splat(0.25);
  v128.store(to, y0);
  to += pitch;
  let even = f32x4.add(y0, y2);
  let odd = f32x4.add(y1, y3);
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  even = f32x4.add(y0, f32x4.mul(four, y2));
  odd = f32x4.mul(f32x4.splat(2), f32x4.add(y1, f32x4.mul(four, y3)));
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  even = f32x4.add(y0, f32x4.mul(quarter, y2));
  odd = f32x4.mul(f32x4.splat(0.5), f32x4.add(y1, f32x4.mul(quarter, y3)));
  v128.store(to, f32x4.add(even, odd));
  to += pitch;
  v128.store(to, f32x4.sub(even, odd));
  to += pitch;
  v128.store(to, y3);
}

/** The eight values G g in float64, `pitch` bytes apart. */
@inline
export function filterPoints(g0: f64, g1: f64, g2: f64, g3: f64, g4: f64, to: usize, pitch: usize): void {
  let even = (g0 + g2 + g4) * (-2.0 / 9.0);
  let odd = (g1 + g3) * (-2.0 / 9.0);
  store<f64>(to, g0);
  to += pitch;
  store<f64>(to, even + odd);
  to += pitch;
  store<f64>(to, even - odd);
  to += pitch;
  even = (g0 + 4 * g2 + 16 * g4) * (1.0 / 90.0);
  odd = (2 * g1 + 8 * g3) * (1.0 / 90.0);
  store<f64>(to, even + odd);
  to += pitch;
  store<f64>(to, even - odd);
  to += pitch;
  even = (16 * g0 + 4 * g2 + g4) * (2.0 / 45.0);
  odd = (8 * g1 + 2 * g3) * (2.0 / 45.0);
  store<f64>(to, even + odd);
  to += pitch;
  store<f64>(to, even - odd);
  to += pitch;
  store<f64>(to, g4);
}

/** The five values G' p of eight, both `pitch` bytes apart, in float64; they may take the place of the first five. */
@inline
export function filterGradient(from: usize, pitch: usize): void {
  const p1 = load<f64>(from + pitch) * (-2.0 / 9.0);
  const p2 = load<f64>(from + 2 * pitch) * (-2.0 / 9.0);
  const p3 = load<f64>(from + 3 * pitch) * (1.0 / 90.0);
  const p4 = load<f64>(from + 4 * pitch) * (1.0 / 90.0);
  const p5 = load<f64>(from + 5 * pitch) * (2.0 / 45.0);
  const p6 = load<f64>(from + 6 * pitch) * (2.0 / 45.0);
  store<f64>(from, load<f64>(from) + (p1 + p2) + (p3 + p4) + 16 * (p5 + p6));
  store<f64>(from + pitch, p1 - p2 + 2 * (p3 - p4) + 8 * (p5 - p6));
  store<f64>(from + 2 * pitch, p1 + p2 + 4 * (p3 + p4) + 4 * (p5 + p6));
  store<f64>(from + 3 * pitch, p1 - p2 + 8 * (p3 - p4) + 2 * (p5 - p6));
  store<f64>(from + 4 * pitch, p1 + p2 + 16 * (p3 + p4) + (p5 + p6) + load<f64>(from + 7 * pitch));
}
