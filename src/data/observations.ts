/** Observations of one array in memory, and how a mini-batch of some of them is gathered. */

import { type DlArray, isdlarray, type Nested, type UnderlyingType } from '../array/dlarray.js'
import { canonical, checkFormat, normalized, numel, storedOrder, strides } from '../array/format.js'
import type { Elements, Storage } from '../array/storage.js'
import { DimensionError, OptionError } from '../errors.js'
import { makeArray } from '../memory/scope.js'
import type { FlatData } from '../operations/arrays/array-data.js'
import { copyRuns } from '../operations/arrays/copy-runs.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import {
  type Choice,
  gatherFromHeap,
  gatherThroughHeap,
  type HeapElements,
  heapCopy,
  inHeap,
} from '../operations/arrays/gather.js'
import { allocate } from '../operations/operation.js'
import { categorical, isLabelCodes, type Labels } from './categorical.js'
import type { LabelCodes, NumericData, SequenceList, SizedValues } from './minibatch.js'

export interface Observations {
  readonly count: number
  /** Labels of a mini-batch, in stored order. */
  readonly dims: string
  /** Names of the classes where observations are class labels. */
  readonly classNames?: readonly string[]
  /** A formatted array of the observations `order[first]` to `order[end - 1]`; in the order of the data without `order`. */
  gather(order: ArrayLike<number> | undefined, first: number, end: number): DlArray
  /** Gives back the memory that is kept between two calls of `gather`. */
  release?(): void
}

/** What sequences of different lengths become. */
export interface SequenceOptions {
  readonly sequenceLength?: 'longest' | 'shortest'
  readonly sequencePaddingValue?: number
  readonly sequencePaddingDirection?: 'right' | 'left'
}

/** How the elements of one observation lie in memory. */
interface Layout {
  /** Labels of a mini-batch, B among them, in stored order, and extents with 1 for B. */
  readonly dims: string
  readonly size: readonly number[]
  /** Observations, and elements from one to the next. */
  readonly count: number
  readonly step: number
  /** Place of each element relative to the first, in stored order; undefined where that is 0, 1, 2, ... */
  readonly offsets: Uint32Array | undefined
  /** Elements of one observation before B in a mini-batch, and how many times as many come after it. */
  readonly inner: number
  readonly outer: number
}

/** The layout of data whose dimensions are labelled `format` in memory. */
function layoutOf(size: readonly number[], format: string, what: string, call: string): Layout {
  checkFormat(format, call)
  const labels = format.includes('B') ? format : `${format}B`
  if (size.slice(labels.length).some((extent) => extent !== 1))
    throw new DimensionError({
      call,
      expects: `${what} with a dimension for each label of '${format}'`,
      got: `${size.length} dimensions (${size.join('×')})`,
      remedy: `Label every dimension of ${what}, in the order in which they are in memory.`,
    })
  const extents = [...labels].map((_, position) => size[position] ?? 1)
  const steps = strides(extents)
  const order = storedOrder(labels)
  const batch = labels.indexOf('B')
  const dims = canonical(labels)
  const stored = order.map((position) => (position === batch ? 1 : extents[position]!))
  const storedSteps = order.map((position) => (position === batch ? 0 : steps[position]!))
  const offsets = new Uint32Array(numel(stored))
  const index = stored.map(() => 0)
  let place = 0
  let isContiguous = true
  for (let element = 0; element < offsets.length; element++) {
    offsets[element] = place
    isContiguous &&= place === element
    for (let d = 0; d < stored.length; d++) {
      place += storedSteps[d]!
      if (++index[d]! < stored[d]!) break
      place -= storedSteps[d]! * stored[d]!
      index[d] = 0
    }
  }
  const after = dims.indexOf('B') + 1
  return {
    dims,
    size: stored,
    count: extents[batch]!,
    step: steps[batch]!,
    offsets: isContiguous ? undefined : offsets,
    inner: numel(stored.slice(0, after)),
    outer: numel(stored.slice(after)),
  }
}

function makeBatch(
  size: readonly number[],
  dims: string,
  type: UnderlyingType,
  fill: (storage: Storage) => void,
): DlArray {
  const info = { ...normalized(size, dims), type }
  const storage = allocate(info)
  const array = makeArray(storage, info.size, info.dims, type)
  fill(storage)
  return array
}

function batchSize(layout: Layout, observations: number): number[] {
  return layout.size.map((extent, position) => (layout.dims[position] === 'B' ? observations : extent))
}

export interface DenseOptions {
  /** Class of the mini-batches; default that of an array given, `'single'` for others. */
  readonly type?: UnderlyingType
  /** Whether a copy of the data stays in the heap until `release`, where it is not too large: for many passes. Default false. */
  readonly isKept?: boolean
}

/**
 * Numbers of which each observation has as many. Bytes and other types become numbers of the mini-batch's class as they are
 * gathered, so that a set of images is never converted as a whole.
 */
