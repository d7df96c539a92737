// Elementary functions of four float32 numbers at a time, for the other kernel families. They use additions,
// products and integer operations only, each rounded as IEEE 754 says, so that every engine and every thread gives the
// same bits (the host's Math functions do not). Coefficients are minimax fits of the functions named beside them,
// rounded to single precision. Accuracies are the largest errors found against float64 over all exponents, in units in
// the last place (ulp); test/kernels/math.test.ts repeats the measurement. NaN gives NaN; infinities, zeros and
// denormals give what the limit of the function gives.
import { joinHalves, joinLow, splat } from './lanes';

/** sum + terms * next: one Horner step. */
@inline
function horner(terms: v128, x: v128, next: f32): v128 {
  return f32x4.add(f32x4.mul(terms, x), splat(next));
}

/** 2^n for int32 lanes n in -126..127. */
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

// 1.5 * 2^23: adding it to a float below 2^22 leaves the nearest integer in the low bits.
const ROUNDER: f32 = 12582912.0;
const ROUNDER_BITS: i32 = 0x4b400000;
const LOG2_E: f32 = 1.44269504;
// ln 2 in two pieces; the first has 9 bits, so that its products with integers below 2^15 are exact.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;

/** (e^r - 1 - r) / r^2 for |r| <= ln(2)/2. */
@inline
function exponentialTail(r: v128): v128 {
  let p = horner(splat(0.000199199203), r, 0.00139472121);
  p = horner(p, r, 0.00833326112);
  p = horner(p, r, 0.0416662544);
  p = horner(p, r, 0.166666672);
  return horner(p, r, 0.5);
}

/** e^(high + low) where low is small beside 1: the sum may need more digits than one float has. */
@inline
function expOfSum(high: v128, low: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(high, splat(89.0)), splat(-110.0));
  const shifted = f32x4.add(f32x4.mul(x, splat(LOG2_E)), splat(ROUNDER));
  const n = i32x4.sub(shifted, i32x4.splat(ROUNDER_BITS));
  const whole = f32x4.sub(shifted, splat(ROUNDER));
  let r = f32x4.sub(x, f32x4.mul(whole, splat(LN2_HIGH)));
  r = f32x4.add(f32x4.sub(r, f32x4.mul(whole, splat(LN2_LOW))), low);
  const y = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), exponentialTail(r)), r), splat(1.0));
  // two factors, since 2^n itself may lie outside the normal numbers; the second product rounds once
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(f32x4.mul(y, powerOfTwo(half)), powerOfTwo(i32x4.sub(n, half)));
}

/** e^x, 1 ulp; 0 below -103.97, infinity above 88.72. */
@inline
export function exp(x: v128): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(x, splat(89.0)), splat(-110.0));
  const shifted = f32x4.add(f32x4.mul(clamped, splat(LOG2_E)), splat(ROUNDER));
  const n = i32x4.sub(shifted, i32x4.splat(ROUNDER_BITS));
  const whole = f32x4.sub(shifted, splat(ROUNDER));
  const r = f32x4.sub(f32x4.sub(clamped, f32x4.mul(whole, splat(LN2_HIGH))), f32x4.mul(whole, splat(LN2_LOW)));
  const y = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), exponentialTail(r)), r), splat(1.0));
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(f32x4.mul(y, powerOfTwo(half)), powerOfTwo(i32x4.sub(n, half)));
}

/** e^x - 1 without cancellation near 0, 2 ulp. */
@inline
export function expm1(x: v128): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(x, splat(89.0)), splat(-110.0));
  const shifted = f32x4.add(f32x4.mul(clamped, splat(LOG2_E)), splat(ROUNDER));
  const n = i32x4.sub(shifted, i32x4.splat(ROUNDER_BITS));
  const whole = f32x4.sub(shifted, splat(ROUNDER));
  const r = f32x4.sub(f32x4.sub(clamped, f32x4.mul(whole, splat(LN2_HIGH))), f32x4.mul(whole, splat(LN2_LOW)));
  const q = f32x4.add(f32x4.mul(f32x4.mul(r, r), exponentialTail(r)), r);
  const half = i32x4.shr_s(n, 1);
  const first = powerOfTwo(half);
  const second = powerOfTwo(i32x4.sub(n, half));
  const large = f32x4.mul(f32x4.mul(f32x4.add(q, splat(1.0)), first), second);
  const power = f32x4.mul(first, second);
  const small = f32x4.add(f32x4.mul(q, power), f32x4.sub(power, splat(1.0)));
  const result = v128.bitselect(large, small, i32x4.gt_s(n, i32x4.splat(25)));
  // the sum above turns -0 into 0
  return v128.bitselect(x, result, f32x4.eq(x, splat(0.0)));
}

