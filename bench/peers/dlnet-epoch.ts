import { readFileSync } from 'node:fs'
import { labelsFromIDX, parseIDX } from '../../src/data/idx.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'
import type { Prepared } from '../peer.js'
import { DIGITS, inputsOf, NETWORK, networkOf, SOLVER, type Task, TRAINING_STEPS } from '../task.js'
import { network } from './dlnet-network.js'

/** An epoch of `trainnet`: the network, its solver and the encoding of labels are made anew in each. */
export function prepareEpoch(task: Task & { kind: 'epoch' }): Prepared {
  const { images, batch, data } = task
  const { extent } = NETWORK
  // Rows first or columns first: the filters of the other libraries lie as the files' pictures do.
  const bytes = parseIDX(readFileSync(DIGITS.images)).values.subarray(0, images * extent ** 2)
  const labels = labelsFromIDX(parseIDX(readFileSync(DIGITS.labels)), { limit: images })
  const values = data === 'bytes' ? (bytes as Uint8Array) : Float32Array.from(bytes, (level) => level / 255)
  const net = network(networkOf(task), inputsOf(task), data === 'bytes' ? 'rescale-zero-one' : 'none')

  async function train(count: number, shuffle: 'every-epoch' | 'never') {
    const options = trainingOptions('sgdm', {
      maxEpochs: 1,
      miniBatchSize: batch,
      shuffle,
      initialLearnRate: SOLVER.learnRate,
      momentum: SOLVER.momentum,
      l2Regularization: SOLVER.decay,
      resetInputNormalization: false,
      seed: 1,
      verbose: false,
    })
    const X = { values: values.subarray(0, count * extent ** 2), size: [extent, extent, 1, count] }
    return trainnet(X, labels.subarray(0, count), net, 'crossentropy', options)
  }

  return {
    async run() {
      const trained = await train(images, 'every-epoch')
      trained.net.dispose()
    },
    async outputs() {
      const trained = await train(TRAINING_STEPS * batch, 'never')
      const weights = new Float32Array(trained.net.parameterList()[0]!.value.values())
      trained.net.dispose()
      return { loss: Float32Array.from(trained.info.trainingHistory.loss), weights }
    },
    release: () => net.dispose(),
  }
}
