import { mersenne, mersenneFromState } from 'pure-rand/generator/mersenne'
import type { DlArray, UnderlyingType } from '../../array/dlarray.js'
import { normalized } from '../../array/format.js'
import { asText, checkOptionNames, OptionError } from '../../errors.js'
import { makeArray } from '../../memory/scope.js'
import { allocate } from '../operation.js'

// MATLAB's generator: Mersenne twister MT19937 with 53-bit doubles. `rand` and `randi` draw MATLAB's numbers; MATLAB's
// normal numbers come from a ziggurat that is not published, ours from the polar method.

/** What a {@link RandomStream} needs to go on where it was; plain data. */
export interface RandomState {
  /** The twister's position and its 624 words. */
  readonly generator: readonly number[]
  /** The second normal number of a pair, while it waits. */
  readonly spare?: number
}

/** The seed behind MATLAB's `rng('default')` and `rng(0)`: the one in the twister's own reference program. */
const DEFAULT_SEED = 5489

/** A stream of random numbers of its own: the same seed gives the same numbers, on every machine. */
export class RandomStream {
  #generator: ReturnType<typeof mersenne>
  #spare: number | undefined

  /** `seed` is a whole number from 0 to 2^32 - 1; 0 is MATLAB's default stream. */
  constructor(seed = 0) {
    if (!isWord(seed)) throw badSeed('RandomStream', seed)
    this.#generator = mersenne(seed === 0 ? DEFAULT_SEED : seed)
  }

  static fromState(state: RandomState): RandomStream {
    const stream = new RandomStream()
    stream.restore(state)
    return stream
  }

  /** Goes on from where `state` was taken. */
  restore(state: RandomState): void {
    const words: unknown = state?.generator
    const spare: unknown = state?.spare
    const isState =
      Array.isArray(words) &&
      words.length === 625 &&
      words.every(
        (word, i) => Number.isInteger(word) && (i === 0 ? word >= 0 && word < 624 : Math.abs(word) <= 2 ** 32),
      )
    if (!isState || (spare !== undefined && !Number.isFinite(spare)))
      throw new OptionError({
        call: 'RandomStream',
        expects: 'a state that RandomStream.state() gave',
        got: state === null ? 'null' : Array.isArray(words) ? `one with ${words.length} words` : typeof state,
        remedy: 'Keep the whole object, for instance as JSON.',
      })
    this.#generator = mersenneFromState(words)
    this.#spare = spare as number | undefined
  }

  /** Everything that later numbers depend on. */
  state(): RandomState {
    const generator = [...this.#generator.getState()]
    return this.#spare === undefined ? { generator } : { generator, spare: this.#spare }
  }

  /** Uniform between 0 and 1, both excluded; 53 random bits. */
  uniform(): number {
    for (;;) {
      const high = this.#generator.next() >>> 5
      const low = this.#generator.next() >>> 6
      const value = (high * 0x4000000 + low) / 0x20000000000000
      if (value > 0) return value
    }
  }

  /**
   * Normal with mean 0 and deviation 1, by the polar method. Made of +, -, *, / and the square root alone, so that it has the
   * same bits in every engine. Source: Marsaglia, Bray, "A convenient method for generating normal variables", 1964.
   */
  normal(): number {
    const waiting = this.#spare
    if (waiting !== undefined) {
      this.#spare = undefined
      return waiting
    }
    for (;;) {
      const x = 2 * this.uniform() - 1
      const y = 2 * this.uniform() - 1
      const square = x * x + y * y
      if (square >= 1 || square === 0) continue
      const factor = Math.sqrt((-2 * logarithm(square)) / square)
      this.#spare = y * factor
      return x * factor
    }
  }

  /** A whole number from 0 to `count - 1`; draws one uniform number, as MATLAB's `randi` does. */
  integer(count: number): number {
    return Math.floor(count * this.uniform())
  }

  /** The numbers 0 to `count - 1` in random order. Source: Fisher, Yates, 1938; Durstenfeld, 1964. */
  permutation(count: number): Uint32Array {
    const order = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const j = this.integer(i + 1)
      order[i] = order[j]!
      order[j] = i
    }
    return order
  }
}

const bits = new DataView(new ArrayBuffer(8))

/** Natural logarithm of a normal positive number; Math.log differs between engines in its last bits. */
function logarithm(value: number): number {
  bits.setFloat64(0, value)
  const high = bits.getUint32(0)
  let exponent = (high >>> 20) - 1023
  bits.setUint32(0, (high & 0xfffff) | (1023 << 20))
  let mantissa = bits.getFloat64(0)
  if (mantissa > Math.SQRT2) {
    mantissa /= 2
    exponent++
  }
  // log m = 2 artanh s = 2 (s + s^3/3 + s^5/5 + ...) with |s| < 0.172: the terms after the twelfth are below 1e-19.
  const s = (mantissa - 1) / (mantissa + 1)
  const square = s * s
  let sum = 0
  for (let n = 23; n >= 1; n -= 2) sum = sum * square + 1 / n
  return exponent * Math.LN2 + 2 * s * sum
}

function isWord(seed: unknown): boolean {
  return Number.isInteger(seed) && (seed as number) >= 0 && (seed as number) < 2 ** 32
}

function badSeed(call: string, seed: unknown): OptionError {
  return new OptionError({
    call,
    expects: 'a seed that is a whole number from 0 to 4294967295',
    got:
      typeof seed === 'number' || seed === null ? String(seed) : typeof seed === 'string' ? `'${seed}'` : typeof seed,
    remedy: "Give such a number, or 'default'.",
  })
}

