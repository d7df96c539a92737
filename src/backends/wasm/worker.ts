import {
  SOURCE,
  startWorker as startWebWorker,
  type WorkerEvents,
  type WorkerHandle,
  type WorkerTask,
} from './worker-browser.js'

// How to start a worker thread in Node; elsewhere it is started as in browsers.

const NODE_SOURCE = `${SOURCE}
const { parentPort, workerData } = require('node:worker_threads')
work(workerData, () => parentPort.postMessage('ready'))
`

/** Starts a worker thread. Throws {@link BackendError} where there are none. */
export function startWorker(task: WorkerTask, events: WorkerEvents): WorkerHandle {
  const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads')
  if (!threads) return startWebWorker(task, events)
  // The program's own loaders and flags are not for this thread.
  const worker = new threads.Worker(NODE_SOURCE, { eval: true, execArgv: [], workerData: task, name: 'dlnet' })
  let ended = false
  let reason: string | undefined
  worker.on('message', events.ready)
  worker.on('error', (error) => {
    reason = `it failed: ${error}`
  })
  worker.on('exit', (code) => {
    ended = true
    events.ended(reason ?? `it was ended from outside (exit code ${code})`)
  })
  worker.unref()
  return {
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
    async terminate() {
      if (!ended) await worker.terminate()
    },
  }
}
