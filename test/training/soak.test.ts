import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { setThreads, startedBackends, wasmBackend } from '../../src/backends/current.js'
import { inMemorySource } from '../../src/data/source.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { type OutputFcnInfo, trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'

const ITERATIONS = 10_000
/** Until then buffers of all sizes have been made, those of the last, smaller mini-batch too. */
const WARM = 100
/** Until then code is compiled, which is in the heap too. */
const COMPILED = 5000
/** More than the histories of the iterations after that, less than one array a step. */
const FEW_BYTES = 300 * (ITERATIONS - COMPILED)

/** Bytes of what can still be reached. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

it(`memory stays flat over ${ITERATIONS} iterations with shuffling, metrics, clipping and validation`, async () => {
  setThreads(1)
  const stream = new RandomStream(1)
  const count = 10
  const X = { values: Float32Array.from({ length: 64 * count }, () => stream.normal()), size: [8, 8, 1, count] }
  const T = Array.from({ length: count }, (_, i) => ['a', 'b'][i % 2]!)
  const layers = [
    imageInputLayer([8, 8, 1]),
    convolution2dLayer(3, 3),
    instanceNormalizationLayer(),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
    fullyConnectedLayer(2),
    softmaxLayer(),
  ]
  const seen = new Map<number, { storages: number[]; bytes: number[]; fresh: number }>()
  const heap = new Map<number, number>()
  const outputFcn = ({ state, iteration }: OutputFcnInfo) => {
    if (state === 'iteration' && (iteration === COMPILED || iteration === ITERATIONS - 1))
      heap.set(iteration, heapUsed())
    if (state !== 'iteration' || (iteration !== WARM && iteration !== ITERATIONS - 1)) return
    const memory = startedBackends().map((backend) => backend.memory())
    seen.set(iteration, {
      storages: memory.map(({ storages }) => storages),
      bytes: memory.map(({ bytesInUse }) => bytesInUse),
      fresh: wasmBackend().bytesFresh,
    })
  }
  const options = trainingOptions('adam', {
    maxEpochs: ITERATIONS / 4,
    shuffle: 'every-epoch',
    metrics: 'accuracy',
    gradientThreshold: 1,
    validationData: [X, T],
    validationFrequency: 50,
    verbose: false,
    seed: 1,
    outputFcn,
  })
  // With a last mini-batch in each epoch that is not full.
  const source = inMemorySource(X, T, { inputFormat: 'SSCB', miniBatchSize: 3, labels: 'onehot' })
  const { info } = await trainnet(source, layers, 'crossentropy', options)
  expect(info.trainingHistory.iteration.length).toBe(ITERATIONS)
  expect(seen.get(ITERATIONS - 1)).toEqual(seen.get(WARM))
  expect(heap.get(ITERATIONS - 1)! - heap.get(COMPILED)!).toBeLessThan(FEW_BYTES)
  expect(info.trainingHistory.loss.at(-1)).toBeLessThan(0.1)
}, 300_000)
