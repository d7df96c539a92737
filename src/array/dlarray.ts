// For programs compiled without the library that has Symbol.dispose.
/// <reference lib="esnext.disposable" preserve="true" />

import { argumentError, asText, DimensionError, MemoryError } from '../errors.js'
import { displayArray } from './display.js'
import { describe, numel } from './format.js'
import type { Storage } from './storage.js'

/** The class of an array's elements. `logical` arrays hold 0 and 1 and come from comparisons. */
export type UnderlyingType = 'single' | 'double' | 'logical'

/** Size, format and class of an array, without its elements. */
export interface ArrayInfo {
  readonly size: readonly number[]
  readonly dims: string
  readonly type: UnderlyingType
}

/** Nested JavaScript arrays, `nested[i][j]` being element (i+1, j+1). */
export type Nested = number | boolean | readonly Nested[]

/**
 * Where an array came from, while `dlfeval` traces: the node of the operation that made it and which of its outputs it is.
 * Only `autodiff/` looks inside.
 */
export interface Trace {
  readonly output: number
}

/** A {@link DlArray} in JSON: `dlarray(values, size, dims, { type: underlyingType })` makes it again. */
export interface ArrayJSON {
  readonly size: readonly number[]
  readonly dims: string
  readonly underlyingType: UnderlyingType
  readonly values: readonly number[]
}

/** One array's share in a storage, and what the array is, for reports. Letting go twice is letting go once, whoever does it: a scope, a caller, the collector. */
export class Hold implements ArrayInfo {
  #storage: Storage | undefined
  /** The stack at its making, while `trackCreation` is on. */
  readonly stack: string | undefined

  constructor(
    storage: Storage,
    readonly size: readonly number[],
    readonly dims: string,
    readonly type: UnderlyingType,
  ) {
    this.#storage = storage.retain()
    this.stack = tracksCreation ? new Error('array').stack : undefined
    live.add(this)
  }

  get storage(): Storage | undefined {
    return this.#storage
  }

  release(): void {
    const storage = this.#storage
    if (!storage) return
    this.#storage = undefined
    live.delete(this)
    storage.release()
  }
}

/** Every hold that has not let go. A hold does not refer to its array, so unreachable arrays are still collected. */
const live = new Set<Hold>()

export function liveHolds(): ReadonlySet<Hold> {
  return live
}

let tracksCreation = false

/** Whether arrays made from now on remember the line that made them, for `memory()` and the error of a full heap. Slow. */
export function trackCreation(isOn: boolean): void {
  if (typeof isOn !== 'boolean')
    throw argumentError('trackCreation', 'true or false', isOn, 'Write trackCreation(true).')
  tracksCreation = isOn
}

/**
 * A deep-learning array: elements, a size, and, when formatted, one label per dimension.
 *
 * `F` is the format as the compiler knows it: `DlArray<'SSCB'>`, `DlArray<''>` for an unformatted array, `DlArray` when the
 * format is known only at run time. Arrays are immutable, stored column-major (first index fastest) in the label order
 * S, C, B, T, U, and are made by `dlarray` and by operations. Their memory is freed by scopes; nothing is disposed by hand.
 *
 * An array cannot be sent to a worker (`structuredClone` loses it): send `X.values()`, `X.size` and `X.dims`, and make it
 * again there with `dlarray(values, size, dims)`.
 *
 * Source: MATLAB, `dlarray`.
 */
export class DlArray<F extends string = string> {
  // What a kernel takes for the extent of the memory: behind accessors, so that no assignment changes it.
  readonly #size: readonly number[]
  readonly #dims: F
  readonly #underlyingType: UnderlyingType
  /** @internal */
  trace: Trace | undefined
  /** @internal The arrays of the scope that will free this one; undefined when none will. */
  owner: Set<DlArray> | undefined
  /** @internal */
  readonly hold: Hold

