/** Data that comes observation by observation or mini-batch by mini-batch. */

import { type DlArray, isdlarray, type UnderlyingType } from '../array/dlarray.js'
import { MOST_DIMENSIONS, numel } from '../array/format.js'
import {
  argumentError,
  checkOptionNames,
  DimensionError,
  DlnetError,
  isObject,
  OptionError,
  TrainingError,
} from '../errors.js'
import { isLabelCodes } from './categorical.js'
import type {
  AsyncBatchSource,
  BatchSource,
  BatchStream,
  LabelData,
  MiniBatch,
  NumericData,
  SizedValues,
} from './minibatch.js'
import { isSized } from './observations.js'
import { ObservationSource, predictors, type SourceOptions, targetObservations, underlying } from './source.js'

/** Options of {@link arrayDatastore}. */
export interface ArrayDatastoreOptions {
  /** The dimension along which observations lie, counted from 1. Default 1. */
  readonly iterationDimension?: number
}

/** Observations along one dimension of an array, made by {@link arrayDatastore}. */
export class ArrayDatastore {
  readonly data: NumericData | LabelData
  readonly iterationDimension: number
  readonly size: readonly number[]

  constructor(data: NumericData | LabelData, iterationDimension: number) {
    this.data = data
    this.iterationDimension = iterationDimension
    this.size = sizeOf(data)
  }

  get numObservations(): number {
    return this.size[this.iterationDimension - 1] ?? 1
  }
}

/** Datastores side by side: an observation is one of each. Made by {@link combine}. */
export class CombinedDatastore {
  readonly underlyingDatastores: readonly ArrayDatastore[]

  constructor(underlyingDatastores: readonly ArrayDatastore[]) {
    this.underlyingDatastores = underlyingDatastores
  }

  get numObservations(): number {
    return this.underlyingDatastores[0]!.numObservations
  }
}

/**
 * Observations along a dimension of an array of numbers or labels in memory: of N-by-C features along 1 (the default), of
 * H-by-W-by-C-by-N images along 4.
 *
 * Throws an {@link OptionError} for a dimension that is none, a {@link DimensionError} for values that do not fill their
 * size. Source: MATLAB, `arrayDatastore`.
 */
export function arrayDatastore(A: NumericData | LabelData, options: ArrayDatastoreOptions = {}): ArrayDatastore {
  checkOptionNames('arrayDatastore', options, ['iterationDimension'])
  const { iterationDimension = 1 } = options
  if (!Number.isInteger(iterationDimension) || iterationDimension < 1 || iterationDimension > MOST_DIMENSIONS)
    throw argumentError(
      'arrayDatastore',
      'iterationDimension, a dimension counted from 1',
      iterationDimension,
      'Write arrayDatastore(X, { iterationDimension: 4 }).',
    )
  if (!(isObject(A) && (Array.isArray(A) || ArrayBuffer.isView(A) || isdlarray(A) || isLabelCodes(A) || isSized(A))))
    throw argumentError(
      'arrayDatastore',
      'an array of numbers or labels',
      A,
      'Give lists, a typed array, a dlarray, labels made by categorical, or { values, size }.',
    )
  return new ArrayDatastore(A, iterationDimension)
}

/**
 * Datastores whose observations belong together: the inputs of a network in its order, then its targets.
 *
 * Throws a {@link DimensionError} unless all have as many observations. Source: MATLAB, `combine`.
 */
export function combine(...datastores: readonly (ArrayDatastore | CombinedDatastore)[]): CombinedDatastore {
  const parts = datastores.flatMap((one) => (one instanceof CombinedDatastore ? one.underlyingDatastores : [one]))
  if (parts.length === 0 || parts.some((part) => !(part instanceof ArrayDatastore)))
    throw new OptionError({
      call: 'combine',
      expects: 'datastores made by arrayDatastore or combine',
      got: parts.length === 0 ? 'none' : 'something else',
      remedy: 'Write combine(arrayDatastore(X), arrayDatastore(T)).',
    })
  const counts = parts.map((part) => part.numObservations)
  if (new Set(counts).size > 1)
    throw new DimensionError({
      call: 'combine',
      expects: 'datastores with as many observations',
      got: counts.join(', '),
      remedy: 'Check iterationDimension of each.',
    })
  return new CombinedDatastore(parts)
}

