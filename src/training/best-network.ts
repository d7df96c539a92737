import type { DlArray } from '../array/dlarray.js'
import { keep } from '../memory/scope.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import { freshLike } from './solver-update.js'
import type { TrainedParameter } from './solvers.js'

/** A validation, as the objective judges it. */
export interface Judged {
  readonly iteration: number
  readonly value: number
}

/** Which validation was best so far, how often since then none was better, and the network as it was. */
export class BestNetwork {
  best: Judged | undefined
  /** Validations since the best one. */
  failures = 0
  /** Learnables, then state, in the order of the network. */
  #copies: readonly DlArray[] = []

  constructor(
    private readonly net: DlNetwork,
    private readonly parameters: readonly TrainedParameter[],
    /** Whether the best network will be wanted, not just counted. */
    private readonly isKept: boolean,
    /** 1 where a larger objective is better, -1 where a smaller one is. */
    private readonly direction: 1 | -1,
  ) {}

  /** Takes the objective of a validation; equal to the best is not better. */
  judge({ iteration, value }: Judged): void {
    const isBetter = Number.isFinite(value) && (!this.best || this.direction * (value - this.best.value) > 0)
    if (!isBetter) {
      this.failures++
      return
    }
    this.failures = 0
    this.best = { iteration, value }
    if (this.isKept) this.#keep(this.#current())
  }

  #current(): { name: string; value: DlArray }[] {
    return [
      ...this.parameters.map(({ name, value }) => ({ name: `learnables/${name}`, value })),
      ...this.net.state.map(({ layer, parameter, value }) => ({ name: `state/${layer}/${parameter}`, value: value! })),
    ]
  }

  #keep(arrays: readonly { readonly value: DlArray }[]): void {
    this.dispose()
    this.#copies = arrays.map(({ value }) => keep(freshLike(value, 'copy')))
  }

  /** The iteration of the network that is kept; undefined when none is. */
  get keptIteration(): number | undefined {
    return this.#copies.length > 0 ? this.best?.iteration : undefined
  }

  /** The arrays that are kept, named like the network's own: `learnables/conv/Weights`. */
  kept(): Record<string, DlArray> {
    const names = this.#current().map(({ name }) => name)
    return Object.fromEntries(this.#copies.map((copy, i) => [names[i]!, copy]))
  }

  /** Goes on from a checkpoint; `saved` finds the array in place of one of the network's own. */
  restore(best: Judged | undefined, failures: number, saved: (name: string, like: DlArray) => DlArray): void {
    this.best = best
    this.failures = failures
    if (best && this.isKept)
      this.#keep(this.#current().map(({ name, value }) => ({ value: saved(`best/${name}`, value) })))
  }

  /** Gives the network the values that are kept, in place. */
  apply(): void {
    if (this.#copies.length === 0) return
    for (const [i, { value }] of this.#current().entries()) value.storage.view().set(this.#copies[i]!.storage.view())
  }

  dispose(): void {
    for (const copy of this.#copies) copy.dispose()
    this.#copies = []
  }
}
