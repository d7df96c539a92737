/**
 * Φ(x), the distribution function of the standard normal distribution, in double precision; exact to a few units in the
 * last place also in the lower tail.
 *
 * Near the centre by the series Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + ...), elsewhere by the continued fraction of
 * Mills' ratio, Φ(-a) = φ(a) / (a + 1/(a + 2/(a + 3/(a + ...)))). Source: Abramowitz and Stegun, 26.2.11 and 26.2.14.
 */
export function normalDistribution(x: number): number {
  const a = Math.abs(x)
  if (a < 3) {
    let term = x
    let sum = x
    for (let n = 3; Math.abs(term) > 1e-18 * Math.abs(sum); n += 2) {
      term *= (x * x) / n
      sum += term
    }
    return 0.5 + normalDensity(x) * sum
  }
  // not a comparison alone: NaN falls through
  if (a >= 40) return x < 0 ? 0 : 1
  let ratio = a
  for (let n = 200; n >= 1; n--) ratio = a + n / ratio
  const tail = normalDensity(a) / ratio
  return x < 0 ? tail : 1 - tail
}

/** φ(x) = e^(-x²/2) / sqrt(2π). */
export function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)
}
