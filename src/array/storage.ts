/** How one element is stored. `single` and `logical` arrays hold float32, `double` arrays float64. */
export type ElementType = 'float32' | 'float64'

/** The typed array that shows a storage's elements to JavaScript. */
export type Elements = Float32Array | Float64Array

/** Which backend's memory a storage lives in. */
export type BackendName = 'reference' | 'wasm'

/** Elements that are not written yet: the products of those of two storages, one of which may have a single element. */
export interface WaitingProduct {
  readonly factors: readonly [Storage, Storage]
  readonly write: () => void
}

// Products wait: inside an evaluation the result of `times` is written when somebody first reads it. A sum takes the factors
// instead and the product is never written; so may a gradient that is linear in it. Until then it holds its factors, which
// nothing changes: what changes arrays in place (solvers) runs after the evaluation, at whose end all that is left is written.

/** What is put off within an evaluation, to be done at its end: storages whose elements wait, launches that are held back. */
export const settleAfterwards = new Set<{ settle(): void }>()

/** Calls of {@link evaluating} that have not returned. */
let evaluations = 0

/** Whether work may be put off. */
export function mayPutOff(): boolean {
  return evaluations > 0
}

/** Runs `fn`, within which work may be put off; what is left when the outermost call ends is done then. */
export function evaluating<T>(fn: () => T): T {
  evaluations++
  try {
    return fn()
  } finally {
    if (--evaluations === 0) for (const putOff of settleAfterwards) putOff.settle()
  }
}

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
  #product: WaitingProduct | undefined

  get holders(): number {
    return this.#holders
  }

  get bytes(): number {
    return this.length * (this.elementType === 'float64' ? 8 : 4)
  }

  /** The elements in place, column-major. Valid until the backend next allocates: the heap may move as it grows. */
  abstract view(): Elements

  /** Of what the elements will be the product; undefined once they are there. */
  get product(): WaitingProduct | undefined {
    return this.#product
  }

  /** Leaves the elements unwritten until {@link settle}. */
  wait(product: WaitingProduct): void {
    for (const factor of product.factors) {
      // a chain of products that all wait could be longer than the stack
      factor.settle()
      factor.retain()
    }
    this.#product = product
    settleAfterwards.add(this)
  }

  /** Writes the elements if they wait; called before they, or their address, are given to anybody. */
  settle(): void {
    const product = this.#product
    if (product === undefined) return
    this.#product = undefined
    try {
      product.write()
    } catch (error) {
      this.#product = product
      throw error
    }
    this.#letGo(product)
  }

  #letGo({ factors }: WaitingProduct): void {
    settleAfterwards.delete(this)
    for (const factor of factors) factor.release()
  }

  retain(): this {
    this.#holders++
    return this
  }

  release(): void {
    if (--this.#holders > 0) return
    if (this.#product) this.#letGo(this.#product)
    this.#product = undefined
    this.free()
  }

  /** Lets go without freeing: the hold passes to an array about to be made. */
  handOver(): this {
    this.#holders--
    return this
  }

  protected abstract free(): void
}
