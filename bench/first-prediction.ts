// `first-prediction.js NAME FILE`: imports a library, predicts one picture with the page's network, says how long it took.
// FILE is the library's entry for dlnet, the network for those that read ONNX.

import { readFileSync } from 'node:fs'
import type { Ort } from './peers/onnxruntime.js'
import { NETWORK, noise } from './task.js'

const { extent, channels, filters, filterExtent, classes } = NETWORK
const picture = noise(1, channels * extent ** 2)

const libraries: Record<string, (file: string) => Promise<ArrayLike<number>>> = {
  async dlnet(entry) {
    const dlnet = (await import(entry)) as typeof import('../src/index.js')
    const net = dlnet.dlnetwork([
      dlnet.imageInputLayer([extent, extent, channels], { normalization: 'none' }),
      dlnet.convolution2dLayer(filterExtent, filters),
      dlnet.instanceNormalizationLayer(),
      dlnet.reluLayer(),
      dlnet.maxPooling2dLayer(2, { stride: 2 }),
      dlnet.fullyConnectedLayer(classes),
      dlnet.softmaxLayer(),
    ])
    return net.predict(dlnet.dlarray(picture, [extent, extent, channels, 1], 'SSCB')).values()
  },
  'onnxruntime-node': onnxruntime,
  'onnxruntime-web': onnxruntime,
}

async function onnxruntime(file: string): Promise<ArrayLike<number>> {
  const ort = (await import(name!)) as Ort
  const session = await ort.InferenceSession.create(readFileSync(file), {})
  const feeds = { x: new ort.Tensor('float32', picture, [1, channels, extent, extent]) }
  return (await session.run(feeds)).scores!.data
}

const [name, file] = process.argv.slice(2)
const begin = performance.now()
const scores = await libraries[name!]!(file!)
const milliseconds = performance.now() - begin
const total = Array.from(scores).reduce((sum, score) => sum + score, 0)
if (scores.length !== classes || !(Math.abs(total - 1) < 1e-4)) throw new Error(`these are no scores: ${scores}`)
process.stdout.write(`${JSON.stringify({ milliseconds, before: begin })}\n`)
process.exit(0)
