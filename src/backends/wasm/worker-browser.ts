import { BackendError } from '../../errors.js'

// What a worker thread runs, as text, so that bundlers and browsers need no file of its own, and how to start one in a browser.
// The text is plain JavaScript of the engines that have shared WebAssembly memory. Stands for worker.ts in bundles for browsers
// (package.json, `browser`).

/** What a worker is told when it starts. */
export interface WorkerTask {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  /** The kernels in the order that jobs number them. */
  readonly names: readonly string[]
  /** Address of the pool's control region. */
  readonly control: number
  /** Address of this worker's own working memory. */
  readonly scratch: number
  /** How long it looks for the next job before it sleeps, in milliseconds. */
  readonly spin: number
}

/** One started thread. */
export interface WorkerHandle {
  /** Whether it keeps a Node process alive; at first it does not. */
  keepAlive(yes: boolean): void
  /** Ends the thread, whatever it does; resolves when it no longer touches memory. */
  terminate(): Promise<void>
}

export interface WorkerEvents {
  ready(): void
  /** It ended, could not start, or was told to end; the reason as a clause. */
  ended(reason: string): void
}

/** How many times the claim word is read between two looks at the clock: about a microsecond. */
const POLLS = 1000

/** The function `work` that a worker calls. */
export const SOURCE = `'use strict'
function work({ module, memory, names, control, scratch, spin }, ready) {
  const host = new WebAssembly.Instance(module, { env: { memory } }).exports
  const kernels = names.map((name) => host[name])
  host.setScratch(scratch)
  let job = host.jobNumber(control)
  host.reportReady(control)
  ready()
  for (;;) {
    let begin
    while ((begin = host.claim(control)) >= 0) {
      const end = host.rangeEnd(control, begin)
      try {
        kernels[host.jobKernel(control)](host.jobBlock(control), begin, end)
      } catch (error) {
        if (host.claimFailure(control)) {
          const text = new TextEncoder().encode(String(error)).subarray(0, host.failureCapacity())
          new Uint8Array(memory.buffer, host.failureText(control), text.length).set(text)
          host.reportFailure(control, text.length)
        }
      }
      host.finish(control, end - begin)
    }
    const sleepAt = performance.now() + spin
    while (!host.pollJob(control, job, ${POLLS})) if (performance.now() > sleepAt) host.sleepUntilJob(control, job)
    job = host.jobNumber(control)
  }
}
`

const BROWSER_SOURCE = `${SOURCE}
onmessage = (event) => work(event.data, () => postMessage('ready'))
`

/** A browser gives no sign when a terminated worker has really ended. */
const BROWSER_END_MILLISECONDS = 1000

/** Starts a worker thread. Throws {@link BackendError} where there are none. */
export function startWorker(task: WorkerTask, events: WorkerEvents): WorkerHandle {
  if (typeof Worker === 'undefined' || typeof Blob === 'undefined')
    throw new BackendError({
      call: 'setThreads',
      expects: 'an engine with Web Workers or node:worker_threads',
      got: 'neither',
      remedy: 'Use one thread here.',
    })
  const url = URL.createObjectURL(new Blob([BROWSER_SOURCE], { type: 'text/javascript' }))
  const worker = new Worker(url, { name: 'dlnet' })
  worker.onmessage = () => {
    URL.revokeObjectURL(url)
    events.ready()
  }
  worker.onerror = (event) => {
    event.preventDefault()
    events.ended(
      `it failed: ${event.message || 'the page may forbid such workers: allow worker-src blob: in its Content-Security-Policy'}`,
    )
  }
  worker.postMessage(task)
  return {
    keepAlive() {},
    terminate() {
      worker.terminate()
      events.ended('it was told to end')
      return new Promise((resolve) => setTimeout(resolve, BROWSER_END_MILLISECONDS))
    },
  }
}