export function denseObservations(
  data: NumericData,
  format: string | undefined,
  what: string,
  call: string,
  { type, isKept = false }: DenseOptions = {},
): Observations {
  const { elements, storage, size, dims } = readable(data, format, what, call)
  const layout = layoutOf(size, dims, what, call)
  const { step, offsets, inner, outer } = layout
  const classOfBatch = type ?? (isdlarray(data) && data.underlyingType === 'double' ? 'double' : 'single')
  let isCopied = false
  let copy: HeapElements | undefined
  const source = () => {
    if (storage) return inHeap(storage)
    if (isKept && !isCopied) copy = heapCopy(elements())
    isCopied = true
    return copy
  }
  return {
    count: layout.count,
    dims: layout.dims,
    gather(order, first, end) {
      const choice = { order, first, count: end - first, step, inner, outer, offsets }
      return makeBatch(batchSize(layout, choice.count), layout.dims, classOfBatch, (to) => {
        if (to.backend === 'wasm') {
          const found = source()
          if (found) return gatherFromHeap(found, to, choice)
          if (gatherThroughHeap(elements(), to, choice)) return
        }
        gatherHere(elements(), to.view(), choice)
      })
    },
    release() {
      copy?.storage.release()
      copy = undefined
      isCopied = false
    },
  }
}

function gatherHere(from: FlatData, view: Elements, choice: Choice): void {
  const { order, first, count, step, inner, outer, offsets } = choice
  const start = (b: number) => (order ? order[first + b]! : first + b) * step
  if (!offsets && outer === 1) {
    // Observations that follow one another are one run.
    const runs = order || step !== inner ? count : 1
    copyRuns(from, start, { count: runs, length: (count / runs) * inner }, view)
    return
  }
  for (let b = 0; b < count; b++)
    for (let o = 0; o < outer; o++) {
      const to = (b + o * count) * inner
      if (offsets) for (let i = 0; i < inner; i++) view[to + i] = from[start(b) + offsets[o * inner + i]!]!
      else for (let i = 0; i < inner; i++) view[to + i] = from[start(b) + o * inner + i]!
    }
}

interface Readable {
  /** A function, as the heap that holds an array's elements may move. */
  readonly elements: () => FlatData
  /** That of an array. */
  readonly storage?: Storage
  readonly size: readonly number[]
  readonly dims: string
}

function readable(data: NumericData, format: string | undefined, what: string, call: string): Readable {
  if (isdlarray(data) && data.dims !== '') {
    if (format !== undefined && canonical(format) !== data.dims)
      throw new OptionError({
        call,
        expects: `${what} labelled '${canonical(format)}', as the data format '${format}' says`,
        got: `an array labelled '${data.dims}'`,
        remedy: 'Leave the data format out: the array has its own.',
      })
    return readableArray(data, data.dims)
  }
  if (format === undefined)
    throw new OptionError({
      call,
      expects: `labels for the dimensions of ${what}`,
      got: 'none, and a network that does not begin with an input layer that tells',
      remedy: "Give a formatted array, dlarray(values, 'SSCB'), or inputDataFormats and targetDataFormats.",
    })
  if (isdlarray(data)) return readableArray(data, format)
  if (isSized(data)) {
    if (numel(data.size) !== data.values.length)
      throw new DimensionError({
        call,
        expects: `${numel(data.size)} values for ${what} of size [${data.size.join(', ')}]`,
        got: String(data.values.length),
        remedy: 'Give as many values as the product of the size.',
      })
    return { elements: () => data.values, size: data.size, dims: format }
  }
  const array = dlarray(data as Nested, { type: 'double' })
  const values = array.values()
  array.dispose()
  return { elements: () => values, size: array.size, dims: format }
}

function readableArray({ storage, size }: DlArray, dims: string): Readable {
  return { elements: () => storage.view(), storage, size, dims }
}

export function isSized(data: unknown): data is SizedValues {
  return typeof data === 'object' && data !== null && !Array.isArray(data) && 'values' in data && 'size' in data
}

/** True for a list of sequences. */
export function isSequenceList(data: unknown): data is SequenceList {
  return Array.isArray(data) && data.length > 0 && data.every((entry) => isdlarray(entry) || isSized(entry))
}