function sizeOf(data: NumericData | LabelData): readonly number[] {
  if (isdlarray(data) || isLabelCodes(data)) return data.size
  if (isSized(data)) {
    const { values, size } = data as SizedValues
    if (values.length === numel(size)) return size
    throw new DimensionError({
      call: 'arrayDatastore',
      expects: `${numel(size)} values for size [${size.join(', ')}]`,
      got: String(values.length),
      remedy: 'Give as many values as the product of the size.',
    })
  }
  const size: number[] = []
  for (let level: unknown = data; Array.isArray(level) || ArrayBuffer.isView(level); level = (level as unknown[])[0])
    size.push((level as unknown[]).length)
  while (size.length < 2) size.push(1)
  return size
}

/**
 * Mini-batches of a datastore: its first parts are the inputs, as many as there are formats, the others targets. The
 * formats label data that lies as networks expect; B goes where the datastore's observations lie.
 */
export function datastoreSource(
  store: ArrayDatastore | CombinedDatastore,
  inputFormats: readonly (string | undefined)[],
  targetFormats: readonly string[],
  options: SourceOptions,
): ObservationSource {
  const call = options.call ?? 'trainnet'
  const parts = store instanceof CombinedDatastore ? store.underlyingDatastores : [store]
  if (parts.length < inputFormats.length)
    throw new OptionError({
      call,
      expects: `a datastore with data for ${inputFormats.length} inputs`,
      got: `${parts.length}`,
      remedy: 'Combine one datastore for each input, then those of the targets.',
    })
  const type: UnderlyingType = underlying(parts[0]!.data)
  const inputs = inputFormats.map((format, i) => {
    const { data, iterationDimension } = parts[i]!
    return predictors(data as NumericData, batchAt(format, iterationDimension), options, call)
  })
  const targets = parts.slice(inputFormats.length).map(({ data, iterationDimension, size }, i) => {
    const isFormatted = isdlarray(data) && data.dims !== ''
    const format = isFormatted ? undefined : batchAt(targetFormats[i] ?? plainFormats[size.length], iterationDimension)
    return targetObservations(data, { ...options, targetFormat: format }, type, call)
  })
  return new ObservationSource(inputs, targets, options)
}

/** By number of dimensions, B among them. */
const plainFormats = ['BC', 'BC', 'BC', 'TCB', 'SSCB', 'SSSCB']

/** The same labels with B in another place: `'SSCB'` along dimension 1 is `'BSSC'`. */
function batchAt(format: string | undefined, dimension: number): string | undefined {
  if (format === undefined) return undefined
  const others = format.replace('B', '')
  return `${others.slice(0, dimension - 1)}B${others.slice(dimension - 1)}`
}

/** True for what gives mini-batches itself: a source, or anything that `for await` takes except lists and arrays of labels. */
export function isBatchStream(data: unknown): data is BatchStream {
  if (typeof data !== 'object' || data === null || Array.isArray(data) || ArrayBuffer.isView(data)) return false
  return !isdlarray(data) && !isLabelCodes(data) && (Symbol.iterator in data || Symbol.asyncIterator in data)
}

/**
 * A stream of mini-batches as a source. Each pass begins a new iteration. An error of the stream becomes a {@link TrainingError}
 * with it as its cause. Sources are returned as they are.
 */
export function streamSource(stream: BatchStream, call: string): BatchSource {
  if ('restore' in stream && 'shuffle' in stream && 'state' in stream) return stream
  return new StreamSource(stream, call)
}

class StreamSource implements AsyncBatchSource {
  readonly #stream: Iterable<MiniBatch> | AsyncIterable<MiniBatch>
  readonly #call: string
  readonly waits: boolean
  #passes = 0
  #skipped = 0
  #position = 0

