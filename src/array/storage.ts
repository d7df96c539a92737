/** How one element is stored. `single` and `logical` arrays hold float32, `double` arrays float64. */
export type ElementType = 'float32' | 'float64'

/** The typed array that shows a storage's elements to JavaScript. */
export type Elements = Float32Array | Float64Array

/** Which backend's memory a storage lives in. */
export type BackendName = 'reference' | 'wasm'

/**
 * The memory behind one or more arrays. Views of the same elements (a reshape, a change of format) share one storage
 * through a count of holders; when the last holder lets go, the memory returns to its backend.
 */
export abstract class Storage {
  abstract readonly backend: BackendName
  abstract readonly elementType: ElementType
  /** Number of elements. */
  abstract readonly length: number

  #holders = 0

  get holders(): number {
    return this.#holders
  }

  get bytes(): number {
    return this.length * (this.elementType === 'float64' ? 8 : 4)
  }

  /** The elements in place, column-major. Valid until the backend next allocates: the heap may move as it grows. */
  abstract view(): Elements

  retain(): this {
    this.#holders++
    return this
  }

  release(): void {
    if (--this.#holders === 0) this.free()
  }

  /** Lets go without freeing: the hold passes to an array about to be made. */
  handOver(): this {
    this.#holders--
    return this
  }

  protected abstract free(): void
}
