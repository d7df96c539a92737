/**
 * Mean and variance of several quantities, joined part by part in float64 (Chan, Golub, LeVeque, "Updating Formulae", 1979). The
 * variance is that of the population.
 */
export class Moments {
  readonly mean: Float64Array
  /** Sum of squared differences from the mean. */
  readonly #squares: Float64Array
  /** Elements of each quantity so far. */
  count = 0

  constructor(readonly length: number) {
    this.mean = new Float64Array(length)
    this.#squares = new Float64Array(length)
  }

  /** Takes `count` more elements of each quantity: their mean, and the sum of their squared differences from it. */
  add(count: number, mean: ArrayLike<number>, squares: ArrayLike<number>): void {
    const total = this.count + count
    for (let i = 0; i < this.length; i++) {
      const difference = mean[i]! - this.mean[i]!
      this.mean[i]! += (difference * count) / total
      this.#squares[i]! += squares[i]! + difference ** 2 * ((this.count * count) / total)
    }
    this.count = total
  }

  variance(): Float64Array {
    return this.#squares.map((squares) => squares / this.count)
  }
}
