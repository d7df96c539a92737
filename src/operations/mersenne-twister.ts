// The generator MT19937. Source: Matsumoto, Nishimura, "Mersenne twister: a 623-dimensionally equidistributed uniform
// pseudo-random number generator", ACM Transactions on Modeling and Computer Simulation 8, 1998.

const WORDS = 624
const MIDDLE = 397

export class MersenneTwister {
  readonly #words: Int32Array
  /** The word that is drawn next; each is renewed once it is drawn. */
  #position: number

  private constructor(words: Int32Array, position: number) {
    this.#words = words
    this.#position = position
  }

  /** `seed` is a whole number from 0 to 2^32 - 1. */
  static seeded(seed: number): MersenneTwister {
    const words = new Int32Array(WORDS)
    words[0] = seed
    for (let i = 1; i < WORDS; i++) {
      const before = words[i - 1]!
      words[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i
    }
    for (let i = 0; i < WORDS; i++) renew(words, i)
    return new MersenneTwister(words, 0)
  }

  /** Goes on from what {@link state} gave. */
  static fromState([position, ...words]: readonly number[]): MersenneTwister {
    return new MersenneTwister(Int32Array.from(words), position!)
  }

  /** The position and the words. */
  state(): number[] {
    return [this.#position, ...this.#words]
  }

  /** 32 random bits, as a signed integer. */
  next(): number {
    const at = this.#position
    let bits = this.#words[at]!
    renew(this.#words, at)
    this.#position = at === WORDS - 1 ? 0 : at + 1
    bits ^= bits >>> 11
    bits ^= (bits << 7) & 0x9d2c5680
    bits ^= (bits << 15) & 0xefc60000
    return bits ^ (bits >>> 18)
  }
}

function renew(words: Int32Array, at: number): void {
  const next = words[at === WORDS - 1 ? 0 : at + 1]!
  const middle = words[at < WORDS - MIDDLE ? at + MIDDLE : at + MIDDLE - WORDS]!
  const joined = (words[at]! & 0x80000000) | (next & 0x7fffffff)
  words[at] = middle ^ (joined >>> 1) ^ (-(joined & 1) & 0x9908b0df)
}