  /** @internal Arrays are made by `makeArray`, which registers their owner. */
  constructor(storage: Storage, size: readonly number[], dims: F, underlyingType: UnderlyingType) {
    this.#size = Object.isFrozen(size) ? size : Object.freeze([...size])
    this.#dims = dims
    this.#underlyingType = underlyingType
    this.hold = new Hold(storage, this.#size, dims, underlyingType)
  }

  /** Extent of each dimension, two of them at least; frozen. */
  get size(): readonly number[] {
    return this.#size
  }

  /** One label per dimension in stored order; `''` for an unformatted array. */
  get dims(): F {
    return this.#dims
  }

  /** Class of the elements. */
  get underlyingType(): UnderlyingType {
    return this.#underlyingType
  }

  /** Number of dimensions. */
  get ndims(): number {
    return this.size.length
  }

  /** Number of elements. */
  get numel(): number {
    return numel(this.size)
  }

  /** @internal */
  get type(): UnderlyingType {
    return this.underlyingType
  }

  /** @internal The memory; throws a {@link MemoryError} when it has been freed. */
  get storage(): Storage {
    const storage = this.hold.storage
    if (!storage)
      throw new MemoryError({
        call: 'dlarray',
        expects: 'an array whose memory is still held',
        got: `an array of ${describe(this)} that was freed, by dispose() or at the end of the scope that made it`,
        remedy: 'Return it from the function given to scope, dlfeval or the network, or keep(X) it.',
      })
    return storage
  }

  /**
   * A copy of the elements, column-major: a `Float64Array` for double, a `Float32Array` otherwise. Errors, here and in every
   * other use of the elements: a {@link MemoryError} when the array has been freed.
   */
  values(): Float32Array | Float64Array {
    const view = this.storage.view()
    // A copy in memory of its own: a view of the heap would change, and shared memory cannot be sent or decoded.
    return view instanceof Float64Array ? new Float64Array(view) : new Float32Array(view)
  }

  /** The same as {@link values}, for backends that cannot answer at once. */
  async data(): Promise<Float32Array | Float64Array> {
    return this.values()
  }

  /** The only element of a scalar. Errors: a {@link DimensionError} when there is not exactly one element. */
  item(): number {
    if (this.numel !== 1)
      throw new DimensionError({
        call: 'item',
        expects: 'an array with one element',
        got: describe(this),
        remedy: 'Use values() for all elements.',
      })
    return this.storage.view()[0]!
  }

  /** Nested arrays: `X.toNested()[i][j]` is element (i+1, j+1). */
  toNested(): Nested {
    const elements = this.storage.view()
    const build = (dimension: number, offset: number, step: number): Nested => {
      if (dimension === this.size.length)
        return this.underlyingType === 'logical' ? elements[offset] !== 0 : elements[offset]!
      const extent = this.size[dimension]!
      const nested: Nested[] = []
      for (let index = 0; index < extent; index++)
        nested.push(build(dimension + 1, offset + index * step, step * extent))
      return nested
    }
    return build(0, 0, 1)
  }

  /** Frees the memory now instead of at the end of the scope; a second time does nothing. Arrays that share it keep it. */
  dispose(): void {
    this.owner?.delete(this)
    this.owner = undefined
    this.hold.release()
  }

  /** The array as MATLAB prints it, long ones abbreviated. */
  toString(): string {
    if (!this.hold.storage) return `${describe(this)} dlarray (freed)`
    return displayArray({
      size: this.size,
      dims: this.dims,
      underlyingType: this.underlyingType,
      values: this.hold.storage.view(),
    })
  }

  /** What `JSON.stringify` writes: size, format, class and the elements, column-major; numbers JSON has none of become null. */
  toJSON(): ArrayJSON {
    return { size: this.size, dims: this.dims, underlyingType: this.underlyingType, values: Array.from(this.values()) }
  }

  get [Symbol.toStringTag](): string {
    return 'DlArray'
  }

  /** {@link DlArray.dispose} at the end of a block: `using X = dlarray(1)`. */
  declare [Symbol.dispose]: () => void
  static {
    // Not every browser knows the symbol yet; where it is missing nobody can write `using`.
    if (Symbol.dispose)
      DlArray.prototype[Symbol.dispose] = function dispose(this: DlArray) {
        this.dispose()
      }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Throws a {@link DimensionError} unless the value is a {@link DlArray}; `name` is what the call names it by. */
export function checkArray(value: unknown, call: string, name = 'X'): asserts value is DlArray {
  if (isdlarray(value)) return
  throw new DimensionError({
    call,
    expects: `a dlarray for ${name}`,
    got: Array.isArray(value) ? 'a JavaScript array' : asText(value),
    remedy: 'Make an array with dlarray(values, format).',
  })
}

/** True for a {@link DlArray}. */
export function isdlarray(value: unknown): value is DlArray {
  return value instanceof DlArray
}
