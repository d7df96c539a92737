// The pool of threads that run one kernel's items together: the workers and the thread that calls. What the shared words
// mean is in kernels/pool.ts. Touches the control region it is given and nothing else of the heap.

import { BackendError } from '../../errors.js'
import type { Kernel, KernelInstance } from './module.js'
import { startWorker } from './worker.js'
import type { WorkerHandle } from './worker-browser.js'

/**
 * A spinning worker takes a job in 0.3 us, a sleeping one in some 5 us plus what the system needs. Long enough for the work
 * between the kernels of a training step, so that workers sleep between steps that do not follow one another.
 */
const SPIN_MILLISECONDS = 1
/** With more threads than processors a thread that spins may keep another from working. */
const CROWDED_SPIN_MILLISECONDS = 0.01
/** How many times a word is read between two looks at the clock: about a microsecond. */
const POLLS = 1000
/** How long the caller sleeps at most before it looks again whether anything moves. */
const SLEEP_MILLISECONDS = 10
/** Longest time that counts as waiting between two looks at the clock: a suspended computer is no dead worker. */
const LONGEST_STEP_MILLISECONDS = 100
/**
 * A job in which no thread finishes anything for so long has lost a worker. No sign of a lost thread arrives while the caller
 * waits, so time must tell; but ranges that took the caller long may take others longer, and a caller that had none knows nothing.
 */
const PATIENCE_MILLISECONDS = 10_000
const PATIENCE_TIMES_OWN = 20
const PATIENCE_TIMES_UNKNOWN = 60

interface PoolOptions {
  instance: KernelInstance
  /** The kernels in the order that jobs number them. */
  names: readonly string[]
  /** Address of `host.poolBytes()` bytes that belong to the pool alone. */
  control: number
  /** Addresses of one working memory per worker; their number is the number of workers. */
  scratches: readonly number[]
  /** Processors of the machine. */
  processors: number
  /** How long a job of short ranges may stand still, in milliseconds. Default 10,000. */
  patience?: number
}

/** Processors this process may use. */
export function processorCount(): number {
  const os = globalThis.process?.getBuiltinModule?.('node:os')
  return os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1
}

/** Whether this thread may sleep; a page's main thread may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0)
    return true
  } catch {
    return false
  }
}

export class ThreadPool {
  /** Why the pool cannot be used any more: a worker was lost. */
  lostBecause?: string
  /** Why workers could not start; those that could are used. */
  notStartedBecause?: string

  readonly #instance: KernelInstance
  readonly #control: number
  readonly #patience: number
  readonly #spin: number
  readonly #sleeps = maySleep()
  readonly #workers: WorkerHandle[] = []
  readonly #started: Promise<unknown>
  #stopping = false

  constructor({ instance, names, control, scratches, processors, patience }: PoolOptions) {
    this.#instance = instance
    this.#control = control
    this.#patience = patience ?? PATIENCE_MILLISECONDS
    this.#spin = scratches.length + 1 > processors ? CROWDED_SPIN_MILLISECONDS : SPIN_MILLISECONDS
    instance.host.resetPool(control)
    const { module, memory } = instance
    this.#started = Promise.all(
      scratches.map(
        (scratch) =>
          new Promise<void>((resolve) => {
            let ready = false
            const events = {
              ready() {
                ready = true
                resolve()
              },
              ended: (reason: string) => {
                if (this.#stopping) return resolve()
                if (ready) this.lostBecause ??= reason
                else this.notStartedBecause ??= reason
                resolve()
              },
            }
            try {
              this.#workers.push(startWorker({ module, memory, names, control, scratch, spin: this.#spin }, events))
            } catch (error) {
              events.ended(error instanceof Error ? error.message : String(error))
            }
          }),
      ),
    )
  }

  /** Threads that take part in a job at this moment, the calling one included. */
  get threads(): number {
    return 1 + this.#instance.host.readyWorkers(this.#control)
  }

  /** Why threads are missing, or undefined. */
  get lacking(): string | undefined {
    if (this.lostBecause !== undefined) return `a worker thread is gone: ${this.lostBecause}`
    return this.notStartedBecause && `worker threads did not start: ${this.notStartedBecause}`
  }

  /** Resolves when every worker has started, is known not to, or was told to end. */
  async started(): Promise<void> {
    for (const worker of this.#workers) worker.keepAlive(true)
    await this.#started
    for (const worker of this.#workers) worker.keepAlive(false)
  }

  /**
   * Runs items 0 to `items` of a kernel, `grain` at a time, on all threads; the calling thread works too. Throws what
   * the kernel throws, once no thread is inside it any more, and {@link BackendError} when a worker was lost.
   */
  run(index: number, kernel: Kernel, block: number, items: number, grain: number): void {
    const { host } = this.#instance
    const control = this.#control
    const started = performance.now()
    let ranges = 0
    host.publish(control, index, block, items, grain)
    let begin = host.claim(control)
    for (; begin >= 0; ranges++) {
      const end = host.rangeEnd(control, begin)
      try {
        kernel(block, begin, end)
      } catch (error) {
        host.finish(control, end - begin)
        this.#wait(host.close(control), this.#patience)
        throw error
      }
      host.finish(control, end - begin)
      begin = host.claim(control)
    }
    if (host.pollDone(control, items, POLLS) !== items) {
      const own = performance.now() - started
      const patience = this.#patience
      this.#wait(items, ranges === 0 ? PATIENCE_TIMES_UNKNOWN * patience : Math.max(patience, PATIENCE_TIMES_OWN * own))
    }
    host.close(control)
    if (host.failureBytes(control) !== 0) throw this.#failure()
  }

  /** Ends all workers; resolves when none of them touches memory any more. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  /** Until `items` are finished; gives up when nothing moves for longer than `patience`. */
  #wait(items: number, patience: number): void {
    const { host } = this.#instance
    const control = this.#control
    let target = items
    let last = -1
    let waited = 0
    let spun = 0
    let before = performance.now()
    for (;;) {
      const done = host.pollDone(control, target, POLLS)
      if (done === target) return
      // A kernel failed on a worker: the ranges that nobody has begun need not run.
      if (host.failureBytes(control) !== 0) target = host.close(control)
      const now = performance.now()
      const step = Math.min(now - before, LONGEST_STEP_MILLISECONDS)
      before = now
      spun += step
      waited = done === last ? waited + step : 0
      last = done
      if (waited > patience) {
        host.close(control)
        this.lostBecause = `one of them stopped in the middle of its work (${done} of ${target} items done)`
        throw this.lost('run the kernel')
      }
      if (this.#sleeps && spun > this.#spin) host.sleepWhileDone(control, done, SLEEP_MILLISECONDS)
    }
  }

  /** The error of a pool with {@link lostBecause}. */
  lost(call: string): BackendError {
    return new BackendError({
      call,
      expects: 'all worker threads to be alive',
      got: `a worker thread that is gone: ${this.lostBecause}`,
      remedy: 'Run again: kernels go on with one thread. setThreads(n) starts new workers.',
    })
  }

  #failure(): Error {
    const { host, memory } = this.#instance
    const bytes = new Uint8Array(memory.buffer, host.failureText(this.#control), host.failureBytes(this.#control))
    return new Error(new TextDecoder().decode(bytes.slice()))
  }
}
