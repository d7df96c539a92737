// The bandwidth of memory: memcpy of as many bytes as the task must move. What a kernel that moves these bytes and computes
// a little can hope for on this machine.

import { Worker } from 'node:worker_threads'
import { type Peer, Unsupported } from '../peer.js'
import { bytesMoved } from '../task.js'

/** Words of the control block: the job's number, how many have finished it. */
const JOB = 0
const FINISHED = 1

export async function start(threads: number): Promise<Peer> {
  return {
    version: 'memcpy',
    threads,
    async prepare(task) {
      const bytes = bytesMoved(task)
      if (bytes === undefined) throw new Unsupported('arithmetic decides, not memory')
      // A byte copied is a byte read and a byte written.
      const share = Math.max(1, Math.round(bytes / 2 / 4 / threads))
      const control = new Int32Array(new SharedArrayBuffer(8))
      const workers = Array.from(
        { length: threads - 1 },
        () => new Worker(new URL('./copy-worker.mjs', import.meta.url), { workerData: { control, share } }),
      )
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
      const from = new Float32Array(share).fill(1)
      const to = new Float32Array(share).fill(0)
      return {
        run() {
          Atomics.store(control, FINISHED, 0)
          Atomics.add(control, JOB, 1)
          Atomics.notify(control, JOB)
          to.set(from)
          while (Atomics.load(control, FINISHED) < workers.length);
        },
        outputs: () => ({}),
        release() {
          for (const worker of workers) worker.terminate()
        },
      }
    },
  }
}
