// The generator MT19937. Source: Matsumoto, Nishimura, "Mersenne twister: a 623-dimensionally equidistributed uniform
// pseudo-random number generator", 1998; initialization by their reference program of 2002.

const WORDS = 624
const MIDDLE = 397

/** Word `i` is made anew as its value is drawn, from those after it. */
export class MersenneTwister {
  readonly #words: Int32Array
  #index: number

  private constructor(words: Int32Array, index: number) {
    this.#words = words
    this.#index = index
  }

  static fromSeed(seed: number): MersenneTwister {
    const words = new Int32Array(WORDS)
    words[0] = seed
    for (let i = 1; i < WORDS; i++) {
      const before = words[i - 1]!
      words[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i
    }
    const generator = new MersenneTwister(words, 0)
    for (let i = 0; i < WORDS; i++) generator.next()
    return generator
  }

  /** Goes on from what {@link state} gave. */
  static fromState([index, ...words]: readonly number[]): MersenneTwister {
    return new MersenneTwister(Int32Array.from(words), index!)
  }

  /** The position and the words. */
  state(): number[] {
    return [this.#index, ...this.#words]
  }

  /** 32 random bits, as a whole number with a sign. */
  next(): number {
    const words = this.#words
    const index = this.#index
    const following = (index + 1) % WORDS
    let bits = words[index]!
    const joined = (bits & 0x80000000) | (words[following]! & 0x7fffffff)
    words[index] = words[(index + MIDDLE) % WORDS]! ^ (joined >>> 1) ^ (-(joined & 1) & 0x9908b0df)
    this.#index = following
    bits ^= bits >>> 11
    bits ^= (bits << 7) & 0x9d2c5680
    bits ^= (bits << 15) & 0xefc60000
    return bits ^ (bits >>> 18)
  }
}