/** Natural logarithm, 1 ulp; log(0) = -infinity, NaN below 0. */
@inline
export function log(x: v128): v128 {
  const denormal = f32x4.lt(x, splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, splat(8388608.0)), x, denormal);
  // m in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2), so that the exponent counts from there
  const offset = i32x4.sub(scaled, i32x4.splat(0x3f3504f3));
  const exponent = i32x4.shr_s(offset, 23);
  const m = i32x4.sub(scaled, i32x4.shl(exponent, 23));
  let e = f32x4.convert_i32x4_s(exponent);
  e = f32x4.sub(e, v128.and(denormal, splat(23.0)));
  const f = f32x4.sub(m, splat(1.0));
  let p = horner(splat(0.0674663864), f, -0.116756514);
  p = horner(p, f, 0.118881628);
  p = horner(p, f, -0.124055892);
  p = horner(p, f, 0.142195523);
  p = horner(p, f, -0.166679963);
  p = horner(p, f, 0.200021192);
  p = horner(p, f, -0.250000089);
  p = horner(p, f, 0.333333135);
  const f2 = f32x4.mul(f, f);
  let tail = f32x4.mul(f32x4.mul(f, f2), p);
  tail = f32x4.add(tail, f32x4.mul(e, splat(LN2_LOW)));
  tail = f32x4.sub(tail, f32x4.mul(splat(0.5), f2));
  let y = f32x4.add(f32x4.add(f, tail), f32x4.mul(e, splat(LN2_HIGH)));
  const zero = f32x4.eq(x, splat(0.0));
  y = v128.bitselect(splat(-Infinity), y, zero);
  // infinity and NaN pass through
  y = v128.bitselect(y, f32x4.add(x, x), f32x4.lt(x, splat(Infinity)));
  return v128.bitselect(splat(NaN), y, f32x4.lt(x, splat(0.0)));
}

/** log(1 + x) without cancellation near 0, 2 ulp. */
@inline
export function log1p(x: v128): v128 {
  const u = f32x4.add(x, splat(1.0));
  // what the rounding of 1 + x lost, to first order
  const lost = f32x4.div(f32x4.sub(f32x4.sub(u, splat(1.0)), x), u);
  const rounded = log(u);
  const direct = v128.or(f32x4.eq(u, splat(0.0)), f32x4.eq(u, splat(Infinity)));
  const result = f32x4.sub(rounded, v128.andnot(lost, direct));
  return v128.bitselect(x, result, f32x4.lt(f32x4.abs(x), splat(1e-8)));
}

/** log(1 + e^x), 2 ulp: max(x, 0) + log1p(e^-|x|). */
@inline
export function softplus(x: v128): v128 {
  const tail = log1p(exp(f32x4.neg(f32x4.abs(x))));
  // x where x is NaN
  const positive = v128.bitselect(splat(0.0), x, f32x4.lt(x, splat(0.0)));
  return f32x4.add(positive, tail);
}

/** Hyperbolic tangent, 2 ulp: m / (m + 2) with m = e^(2|x|) - 1. */
@inline
export function tanh(x: v128): v128 {
  const magnitude = f32x4.pmin(f32x4.abs(x), splat(10.0));
  const m = expm1(f32x4.add(magnitude, magnitude));
  const y = f32x4.div(m, f32x4.add(m, splat(2.0)));
  return v128.bitselect(x, y, splat(-0.0));
}

/** 1 / (1 + e^-x), 2 ulp also where the result is denormal. */
@inline
export function sigmoid(x: v128): v128 {
  const e = exp(f32x4.neg(f32x4.abs(x)));
  const upper = f32x4.div(splat(1.0), f32x4.add(splat(1.0), e));
  return v128.bitselect(f32x4.mul(e, upper), upper, f32x4.lt(x, splat(0.0)));
}