/** Sequences of different lengths; those of a mini-batch are padded or cut to one length. `format` labels one sequence. */
export function sequenceObservations(
  list: SequenceList,
  format: string,
  { sequenceLength = 'longest', sequencePaddingValue = 0, sequencePaddingDirection = 'right' }: SequenceOptions,
  what: string,
  call: string,
  type: UnderlyingType = 'single',
): Observations {
  const single = format.replace('B', '')
  if (!single.includes('T'))
    throw new OptionError({
      call,
      expects: `a data format with a time dimension (T) for ${what}, a list of sequences`,
      got: `'${format}'`,
      remedy: "Give inputDataFormats: 'TCB' for sequences that are T-by-C.",
    })
  const sequences = list.map((entry, position) => {
    const { elements, size, dims } = readable(
      entry,
      isdlarray(entry) && entry.dims !== '' ? undefined : single,
      what,
      call,
    )
    const layout = layoutOf(size, dims, `sequence ${position + 1} of ${what}`, call)
    return { elements, layout, length: layout.size[layout.dims.indexOf('T')]! }
  })
  const { layout: pattern } = sequences[0]!
  const time = pattern.dims.indexOf('T')
  for (const [position, { layout }] of sequences.entries()) {
    const isAlike =
      layout.dims === pattern.dims && layout.size.every((extent, d) => d === time || extent === pattern.size[d])
    if (!isAlike)
      throw new DimensionError({
        call,
        expects: `sequences of ${what} that differ only in time`,
        got: `${pattern.size.join('×')} (${pattern.dims}) and, in sequence ${position + 1}, ${layout.size.join('×')} (${layout.dims})`,
        remedy: 'Give all sequences the same channels.',
      })
  }
  const elementsPerStep = numel(pattern.size) / pattern.size[time]!
  return {
    count: sequences.length,
    dims: pattern.dims,
    gather(order, first, end) {
      const chosen = Array.from({ length: end - first }, (_, b) => sequences[order ? order[first + b]! : first + b]!)
      const lengths = chosen.map(({ length }) => length)
      const extent = sequenceLength === 'longest' ? Math.max(...lengths) : Math.min(...lengths)
      const size = batchSize(pattern, chosen.length)
      size[time] = extent
      return makeBatch(size, pattern.dims, type, (storage) => {
        const view = storage.view()
        view.fill(sequencePaddingValue)
        for (const [b, { elements, layout, length }] of chosen.entries()) {
          const from = elements()
          // Padding and cutting happen on the same side.
          const steps = Math.min(length, extent)
          const skipped = sequencePaddingDirection === 'left' ? length - steps : 0
          const gap = sequencePaddingDirection === 'left' ? extent - steps : 0
          for (let t = 0; t < steps; t++)
            for (let i = 0; i < elementsPerStep; i++) {
              const element = (t + skipped) * elementsPerStep + i
              view[(b + (t + gap) * chosen.length) * elementsPerStep + i] =
                from[layout.offsets ? layout.offsets[element]! : element]!
            }
        }
      })
    },
  }
}

export interface LabelOptions {
  /** One-hot vectors along C, or the classes' positions counted from 1. */
  readonly encoding: 'onehot' | 'index'
  /** Classes in their order; default the categories of the labels. */
  readonly classNames?: readonly string[]
  readonly type?: UnderlyingType
}

/** Class labels, encoded as they are gathered. `format` labels their dimensions; C is a singleton or missing. */
export function labelObservations(
  labels: Labels | LabelCodes,
  format: string,
  { encoding, classNames, type = 'single' }: LabelOptions,
  what: string,
  call: string,
): Observations {
  const { codes, size, categories } = classified(labels, classNames, what, call)
  const withChannel = format.includes('C') ? format : `${format}C`
  const layout = layoutOf(size, withChannel, what, call)
  const channel = layout.dims.indexOf('C')
  if (layout.size[channel] !== 1)
    throw new DimensionError({
      call,
      expects: `class labels with one element along C ('${format}')`,
      got: `${layout.size[channel]} (${size.join('×')})`,
      remedy: 'Give one label for each observation, or say with targetDataFormats which dimension is B.',
    })
  const { count, step, offsets, inner, outer } = layout
  const classes = categories.length
  const channels = encoding === 'onehot' ? classes : 1
  return {
    count,
    dims: layout.dims,
    classNames: categories,
    gather(order, first, end) {
      const observations = end - first
      const extents = batchSize(layout, observations)
      extents[channel] = channels
      return makeBatch(extents, layout.dims, type, (storage) => {
        const view = storage.view()
        view.fill(0)
        for (let b = 0; b < observations; b++) {
          const start = (order ? order[first + b]! : first + b) * step
          for (let element = 0; element < inner * outer; element++) {
            const code = codes[start + (offsets ? offsets[element]! : element)]!
            const place = (b + Math.floor(element / inner) * observations) * inner * channels + (element % inner)
            if (encoding === 'onehot') view[place + (code - 1) * inner] = 1
            else view[place] = code
          }
        }
      })
    },
  }
}

/** Labels with the classes asked for; every element must have one of them. */
function classified(
  labels: Labels | LabelCodes,
  classNames: readonly string[] | undefined,
  what: string,
  call: string,
): LabelCodes {
  const given = isLabelCodes(labels) ? labels : categorical(labels)
  const names = classNames ?? given.categories
  const isSame = names.length === given.categories.length && names.every((name, i) => name === given.categories[i])
  const position = isSame ? undefined : categorical(given.categories, names).codes
  const codes = position ? Uint32Array.from(given.codes, (code) => position[code - 1] ?? 0) : given.codes
  for (let index = 0; index < codes.length; index++)
    if (codes[index] === 0)
      throw new OptionError({
        call,
        expects: `a class for each element of ${what}, among ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', ...' : ''}`,
        got: `${given.codes[index] === 0 ? 'none' : `'${given.categories[given.codes[index]! - 1]}'`} at element ${index + 1}`,
        remedy: 'Leave such observations out, or add their class.',
      })
  return { codes, size: given.size, categories: names }
}
