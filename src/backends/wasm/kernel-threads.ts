import { BackendError, OptionError } from '../../errors.js'
import type { Heap } from './heap.js'
import type { KernelPlan } from './kernel-plan.js'
import type { KernelInstance } from './module.js'
import { processorCount, ThreadPool } from './threads.js'

// The threads that run a backend's kernels: the calling one, and a pool of workers that is started and ended as users ask,
// with memory lent from the heap.

const MAXIMUM_THREADS = 256
/** Turns per thread when the caller gives no grain: some slack for threads that start late or run slowly. */
const TURNS = 4

interface Surroundings {
  readonly instance: KernelInstance
  readonly heap: Heap
  /** The kernels in the order of their numbers. */
  readonly names: readonly string[]
}

export class KernelThreads {
  readonly #surroundings: Surroundings
  #pool: ThreadPool | undefined
  /** Those asked for. */
  #threads = 1
  #endPool: (() => Promise<void>) | undefined
  /** Resolves when all workers that were told to end have ended. */
  #ended: Promise<unknown> = Promise.resolve()
  /** Why there is no pool. */
  #noPoolBecause: string | undefined

  constructor(surroundings: Surroundings, threads: number) {
    this.#surroundings = surroundings
    this.#startPool(threads)
  }

  /** Threads that run kernels once the workers have started. */
  get count(): number {
    const pool = this.#pool
    if (pool === undefined || pool.lostBecause !== undefined) return 1
    return pool.notStartedBecause === undefined ? this.#threads : pool.threads
  }

  /** Why the calling thread is alone, where it is. */
  get singleBecause(): string | undefined {
    return this.count === 1 ? (this.#noPoolBecause ?? this.#pool?.lacking) : undefined
  }

  /** Starts or ends workers so that `threads` run kernels. */
  set(call: string, threads: number): void {
    checkThreads(call, threads)
    this.#stopPool()
    this.#startPool(threads)
  }

  /** Resolves when every worker runs, or is known not to start. */
  async started(): Promise<void> {
    await this.#pool?.started()
  }

  /** Ends the workers; resolves when they have ended. */
  async stop(): Promise<void> {
    this.#stopPool()
    await this.#ended
  }

  /**
   * Runs a kernel over one item or more, on the calling thread alone when they are no more than `grain`. Throws a {@link BackendError}
   * for what the kernel throws, and when a worker was lost.
   */
  run(plan: KernelPlan, block: number, items: number, grain: number | undefined): void {
    const pool = this.#pool
    try {
      // Threads would wait for ever for what is no number of items, or for ranges of no items.
      if ((items | 0) !== items || Number.isNaN(grain)) throw badWork(items, grain)
      if (pool === undefined) plan.kernel(block, 0, items)
      else this.#runOnPool(pool, plan, block, items, grain)
    } catch (error) {
      throw this.#failure(plan.name, error)
    }
  }

  #runOnPool(
    pool: ThreadPool,
    plan: KernelPlan,
    block: number,
    items: number,
    grain = Math.ceil(items / (TURNS * this.#threads)),
  ): void {
    if (pool.lostBecause !== undefined) throw pool.lost('run a kernel')
    if (items <= grain || pool.threads === 1) plan.kernel(block, 0, items)
    else pool.run(plan.index, plan.kernel, block, items, Math.max(1, Math.floor(grain)))
  }

  #failure(name: string, error: unknown): BackendError {
    const pool = this.#pool
    if (pool?.lostBecause !== undefined) {
      this.#stopPool()
      this.#noPoolBecause = pool.lacking
    }
    if (error instanceof BackendError) return error
    const problem = {
      call: `kernel ${name}`,
      expects: 'to run to its end',
      got: error instanceof Error ? error.message : String(error),
      remedy: 'This is an error in dlnet: please report it with the sizes of the arrays.',
    }
    return new BackendError(problem, { cause: error })
  }

  #startPool(threads: number): void {
    const { instance, heap, names } = this.#surroundings
    const { host, unsharedBecause } = instance
    const processors = processorCount()
    this.#threads = 1
    this.#noPoolBecause = unsharedBecause
    if (unsharedBecause !== undefined) return
    if (threads === 1) {
      this.#noPoolBecause = processors === 1 ? 'this machine has one processor' : 'one thread was asked for'
      return
    }
    const lent: { address: number; bytes: number }[] = []
    const lend = (bytes: number) => {
      const address = heap.allocate(bytes)
      lent.push({ address, bytes })
      return address
    }
    const giveBack = () => {
      for (const { address, bytes } of lent) heap.free(address, bytes)
    }
    try {
      const pool = new ThreadPool({
        instance,
        names,
        control: lend(host.poolBytes()),
        scratches: Array.from({ length: threads - 1 }, () => lend(host.scratchBytes())),
        processors,
      })
      this.#pool = pool
      this.#threads = threads
      this.#endPool = () => pool.stop().then(giveBack)
    } catch (error) {
      giveBack()
      this.#noPoolBecause = `${threads} threads could not be started`
      throw error
    }
  }

  /** Ends the pool's workers, if there are any; their memory comes back when they have ended. */
  #stopPool(): void {
    const ending = this.#endPool?.()
    this.#pool = undefined
    this.#endPool = undefined
    this.#threads = 1
    this.#noPoolBecause = 'the workers were stopped'
    if (ending) this.#ended = Promise.all([this.#ended, ending])
  }
}

function badWork(items: number, grain: number | undefined): RangeError {
  return new RangeError(`a launch of ${items} items${grain === undefined ? '' : `, ${grain} at a time`}`)
}

/** The threads a backend begins with: those asked for, those of the variable DLNET_THREADS in Node, or one per processor. */
export function initialThreads(call: string, asked: number | undefined): number {
  return checkThreads(call, asked ?? threadsFromEnvironment() ?? processorCount())
}

function checkThreads(call: string, threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAXIMUM_THREADS) return threads
  throw new OptionError({
    call,
    expects: `a whole number of threads from 1 to ${MAXIMUM_THREADS}`,
    got: String(threads),
    remedy: 'Use 1 for no worker threads; leave it out for one thread per processor.',
  })
}

/** The environment variable DLNET_THREADS, in Node. */
function threadsFromEnvironment(): number | undefined {
  const text = globalThis.process?.env?.DLNET_THREADS
  return text === undefined || text === '' ? undefined : checkThreads('DLNET_THREADS', Number(text))
}