/** Φ(-a) e^(a²/2) for a in 0..14.5, a polynomial in 1 / (1 + 0.3 a). */
@inline
function scaledTail(a: v128): v128 {
  const u = f32x4.div(splat(1.0), horner(splat(0.3), a, 1.0));
  let p = horner(splat(-0.0200209673), u, 0.108896874);
  p = horner(p, u, -0.21910347);
  p = horner(p, u, 0.178274646);
  p = horner(p, u, -0.066670038);
  p = horner(p, u, 0.088165991);
  p = horner(p, u, 0.0817479566);
  p = horner(p, u, 0.109302491);
  p = horner(p, u, 0.119735479);
  p = horner(p, u, 0.119670339);
  return horner(p, u, 7.05945070e-7);
}

/** e^(-t²/2): t² needs more digits than a float, so it is split into the square of t's upper half and the rest. */
@inline
function gaussian(t: v128): v128 {
  const upper = v128.and(t, i32x4.splat(0xfffff000));
  const rest = f32x4.mul(f32x4.sub(t, upper), f32x4.add(t, upper));
  return expOfSum(f32x4.mul(f32x4.mul(upper, upper), splat(-0.5)), f32x4.mul(rest, splat(-0.5)));
}

/** Density of the standard normal distribution, e^(-x²/2) / sqrt(2 pi), 2 ulp. */
@inline
export function normalDensity(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), splat(16.0));
  return f32x4.mul(gaussian(a), splat(0.39894228));
}

/** Φ(x), the distribution function of the standard normal distribution, 5 ulp also in the lower tail. */
@inline
export function normalDistribution(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), splat(14.5));
  const lower = f32x4.mul(gaussian(a), scaledTail(a));
  return v128.bitselect(lower, f32x4.sub(splat(1.0), lower), f32x4.lt(x, splat(0.0)));
}

// Angles are reduced to |r| <= pi/4 in float64: x = n pi/2 + r. pi/2 in two pieces; the first has 25 bits, so that its
// products with n < 2^28 are exact.
const TWO_OVER_PI: f64 = 0.6366197723675814;
const HALF_PI_HIGH: f64 = 1.5707963109016418;
const HALF_PI_LOW: f64 = 1.5893254773528196e-8;
const REDUCIBLE: f32 = 268435456.0;

/** 32 bits of 2/pi, from the binary point on. */
function twoOverPiBits(word: i32): u64 {
  switch (word) {
    case 0:
      return 0xa2f9836e;
    case 1:
      return 0x4e441529;
    case 2:
      return 0xfc2757d1;
    case 3:
      return 0xf534ddc0;
    case 4:
      return 0xdb629599;
    case 5:
      return 0x3c439041;
    default:
      return 0xfe5163ab;
  }
}

let largeQuadrant: i32 = 0;

/** r for |x| >= 2^28, by the product of x's 24 bits with the 96 bits of 2/pi that decide it; n to `largeQuadrant`. */
function reduceLarge(x: f32): f32 {
  const bits = reinterpret<u32>(x);
  const exponent = <i32>((bits >> 23) & 255);
  if (exponent == 255) return NaN;
  const m = <u64>((bits & 0x7fffff) | 0x800000);
  // x = m 2^e; quarter turns beyond 4 do not matter, so the product starts two bits before the binary point
  const skip = exponent - 150 - 2;
  const word = skip >> 5;
  const shift = <u64>(skip & 31);
  const a = (((twoOverPiBits(word) << 32) | twoOverPiBits(word + 1)) << shift) >> 32;
  const b = (((twoOverPiBits(word + 1) << 32) | twoOverPiBits(word + 2)) << shift) >> 32;
  const c = (((twoOverPiBits(word + 2) << 32) | twoOverPiBits(word + 3)) << shift) >> 32;
  const low = m * c;
  const middle = m * b + (low >> 32);
  const high = m * a + (middle >> 32);
  const product = (high << 32) | (middle & 0xffffffff);
  const quadrant = <i32>(product >> 62) + <i32>((product >> 61) & 1);
  const r = <f64>(<i64>(product << 2)) * (1.5707963267948966 / 18446744073709551616.0);
  const negative = x < 0;
  largeQuadrant = negative ? -quadrant : quadrant;
  return <f32>(negative ? -r : r);
}

