/** What training reads: mini-batches, and the sources that make them. */

import type { DlArray, Nested } from '../array/dlarray.js'
import type { FlatData } from '../operations/arrays/array-data.js'

/**
 * Some observations, ready for a network: one array for each of its inputs and one for each of its targets, formatted and
 * with the same observations along B. The arrays belong to whoever made the batch: see {@link BatchStream}.
 */
export interface MiniBatch {
  readonly inputs: readonly DlArray[]
  readonly targets: readonly DlArray[]
  /** Number of observations. */
  readonly observations: number
}

/** Batches that a source of the library gathered: nobody else has their arrays. */
const gathered = new WeakSet<MiniBatch>()

/** Marks a batch as made for whoever asked for it, to be freed after use. */
export function gatheredBatch(batch: MiniBatch): MiniBatch {
  gathered.add(batch)
  return batch
}

/** Whether a batch was made for whoever asked for it. */
export function isGathered(batch: MiniBatch): boolean {
  return gathered.has(batch)
}

/** Frees a batch after use, where it was made for that; one of a user's stream stays as it is. */
export function releaseBatch(batch: MiniBatch): void {
  if (gathered.has(batch)) for (const array of [...batch.inputs, ...batch.targets]) array.dispose()
}

/** Where a source stands, as plain data: with it a resumed run sees the batches that an unbroken one would have seen. */
export interface BatchSourceState {
  /** Observations in the order in which they are given, counted from 0; undefined for sources that keep no order. */
  readonly order?: readonly number[]
  /** Observations of the present pass that have been given. */
  readonly position: number
}

/** Draws an order; `RandomStream` does. */
export interface Shuffler {
  /** The numbers 0 to `count - 1` in random order. */
  permutation(count: number): ArrayLike<number>
}

interface SourceOfBatches {
  /** Observations of one pass, where that is known. */
  readonly numObservations?: number
  /** Mini-batches of one pass, where that is known. */
  readonly numBatches?: number
  /** Names of the classes that targets were encoded with. */
  readonly classNames?: readonly string[] | undefined
  /** Draws a new order for the passes that follow, as the sources can: a stream without an order does nothing. */
  shuffle(random: Shuffler): void
  state(): BatchSourceState
  /** Returns to a state: the next pass begins at its position. */
  restore(state: BatchSourceState): void
  /** Every observation, where a pass leaves some out. */
  whole?(): BatchSource
  /** Gives back the memory that is kept between passes; the next one may take it again. */
  release?(): void
}

/** A source whose mini-batches are there at once. Each iteration is a pass over the data; it goes on where `state` says. */
export interface SyncBatchSource extends SourceOfBatches {
  [Symbol.iterator](): Iterator<MiniBatch>
}

/** A source that reads or waits. `for await` takes both kinds. */
export interface AsyncBatchSource extends SourceOfBatches {
  /** False where mini-batches are made at once when they are asked for: then asking early gains nothing. Default true. */
  readonly waits?: boolean
  [Symbol.asyncIterator](): AsyncIterator<MiniBatch>
}

/** Where mini-batches come from, at once or as promises. */
export type BatchSource = SyncBatchSource | AsyncBatchSource

/** Flat column-major elements with their size: 28-by-28-by-3-by-N pixels, for instance. */
export interface SizedValues {
  readonly values: FlatData
  readonly size: readonly number[]
}

/** Numbers for many observations, in memory. */
export type NumericData = DlArray | SizedValues | Nested

/** Sequences of different lengths, each T-by-C (or as `inputDataFormats` says without its `B`). */
export type SequenceList = readonly (DlArray | SizedValues)[]

/** Labels as categories and codes: what `categorical` makes. */
export interface LabelCodes {
  readonly categories: readonly string[]
  /** Position of each element's category, counted from 1; 0 where it has none. */
  readonly codes: ArrayLike<number>
  readonly size: readonly number[]
}

/** One class label: a name or a number; null, undefined and NaN are observations without one. */
export type Label = string | number | boolean | null | undefined

/** Class labels in memory: names, numbers (bytes of a label file, for instance), or the result of `categorical`. */
export type LabelData = readonly Label[] | Uint8Array | LabelCodes

/** What networks are given: numbers, or sequences of different lengths. */
export type PredictorData = NumericData | SequenceList

/** What they are to answer: class labels or numbers. */
export type TargetData = LabelData | NumericData | SequenceList

/**
 * Mini-batches from anywhere. Each pass over the data begins a new iteration, and a batch is used up when the next one is
 * asked for. Training asks an async iterable for the next one before it computes with a copy of the one it has, so that reading
 * and decoding go on meanwhile: on threads of the system or workers.
 *
 * A stream's arrays are its own: nobody frees them. The same batch may be given again in every pass; arrays made anew for each
 * batch go to the collector once nothing refers to them, or are freed by the stream itself after its `yield`, which is sooner.
 */
export type BatchStream = BatchSource | Iterable<MiniBatch> | AsyncIterable<MiniBatch>
