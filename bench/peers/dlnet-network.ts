import type { DlArray } from '../../src/array/dlarray.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { trainingLoss } from '../../src/training/losses.js'
import { RecordedSteps } from '../../src/training/recorded-steps.js'
import { createSolver } from '../../src/training/solvers.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { trainingStep } from '../../src/training/training-step.js'
import type { Prepared } from '../peer.js'
import { inputsOf, networkShape, oneHot, SOLVER, type Task, TRAINING_STEPS, transposed } from '../task.js'

type NetworkTask = Task & { kind: 'network' }

/** The network with the weights of `inputs`; `'rescale-zero-one'` takes levels from 0 to 255. */
export function network(
  task: NetworkTask,
  inputs: Record<string, Float32Array>,
  normalization: 'none' | 'rescale-zero-one' = 'none',
): DlNetwork {
  const { extent, channels, filters, filterExtent, pooled, classes } = networkShape(task)
  const net = dlnetwork([
    imageInputLayer([extent, extent, channels], {
      normalization,
      ...(normalization !== 'none' && { min: 0, max: 255 }),
    }),
    convolution2dLayer(filterExtent, filters, { name: 'conv' }),
    instanceNormalizationLayer({ name: 'instancenorm' }),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
    fullyConnectedLayer(classes, { name: 'fc' }),
    softmaxLayer(),
  ])
  const { weights, bias, scale, offset, fullWeights, fullBias } = inputs
  const values: Record<string, Float32Array> = {
    'conv/Weights': weights!,
    'conv/Bias': bias!,
    'instancenorm/Scale': scale!,
    'instancenorm/Offset': offset!,
    'fc/Weights': transposed(fullWeights!, classes, filters * pooled ** 2),
    'fc/Bias': fullBias!,
  }
  const given = net.learnables.map(({ layer, parameter, value }) =>
    dlarray(values[`${layer}/${parameter}`]!, value!.size),
  )
  net.replaceParameters(given)
  return net
}

/** The page's network on one mini-batch. */
export function prepareNetwork(task: NetworkTask): Prepared {
  const { extent, channels, classes } = networkShape(task)
  const inputs = inputsOf(task)
  const X: DlArray = dlarray(inputs.x!, [extent, extent, channels, task.batch], 'SSCB')
  const T: DlArray = dlarray(oneHot(inputs.labels!, classes), [classes, task.batch], 'CB')
  if (task.pass === 'predict') {
    const net = network(task, inputs)
    return {
      run: () =>
        scope(() => {
          net.predict(X)
        }),
      outputs: () => ({ scores: scope(() => new Float32Array(net.predict(X).values())) }),
      release: () => net.dispose(),
    }
  }
  let training = startTraining(network(task, inputs))
  return {
    run: () => training.step(X, T),
    outputs() {
      const loss = Float32Array.from({ length: TRAINING_STEPS }, () => training.step(X, T))
      const weights = new Float32Array(training.net.parameterList()[0]!.value.values())
      training.dispose()
      training = startTraining(network(task, inputs))
      return { loss, weights }
    },
    release: () => training.dispose(),
  }
}

/** Iterations as `trainnet` makes them; each gives the loss before it. */
function startTraining(net: DlNetwork) {
  const options = trainingOptions('sgdm', {
    initialLearnRate: SOLVER.learnRate,
    momentum: SOLVER.momentum,
    l2Regularization: SOLVER.decay,
  })
  const parameters = net.parameterList().map((row) => ({ ...row, name: `${row.layer}/${row.parameter}` }))
  const solver = createSolver(options, parameters)
  const loss = trainingLoss('crossentropy', 'bench')
  const plain = { net, parameters, solver, loss, metrics: [], random: new RandomStream(1) }
  const context = { ...plain, recorded: new RecordedSteps(plain) }
  let iteration = 0
  return {
    net,
    step(X: DlArray, T: DlArray): number {
      const batch = { inputs: [X], targets: [T], observations: X.size.at(-1)! }
      return trainingStep(context, batch, SOLVER.learnRate, ++iteration).loss
    },
    dispose() {
      context.recorded.dispose()
      solver.dispose()
      net.dispose()
    },
  }
}
