// A launch that is put off until the next one, since that may do its work on what this one writes while it is still in the
// cache. Everything keeps its order: the next launch, and whoever looks at elements, has this one run first.

import { type Storage, settleAfterwards } from '../../array/storage.js'

/** A launch among which a reduction of what it writes can be done. */
export interface HeldLaunch {
  /** Address of what it writes, `length` elements. */
  readonly y: number
  readonly length: number
  /** Whether it goes with a reduction whose items are `span` elements each and follow each other in memory. */
  readonly canReduce: (span: number) => boolean
  /** Runs it, and the reduction with the block at this address if there is one. */
  readonly run: (reduction?: { readonly address: number; readonly span: number }) => void
}

export class LaunchHolder {
  #launch: HeldLaunch | undefined
  /** What the launch reads and writes: memory that nobody else may be given meanwhile. */
  #storages: readonly Storage[] = []
  /** The same of the operation that is running, if its launch may be put off. */
  #lent: readonly (Storage | undefined)[] | undefined

  /** Runs an operation over these storages with a launch allowed to be put off beyond its end. */
  lending(storages: readonly (Storage | undefined)[], operation: () => void): void {
    this.#lent = storages
    try {
      operation()
    } finally {
      this.#lent = undefined
    }
  }

  /** Puts a launch off, or runs it now where that is not allowed. */
  hold(launch: HeldLaunch): void {
    this.settle()
    if (this.#lent === undefined) {
      launch.run()
      return
    }
    this.#storages = this.#lent.flatMap((storage) => storage?.retain() ?? [])
    this.#launch = launch
    settleAfterwards.add(this)
  }

  /** Runs the launch that is put off, if there is one. */
  settle(): void {
    if (this.#launch !== undefined) this.take((launch) => launch.run())
  }

  /** Has `use` run the launch that is put off, if there is one that `fits`; whether there was. */
  take(use: (launch: HeldLaunch) => void, fits: (launch: HeldLaunch) => boolean = () => true): boolean {
    const launch = this.#launch
    if (launch === undefined || !fits(launch)) return false
    // what it launches does not wait for it
    this.#launch = undefined
    try {
      use(launch)
    } catch (error) {
      // where a thread was lost it can run again with those that are left
      this.#launch = launch
      throw error
    }
    settleAfterwards.delete(this)
    for (const storage of this.#storages) storage.release()
    this.#storages = []
    return true
  }
}