/** sin(x + quadrants pi/2), 2 ulp for every finite x; NaN for infinities. */
function sinOfTurned(x: v128, quadrants: i32): v128 {
  const first = f64x2.promote_low_f32x4(x);
  const second = f64x2.promote_low_f32x4(i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  const n1 = f64x2.nearest(f64x2.mul(first, f64x2.splat(TWO_OVER_PI)));
  const n2 = f64x2.nearest(f64x2.mul(second, f64x2.splat(TWO_OVER_PI)));
  const r1 = f64x2.sub(f64x2.sub(first, f64x2.mul(n1, f64x2.splat(HALF_PI_HIGH))), f64x2.mul(n1, f64x2.splat(HALF_PI_LOW)));
  const r2 = f64x2.sub(f64x2.sub(second, f64x2.mul(n2, f64x2.splat(HALF_PI_HIGH))), f64x2.mul(n2, f64x2.splat(HALF_PI_LOW)));
  let r = joinHalves(r1, r2);
  let n = joinLow(i32x4.trunc_sat_f64x2_s_zero(n1), i32x4.trunc_sat_f64x2_s_zero(n2));
  const large = f32x4.ge(f32x4.abs(x), splat(REDUCIBLE));
  if (v128.any_true(large)) {
    if (i32x4.extract_lane(large, 0)) {
      r = f32x4.replace_lane(r, 0, reduceLarge(f32x4.extract_lane(x, 0)));
      n = i32x4.replace_lane(n, 0, largeQuadrant);
    }
    if (i32x4.extract_lane(large, 1)) {
      r = f32x4.replace_lane(r, 1, reduceLarge(f32x4.extract_lane(x, 1)));
      n = i32x4.replace_lane(n, 1, largeQuadrant);
    }
    if (i32x4.extract_lane(large, 2)) {
      r = f32x4.replace_lane(r, 2, reduceLarge(f32x4.extract_lane(x, 2)));
      n = i32x4.replace_lane(n, 2, largeQuadrant);
    }
    if (i32x4.extract_lane(large, 3)) {
      r = f32x4.replace_lane(r, 3, reduceLarge(f32x4.extract_lane(x, 3)));
      n = i32x4.replace_lane(n, 3, largeQuadrant);
    }
  }
  n = i32x4.add(n, i32x4.splat(quadrants));
  const s = f32x4.mul(r, r);
  let sine = horner(splat(-0.000195087414), s, 0.0083321128);
  sine = horner(sine, s, -0.166666538);
  sine = f32x4.add(r, f32x4.mul(f32x4.mul(r, s), sine));
  let cosine = horner(splat(2.44312050e-5), s, -0.0013887306);
  cosine = horner(cosine, s, 0.0416666456);
  cosine = f32x4.add(f32x4.sub(splat(1.0), f32x4.mul(s, splat(0.5))), f32x4.mul(f32x4.mul(s, s), cosine));
  const odd = i32x4.ne(v128.and(n, i32x4.splat(1)), i32x4.splat(0));
  const sign = i32x4.shl(v128.and(n, i32x4.splat(2)), 30);
  return v128.xor(v128.bitselect(cosine, sine, odd), sign);
}

/** sin(x), x in radians, 2 ulp. */
@inline
export function sin(x: v128): v128 {
  return v128.bitselect(x, sinOfTurned(x, 0), f32x4.eq(x, splat(0.0)));
}

/** cos(x), x in radians, 2 ulp. */
@inline
export function cos(x: v128): v128 {
  return sinOfTurned(x, 1);
}

/** tan(x), x in radians, 3 ulp. */
@inline
export function tan(x: v128): v128 {
  return v128.bitselect(x, f32x4.div(sinOfTurned(x, 0), sinOfTurned(x, 1)), f32x4.eq(x, splat(0.0)));
}

/** 2^(y log2 a) for two positive numbers in float64, so that the error of the logarithm does not grow with y. */
@inline
function powerOfPositive(a: v128, y: v128): v128 {
  // a = m 2^e with m in [sqrt(1/2), sqrt(2)); floats promoted to float64 are never denormal
  const offset = i64x2.sub(a, i64x2.splat(0x3fe6a09e667f3bcd));
  const exponent = i64x2.shr_s(offset, 52);
  const m = i64x2.sub(a, i64x2.shl(exponent, 52));
  // the exponent as a float64: 2^52 + 2^51 + e in integer arithmetic
  const e = f64x2.sub(i64x2.add(exponent, i64x2.splat(0x4338000000000000)), f64x2.splat(6755399441055744.0));
  const s = f64x2.div(f64x2.sub(m, f64x2.splat(1.0)), f64x2.add(m, f64x2.splat(1.0)));
  const s2 = f64x2.mul(s, s);
  let p = f64x2.add(f64x2.mul(f64x2.splat(0.28333839225545393), s2), f64x2.splat(0.31987633417378225));
  p = f64x2.add(f64x2.mul(p, s2), f64x2.splat(0.4122099325044632));
  p = f64x2.add(f64x2.mul(p, s2), f64x2.splat(0.5770779360368726));
  p = f64x2.add(f64x2.mul(p, s2), f64x2.splat(0.9617966941335088));
  p = f64x2.add(f64x2.mul(p, s2), f64x2.splat(2.88539008177784));
  let t = f64x2.mul(y, f64x2.add(e, f64x2.mul(s, p)));
  t = f64x2.pmax(f64x2.pmin(t, f64x2.splat(200.0)), f64x2.splat(-200.0));
  const shifted = f64x2.add(t, f64x2.splat(6755399441055744.0));
  const n = i64x2.sub(shifted, i64x2.splat(0x4338000000000000));
  const r = f64x2.sub(t, f64x2.sub(shifted, f64x2.splat(6755399441055744.0)));
  let q = f64x2.add(f64x2.mul(f64x2.splat(1.3265076415526075e-6), r), f64x2.splat(1.5311236495490325e-5));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.00015403406679562236));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.001333344618461084));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.009618129236100274));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.05550410945818815));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.24022650695430098));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(0.6931471805447689));
  q = f64x2.add(f64x2.mul(q, r), f64x2.splat(1.0));
  return f64x2.mul(q, i64x2.shl(i64x2.add(n, i64x2.splat(1023)), 52));
}

