import { expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setThreads } from '../../src/backends/current.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'
import { expectClose } from '../support/close.js'
import { describeGolden, type GoldenArray } from '../support/golden.js'

interface Factor {
  learnRate: number
  l2: number
}

interface Trajectory {
  solver: 'sgdm' | 'adam' | 'rmsprop'
  inputSize: [number, number, number]
  convs: { filterSize: number | [number, number]; numFilters: number }[]
  classes: number
  learnRate: number
  l2: number
  factors: { w: Factor; b: Factor; o: Factor; s: Factor }
  parameters: string[]
  initial: GoldenArray[]
  X: GoldenArray[]
  labels: number[][]
  losses: number[]
  final: GoldenArray[]
}

/** Relative to the largest value of an array, after six steps. */
const DOUBLE_STEPS = 1e-9
const SINGLE_STEPS = 1e-5

// Instance normalization takes away what the bias of the convolution before it adds, so the bias has no gradient but rounding
// noise. adam and rmsprop divide it by its own size: in double, where the noise is far below their epsilon, biases agree to an
// absolute 1e-9; in single each step moves them somewhere within about the learn rate, and only that is certain.
const NOISE_ONLY = 'conv.Bias'

function layersOf({ inputSize, convs, classes, factors, initial }: Trajectory, type: 'single' | 'double') {
  const values = initial.map(({ size, data }) => dlarray(data, size, { type }))
  const { w, b, o, s } = factors
  const weightsAndBias = () => ({
    weights: values.shift()!,
    bias: values.shift()!,
    weightLearnRateFactor: w.learnRate,
    weightL2Factor: w.l2,
    biasLearnRateFactor: b.learnRate,
    biasL2Factor: b.l2,
  })
  const blocks = convs.flatMap(({ filterSize, numFilters }) => [
    convolution2dLayer(filterSize, numFilters, weightsAndBias()),
    instanceNormalizationLayer({
      offset: values.shift()!,
      scale: values.shift()!,
      offsetLearnRateFactor: o.learnRate,
      offsetL2Factor: o.l2,
      scaleLearnRateFactor: s.learnRate,
      scaleL2Factor: s.l2,
    }),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
  ])
  return [
    imageInputLayer(inputSize, { normalization: 'none' }),
    ...blocks,
    fullyConnectedLayer(classes, weightsAndBias()),
    softmaxLayer(),
  ]
}

function batchesOf({ X, labels, classes }: Trajectory, type: 'single' | 'double') {
  return {
    *[Symbol.iterator]() {
      for (const [i, { size, data }] of X.entries()) {
        const observations = labels[i]!.length
        const oneHot = new Float64Array(classes * observations)
        labels[i]!.forEach((label, b) => {
          oneHot[b * classes + label] = 1
        })
        const input: DlArray = dlarray(data, size, 'SSCB', { type })
        const target: DlArray = dlarray(oneHot, [classes, observations], 'CB', { type })
        yield { inputs: [input], targets: [target], observations }
      }
    },
  }
}

describeGolden<Trajectory[]>('training', (trajectories) => {
  for (const [number, one] of trajectories.entries())
    for (const [type, tolerance] of [
      ['double', DOUBLE_STEPS],
      ['single', SINGLE_STEPS],
    ] as const)
      it(`${number + 1}: ${one.solver}, ${one.convs.length} convolutions, ${type}`, async () => {
        setThreads(1)
        const options = trainingOptions(one.solver, {
          initialLearnRate: one.learnRate,
          l2Regularization: one.l2,
          maxEpochs: 1,
          shuffle: 'never',
          verbose: false,
        })
        const { net, info } = await trainnet(batchesOf(one, type), layersOf(one, type), 'crossentropy', options)
        expectClose(info.trainingHistory.loss, one.losses, tolerance, 'losses')
        const learnables = net.learnables
        expect(learnables.length).toBe(one.final.length)
        for (const [i, { size, data }] of one.final.entries()) {
          const value = learnables[i]!.value!
          expect(value.numel).toBe(size.reduce((a, b) => a * b, 1))
          expect(value.underlyingType).toBe(type)
          const isNoise = one.parameters[i] === NOISE_ONLY && one.solver !== 'sgdm'
          if (!isNoise) expectClose(value.values(), data, tolerance, one.parameters[i])
          else
            for (const [k, bias] of value.values().entries()) {
              // 1/sqrt(1 - 0.9), rmsprop's first step in units of the learn rate, is the largest step of all.
              const reach = 3.2 * one.X.length * one.learnRate * one.factors.b.learnRate
              // In double, what is left of the gradient, 1e-16 and more by order of summation, over adam's epsilon of 1e-8.
              const [expected, allowed] = type === 'double' ? [data[k]!, 1e-8] : [one.initial[i]!.data[k]!, reach]
              expect(Math.abs(bias - expected), one.parameters[i]).toBeLessThan(allowed)
            }
        }
      })
})
