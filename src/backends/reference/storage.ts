import { type Elements, type ElementType, Storage } from '../../array/storage.js'
import { MemoryError } from '../../errors.js'
import type { Backend } from '../backend.js'

let bytesInUse = 0
let storages = 0

/** Elements in ordinary typed arrays, which the JavaScript collector frees; the counts are for `memory()`. */
class ReferenceStorage extends Storage {
  readonly backend = 'reference'
  readonly length: number
  readonly elementType: ElementType
  #elements: Elements

  constructor(elements: Elements) {
    super()
    this.#elements = elements
    this.length = elements.length
    this.elementType = elements instanceof Float64Array ? 'float64' : 'float32'
    bytesInUse += this.bytes
    storages++
  }

  view(): Elements {
    return this.#elements
  }

  protected free(): void {
    bytesInUse -= this.bytes
    storages--
    this.#elements = new Float32Array(0)
  }
}

function elementsOf(length: number, elementType: ElementType): Elements {
  try {
    return elementType === 'float64' ? new Float64Array(length) : new Float32Array(length)
  } catch (error) {
    const problem = {
      call: 'allocate',
      expects: `room for ${length} elements (${elementType})`,
      got: error instanceof Error ? error.message : String(error),
      remedy: 'Use smaller arrays, or run your own arithmetic inside scope(...) so that intermediate arrays go.',
    }
    throw new MemoryError(problem, { cause: error })
  }
}

/**
 * The reference backend: plain TypeScript loops in float64 arithmetic, rounded to float32 on storing for `single`. Slow and
 * obviously right: the oracle of every other backend and the home of `double` arrays.
 */
export const referenceBackend: Backend = {
  name: 'reference',
  allocate: (length, elementType) => new ReferenceStorage(elementsOf(length, elementType)),
  info: () => ({
    name: 'reference',
    threads: 1,
    simd: false,
    singleThreadedBecause: 'the reference backend is plain TypeScript',
  }),
  memory: () => ({ bytesInUse, bytesPooled: 0, bytesReserved: bytesInUse, storages }),
}
