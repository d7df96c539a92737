// Functions made of additions and products alone: the host's differ between engines in their last bits, and with them every
// number of a training.

/** base^exponent for a whole exponent of 0 or more, by repeated squaring. */
export function integerPower(base: number, exponent: number): number {
  let result = 1
  let square = base
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square
    square *= square
  }
  return result
}

/** cos(pi * share) for a share from 0 to 1; the error is below 1e-15. */
export function cosineOfShare(share: number): number {
  if (share > 0.5) return -cosineOfShare(1 - share)
  // On a quarter of the half turn the Taylor series needs few terms.
  const isNearZero = share <= 0.25
  const angle = Math.PI * (isNearZero ? share : 0.5 - share)
  const square = angle * angle
  let term = isNearZero ? 1 : angle
  let sum = term
  for (let n = isNearZero ? 1 : 2; n < 22; n += 2) {
    term *= -square / (n * (n + 1))
    sum += term
  }
  return sum
}
