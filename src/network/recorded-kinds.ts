import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { isRecording } from '../autodiff/record.js'
import { chosenBackend, wasmBackend } from '../backends/current.js'
import { sameSize } from '../operations/reductions/sum.js'

// Computations on arrays of the same sizes launch the same kernels with the same parameters. The launches of one are written
// down, and the following ones are these launches again, over other data: networks, traces and the rules of operations need not
// be gone through. Here it is remembered what came before.

/** Kinds of computations that are remembered, and of those how many have a recording, which holds memory. */
const MOST_KINDS = 16
const MOST_RECORDINGS = 2
/** A recording that was not used for so many computations makes way for another. */
const OLD = 1000

/** What a computation depends on, besides the numbers. */
export interface Kind<R> {
  readonly arrays: readonly ArrayInfo[]
  readonly variant: string
  /** The computation that was the last of this kind. */
  latest: number
  recorded?: R | undefined
  /** It does what cannot be recorded. */
  isRefused?: boolean
}

let isOn = true

/** Whether steps of training and predictions are recorded from now on; they give the same bits either way. To compare. */
export function setRecording(enabled: boolean): void {
  isOn = enabled
}

/** Whether what is about to be computed may be recorded: not when it is traced, computed elsewhere, or part of a recording. */
export function mayRecord(): boolean {
  return isOn && chosenBackend() === 'wasm' && !isRecording() && !wasmBackend().isRecording
}

/** The computations of one network or training, and what of them can run again. */
export class RecordedKinds<R> {
  readonly #release: (recorded: R) => void
  #kinds: Kind<R>[] = []
  #computations = 0

  /** `release` gives back what a recording holds. */
  constructor(release: (recorded: R) => void) {
    this.#release = release
  }

  /** The kind of a computation on these arrays, and whether it is the first of it. */
  next(arrays: readonly DlArray[], variant: string): { readonly kind: Kind<R>; readonly isNew: boolean } {
    const latest = ++this.#computations
    const known = this.#kinds.find((kind) => kind.variant === variant && isAlike(kind.arrays, arrays))
    if (known) {
      known.latest = latest
      return { kind: known, isNew: false }
    }
    if (this.#kinds.length === MOST_KINDS) {
      const plain = this.#kinds.findIndex(({ recorded }) => !recorded)
      this.#kinds.splice(plain, 1)
    }
    const kind = { arrays: arrays.map(({ size, dims, type }) => ({ size, dims, type })), variant, latest }
    this.#kinds.push(kind)
    return { kind, isNew: true }
  }

  /** Whether one more may be recorded; an old one goes for that. */
  hasRoom(): boolean {
    const recorded = this.#kinds.filter((kind) => kind.recorded)
    if (recorded.length < MOST_RECORDINGS) return true
    const old = recorded.find(({ latest }) => this.#computations - latest > OLD)
    if (old) this.forget(old)
    return old !== undefined
  }

  forget(kind: Kind<R>): void {
    if (!kind.recorded) return
    this.#release(kind.recorded)
    kind.recorded = undefined
  }

  dispose(): void {
    for (const kind of this.#kinds) this.forget(kind)
    this.#kinds = []
  }
}

function isAlike(infos: readonly ArrayInfo[], arrays: readonly DlArray[]): boolean {
  if (infos.length !== arrays.length) return false
  return infos.every(({ size, dims, type }, i) => {
    const array = arrays[i]!
    return array.dims === dims && array.type === type && sameSize(array.size, size)
  })
}
