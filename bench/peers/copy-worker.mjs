// A thread of the memory copy: copies its share whenever the job's number grows.

import { parentPort, workerData } from 'node:worker_threads'

const { control, share } = workerData
const from = new Float32Array(share).fill(1)
const to = new Float32Array(share).fill(0)
let job = 0
parentPort.postMessage('ready')
for (;;) {
  const spinUntil = performance.now() + 0.1
  while (Atomics.load(control, 0) === job && performance.now() < spinUntil);
  Atomics.wait(control, 0, job)
  job = Atomics.load(control, 0)
  to.set(from)
  Atomics.add(control, 1, 1)
}
