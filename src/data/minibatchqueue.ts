import { type DlArray, isdlarray } from '../array/dlarray.js'
import { argumentError, asText, checkOptionNames, DimensionError, isObject, OptionError } from '../errors.js'
import { scope } from '../memory/scope.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { currentStream } from '../operations/arrays/random.js'
import { stripdims } from '../operations/arrays/relabel.js'
import { Categorical, categorical, isLabelCodes } from './categorical.js'
import { ArrayDatastore, CombinedDatastore } from './datastore.js'
import type { LabelData, NumericData, Shuffler } from './minibatch.js'
import { denseObservations, isSized } from './observations.js'

/** A variable of a mini-batch before `miniBatchFcn`: numbers, or labels. */
export type MiniBatchVariable = DlArray | Categorical

/** Options of {@link minibatchqueue}. */
export interface MinibatchqueueOptions {
  /** Observations in a mini-batch. Default 128. */
  readonly miniBatchSize?: number
  /** Whether a last mini-batch that is not full is returned. Default `'return'`. */
  readonly partialMiniBatch?: 'return' | 'discard'
  /**
   * Makes what `next` returns of the datastore's variables, one argument each: unformatted arrays and `categorical` labels,
   * the observations along the datastore's dimension. Default: numbers are returned as they are.
   */
  readonly miniBatchFcn?: (...variables: MiniBatchVariable[]) => DlArray | readonly DlArray[]
  /** Labels for each array that `next` returns. Default: none. */
  readonly miniBatchFormat?: string | readonly string[]
  /** Class of the arrays. Default `'single'`. */
  readonly outputCast?: 'single' | 'double'
}

const optionNames = ['miniBatchSize', 'partialMiniBatch', 'miniBatchFcn', 'miniBatchFormat', 'outputCast']

/** One variable of a datastore. */
interface Variable {
  readonly gather: (order: ArrayLike<number> | undefined, first: number, end: number) => MiniBatchVariable
}

/** Mini-batches for training loops of your own, made by {@link minibatchqueue}. */
export class MiniBatchQueue {
  readonly numObservations: number
  readonly #variables: readonly Variable[]
  readonly #options: MinibatchqueueOptions
  readonly #miniBatchSize: number
  #order: Uint32Array | undefined
  #position = 0

  /** @internal */
  constructor(variables: readonly Variable[], numObservations: number, options: MinibatchqueueOptions) {
    this.#variables = variables
    this.#options = options
    this.#miniBatchSize = options.miniBatchSize ?? 128
    this.numObservations = numObservations
  }

  /** True while the pass has mini-batches. Source: MATLAB, `hasdata`. */
  hasdata(): boolean {
    const left = this.numObservations - this.#position
    return this.#options.partialMiniBatch === 'discard' ? left >= this.#miniBatchSize : left > 0
  }