const globalStream = new RandomStream()

/** The stream that `rng` controls and `rand`, `randn` and `randi` draw from. */
export function currentStream(): RandomStream {
  return globalStream
}

/**
 * Controls the numbers that `rand`, `randn` and `randi` draw: `rng('default')` or `rng(0)` starts MATLAB's default stream,
 * `rng(seed)` another one, `rng('shuffle')` one that depends on the time, `rng(state)` goes on from a state. Returns the state
 * before the call.
 *
 * Errors: an {@link OptionError} for anything else. Source: MATLAB, `rng`.
 */
export function rng(seed?: number | 'default' | 'shuffle' | RandomState): RandomState {
  const before = globalStream.state()
  if (seed === undefined) return before
  if (typeof seed === 'object' && seed !== null) globalStream.restore(seed)
  else {
    const number = seed === 'default' ? 0 : seed === 'shuffle' ? Date.now() % 2 ** 32 : seed
    if (!isWord(number)) throw badSeed('rng', seed)
    globalStream.restore(new RandomStream(number).state())
  }
  return before
}

/** Options of functions that make random arrays. */
export interface RandomOptions {
  /** Class of the elements; default `'single'`. */
  readonly type?: 'single' | 'double'
  /** Where the numbers come from; default the stream that `rng` controls. */
  readonly stream?: RandomStream
}

/** A size, as a list or as separate numbers, and options. One number n means n-by-n, as in MATLAB. */
export type SizeArguments =
  | readonly [size: readonly number[], options?: RandomOptions]
  | readonly [...size: [number, ...number[]]]
  | readonly [...size: [number, ...number[]], options: RandomOptions]

/**
 * Uniform random numbers between 0 and 1: a number without arguments, otherwise an unformatted array, filled column by column
 * (`rand(3, 2)`, `rand([3, 2])`; `rand(3)` is 3-by-3). After `rng('default')` these are MATLAB's numbers, beginning with
 * 0.8147, 0.9058, 0.1270.
 *
 * Errors: an {@link OptionError} for sizes that are not whole numbers. Source: MATLAB, `rand`.
 */
export function rand(): number
export function rand(...size: SizeArguments): DlArray<''>
export function rand(...size: readonly unknown[]): number | DlArray<''> {
  return filled('rand', size, (stream) => stream.uniform())
}

/** Normal random numbers with mean 0 and deviation 1; arguments as for {@link rand}. Source: MATLAB, `randn`. */
export function randn(): number
export function randn(...size: SizeArguments): DlArray<''>
export function randn(...size: readonly unknown[]): number | DlArray<''> {
  return filled('randn', size, (stream) => stream.normal())
}

/**
 * Random whole numbers from 1 to `range`, or from `range[0]` to `range[1]`; further arguments as for {@link rand}. After
 * `rng('default')` these are MATLAB's numbers.
 *
 * Errors: an {@link OptionError} for a range that is empty or not whole. Source: MATLAB, `randi`.
 */
export function randi(range: number | readonly [number, number]): number
export function randi(range: number | readonly [number, number], ...size: SizeArguments): DlArray<''>
export function randi(range: number | readonly [number, number], ...size: readonly unknown[]): number | DlArray<''> {
  const [low, high] = Array.isArray(range) ? range : [1, range as number]
  if (!Number.isInteger(low) || !Number.isInteger(high) || high < low)
    throw new OptionError({
      call: 'randi',
      expects: 'a largest number of 1 or more, or [smallest, largest]',
      got: asText(range),
      remedy: 'Write randi(10) or randi([5, 10]).',
    })
  return filled('randi', size, (stream) => low + stream.integer(high - low + 1))
}

function filled(call: string, given: readonly unknown[], draw: (stream: RandomStream) => number): number | DlArray<''> {
  const rest = [...given]
  const last = rest.at(-1)
  const options = typeof last === 'object' && last !== null && !Array.isArray(last) ? (rest.pop() as RandomOptions) : {}
  const { type, stream } = checkOptions(call, options)
  if (rest.length === 0) return draw(stream)
  const extents: unknown = rest.length === 1 && Array.isArray(rest[0]) ? rest[0] : rest
  if (!Array.isArray(extents) || extents.length === 0 || extents.some((n) => !Number.isInteger(n) || n < 0))
    throw new OptionError({
      call,
      expects: 'a size of whole numbers, none negative',
      got: asText(extents),
      remedy: `Write ${call}(3, 2) or ${call}([3, 2]).`,
    })
  const { size } = normalized(extents.length === 1 ? [extents[0], extents[0]] : extents, '')
  const storage = allocate({ size, type })
  const elements = storage.view()
  for (let i = 0; i < elements.length; i++) elements[i] = draw(stream)
  return makeArray(storage, size, '', type)
}

function checkOptions(call: string, options: RandomOptions): { type: UnderlyingType; stream: RandomStream } {
  checkOptionNames(call, options, ['type', 'stream'])
  const { type = 'single', stream = globalStream } = options
  if ((type !== 'single' && type !== 'double') || !(stream instanceof RandomStream))
    throw new OptionError({
      call,
      expects: "the options type ('single' or 'double') and stream (a RandomStream)",
      got: stream instanceof RandomStream ? `type ${asText(type)}` : 'another stream',
      remedy: 'Leave them out for single numbers from the stream that rng controls.',
    })
  return { type, stream }
}