@inline
function upperHalf(x: v128): v128 {
  return i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
}

function powerOf(x: v128, y: v128): v128 {
  const zero = splat(0.0);
  const one = splat(1.0);
  const infinity = splat(Infinity);
  const a = f32x4.abs(x);
  const low = powerOfPositive(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(y));
  const high = powerOfPositive(f64x2.promote_low_f32x4(upperHalf(a)), f64x2.promote_low_f32x4(upperHalf(y)));
  let result = joinHalves(low, high);
  // a = 0 and a = infinity: 0 or infinity, by the sign of y
  const grows = v128.xor(f32x4.gt(y, zero), f32x4.eq(a, zero));
  const edge = v128.or(f32x4.eq(a, zero), f32x4.eq(a, infinity));
  result = v128.bitselect(v128.and(infinity, grows), result, edge);
  // y = ±infinity: by whether a is above 1
  const endless = f32x4.eq(f32x4.abs(y), infinity);
  const above = v128.xor(f32x4.gt(a, one), f32x4.lt(y, zero));
  result = v128.bitselect(v128.and(infinity, above), result, endless);
  result = v128.bitselect(one, result, v128.and(endless, f32x4.eq(a, one)));
  // negative x, -0 included: y must be whole, and odd y keep the sign
  const whole = f32x4.eq(f32x4.nearest(y), y);
  const halved = f32x4.mul(y, splat(0.5));
  const odd = v128.and(whole, f32x4.ne(f32x4.nearest(halved), halved));
  const signed = v128.and(x, splat(-0.0));
  result = v128.bitselect(v128.or(result, signed), result, odd);
  const undefinedRoot = v128.and(v128.andnot(f32x4.lt(x, zero), whole), f32x4.lt(a, infinity));
  result = v128.bitselect(splat(NaN), result, undefinedRoot);
  result = v128.bitselect(f32x4.add(x, y), result, v128.or(f32x4.ne(x, x), f32x4.ne(y, y)));
  return v128.bitselect(one, result, v128.or(f32x4.eq(y, zero), f32x4.eq(x, one)));
}

/** x^y, 1 ulp. x^0 = 1 and 1^y = 1 for every x and y; NaN where x < 0 and y is not whole. */
@inline
export function power(x: v128, y: v128): v128 {
  return powerOf(x, y);
}