  /** The arrays of the next mini-batch. Throws an {@link OptionError} after the last one. Source: MATLAB, `next`. */
  next(): DlArray[] {
    if (!this.hasdata())
      throw new OptionError({
        call: 'minibatchqueue.next',
        expects: 'mini-batches left in this pass',
        got: 'none',
        remedy: 'Ask hasdata() first; reset() or shuffle() begins another pass.',
      })
    const first = this.#position
    const end = Math.min(first + this.#miniBatchSize, this.numObservations)
    this.#position = end
    return scope(() => this.#formatted(this.#variables.map(({ gather }) => gather(this.#order, first, end))))
  }

  /** Begins a pass in the same order. Source: MATLAB, `reset`. */
  reset(): void {
    this.#position = 0
  }

  /** Begins a pass in an order drawn at random, from the stream of `rng` by default. Source: MATLAB, `shuffle`. */
  shuffle(random: Shuffler = currentStream()): void {
    if (!isObject(random) || typeof random.permutation !== 'function')
      throw argumentError('minibatchqueue.shuffle', 'a RandomStream', random, 'Leave it out for the stream of rng.')
    this.#order = Uint32Array.from(random.permutation(this.numObservations))
    this.reset()
  }

  #formatted(variables: readonly MiniBatchVariable[]): DlArray[] {
    const { miniBatchFcn, miniBatchFormat, outputCast = 'single' } = this.#options
    const made: unknown[] = [miniBatchFcn ? miniBatchFcn(...variables) : variables].flat()
    const formats = typeof miniBatchFormat === 'string' ? [miniBatchFormat] : miniBatchFormat
    if (formats && formats.length !== made.length)
      throw new OptionError({
        call: 'minibatchqueue',
        expects: `miniBatchFormat for each of the ${made.length} arrays of a mini-batch`,
        got: `${formats.length} (${formats.map((format) => `'${format}'`).join(', ')})`,
        remedy: "Give one format for each, '' for none.",
      })
    return made.map((array, i) => {
      if (!isdlarray(array))
        throw new OptionError({
          call: 'minibatchqueue',
          expects: 'arrays in a mini-batch',
          got: array instanceof Categorical ? 'categorical labels' : typeof array,
          remedy: 'Give a miniBatchFcn that makes arrays, for labels with onehotencode.',
        })
      const cast = dlarray(array, { type: outputCast })
      return formats?.[i] ? dlarray(cast, formats[i]) : cast
    })
  }
}

/**
 * Mini-batches of a datastore for training loops of your own:
 * `while (queue.hasdata()) { const [X, T] = queue.next() ... }`.
 *
 * Throws an {@link OptionError} for options that do not exist or have no such value. Source: MATLAB, `minibatchqueue`.
 */
export function minibatchqueue(
  store: ArrayDatastore | CombinedDatastore,
  options: MinibatchqueueOptions = {},
): MiniBatchQueue {
  checkOptions(store, options)
  const parts = store instanceof CombinedDatastore ? store.underlyingDatastores : [store]
  const type = options.outputCast ?? 'single'
  return new MiniBatchQueue(
    parts.map((part) => variableOf(part, type)),
    store.numObservations,
    options,
  )
}

function variableOf({ data, iterationDimension, size }: ArrayDatastore, type: 'single' | 'double'): Variable {
  // S before and U after B: the order of the dimensions stays as it is.
  const format = `${'S'.repeat(iterationDimension - 1)}B${'U'.repeat(Math.max(0, size.length - iterationDimension))}`
  const labels = isLabels(data) ? (isLabelCodes(data) ? data : categorical(data)) : undefined
  if (!labels) {
    const numbers = data as NumericData
    const isFormatted = isdlarray(numbers) && numbers.dims !== ''
    if (isFormatted && numbers.dims[iterationDimension - 1] !== 'B')
      throw new DimensionError({
        call: 'minibatchqueue',
        expects: `observations (B) along dimension ${iterationDimension}, the datastore's iterationDimension`,
        got: `an array labelled '${numbers.dims}'`,
        remedy: `Give arrayDatastore(X, { iterationDimension: ${numbers.dims.indexOf('B') + 1} }).`,
      })
    const of = isFormatted ? undefined : format
    const observations = denseObservations(numbers, of, 'a variable', 'minibatchqueue', { type })
    return { gather: (order, first, end) => stripdims(observations.gather(order, first, end)) }
  }
  const values = Float64Array.from(labels.codes)
  const codes = denseObservations({ values, size: labels.size }, format, 'labels', 'minibatchqueue', { type: 'double' })
  return {
    gather(order, first, end) {
      const batch = codes.gather(order, first, end)
      return new Categorical(labels.categories, Uint32Array.from(batch.values()), batch.size)
    },
  }
}

/** Labels here are text or `categorical`: numbers stay numbers. */
function isLabels(data: NumericData | LabelData): data is LabelData {
  if (isLabelCodes(data)) return true
  if (isdlarray(data) || isSized(data) || !Array.isArray(data)) return false
  return data.some((entry) => typeof entry === 'string')
}

function checkOptions(store: unknown, options: MinibatchqueueOptions): void {
  checkOptionNames('minibatchqueue', options, optionNames)
  const { miniBatchSize = 128, partialMiniBatch = 'return', miniBatchFcn, outputCast = 'single' } = options
  const wrong = (expects: string, got: unknown) =>
    new OptionError({
      call: 'minibatchqueue',
      expects,
      got: typeof got === 'string' ? `'${got}'` : asText(got),
      remedy: "Write minibatchqueue(combine(X, T), { miniBatchSize: 64, miniBatchFormat: ['SSCB', 'CB'] }).",
    })
  if (!(store instanceof ArrayDatastore || store instanceof CombinedDatastore))
    throw wrong('a datastore made by arrayDatastore or combine', store)
  if (!Number.isInteger(miniBatchSize) || miniBatchSize < 1)
    throw wrong('miniBatchSize to be a positive whole number', miniBatchSize)
  if (partialMiniBatch !== 'return' && partialMiniBatch !== 'discard')
    throw wrong("partialMiniBatch to be 'return' or 'discard'", partialMiniBatch)
  if (miniBatchFcn !== undefined && typeof miniBatchFcn !== 'function')
    throw wrong('miniBatchFcn to be a function', miniBatchFcn)
  if (outputCast !== 'single' && outputCast !== 'double')
    throw wrong("outputCast to be 'single' or 'double'", outputCast)
}