  constructor(stream: Iterable<MiniBatch> | AsyncIterable<MiniBatch>, call: string) {
    this.#stream = stream
    this.#call = call
    this.waits = Symbol.asyncIterator in stream
  }

  /** A stream has its own order. */
  shuffle(): void {}

  state() {
    return { position: this.#position }
  }

  /** The next pass leaves out as many observations: the stream must give them in the order it gave them before. */
  restore({ position }: { readonly position: number }): void {
    this.#skipped = position
    this.#position = position
  }

  async *[Symbol.asyncIterator](): AsyncIterator<MiniBatch> {
    try {
      yield* this.#pass()
    } catch (cause) {
      if (cause instanceof DlnetError) throw cause
      const { message = String(cause) } = (cause ?? {}) as Partial<Error>
      throw new TrainingError(
        {
          call: this.#call,
          expects: 'mini-batches from the data stream',
          got: `its error: ${message}`,
          remedy: 'Mend what gives the mini-batches; error.cause tells where it failed.',
        },
        { cause },
      )
    }
  }

  async *#pass(): AsyncGenerator<MiniBatch> {
    let skip = this.#skipped
    this.#skipped = 0
    this.#position = skip
    let count = 0
    // Never ahead of the stream: it may free or fill a batch anew when the next one is asked for.
    for await (const given of this.#stream) {
      const batch = checkBatch(given, this.#call)
      count++
      if (skip > 0) {
        skip -= batch.observations
        continue
      }
      this.#position += batch.observations
      for (const array of [...batch.inputs, ...batch.targets]) weigh(array)
      yield batch
    }
    this.#position = 0
    if (count === 0)
      throw new TrainingError({
        call: this.#call,
        expects: 'mini-batches from the data stream',
        got: this.#passes === 0 ? 'none' : 'none after its first pass',
        remedy: 'Give an object whose iterator starts anew: { async *[Symbol.asyncIterator]() { ... } }.',
      })
    this.#passes++
  }
}

/** For each array of a stream as many bytes as it has, where the collector sees them. */
const weights = new WeakMap<DlArray, ArrayBuffer>()

/**
 * Tells the collector what an array weighs: it cannot see the heap that holds the elements, and would let a stream fill it
 * with batches that nothing refers to any more. The buffer is never touched, so that the system gives it no memory.
 */
function weigh(array: DlArray): void {
  if (!weights.has(array))
    weights.set(array, new ArrayBuffer(array.numel * (array.underlyingType === 'double' ? 8 : 4)))
}

function checkBatch(batch: unknown, call: string): MiniBatch {
  const { inputs, targets = [] } = (batch ?? {}) as { inputs?: unknown; targets?: unknown }
  const arrays = [inputs, targets]
  if (!arrays.every((list) => Array.isArray(list) && list.every(isdlarray)) || (inputs as DlArray[]).length === 0)
    throw new OptionError({
      call,
      expects: 'mini-batches { inputs: [X], targets: [T] } of dlarrays',
      got: batch === null ? 'null' : typeof batch === 'object' ? `{ ${Object.keys(batch).join(', ')} }` : typeof batch,
      remedy: "Yield { inputs: [dlarray(values, size, 'SSCB')], targets: [dlarray(labels, size, 'CB')] }.",
    })
  const [first, ...others] = [...(inputs as DlArray[]), ...(targets as DlArray[])].map((array) => {
    const position = array.dims.indexOf('B')
    if (array.dims === '')
      throw new DimensionError({
        call,
        expects: 'formatted arrays in mini-batches',
        got: `an unformatted one of size ${array.size.join('×')}`,
        remedy: "Label its dimensions with dlarray(X, 'SSCB').",
      })
    return position < 0 ? 1 : array.size[position]!
  })
  for (const count of others)
    if (count !== first)
      throw new DimensionError({
        call,
        expects: 'as many observations in the targets as in the predictors of a mini-batch',
        got: `${first} and ${count}`,
        remedy: 'Check the size along B of each array.',
      })
  return { inputs: inputs as DlArray[], targets: targets as DlArray[], observations: first! }
}
