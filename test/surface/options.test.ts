import { describe, expect, it } from 'vitest'
import { checkFormat } from '../../src/array/format.js'
import { nearest } from '../../src/errors.js'
import {
  arrayDatastore,
  avgpool,
  convolution2dLayer,
  crossentropy,
  dlarray,
  dlconv,
  dlgradient,
  dlnetwork,
  featureInputLayer,
  gelu,
  groupnorm,
  instanceNormalizationLayer,
  instancenorm,
  minibatchqueue,
  trainingOptions,
  warmupLearnRate,
} from '../../src/index.js'

const X = dlarray([[0.2, 0.8]], 'BC')
const image = dlarray(new Float32Array(16), [4, 4, 1, 1], 'SSCB')
const loose = (options: object) => options as never

describe('an option that there is none of', () => {
  it.each([
    ['initialLearnRate', () => trainingOptions('sgdm', loose({ learnRate: 1 }))],
    ['maxEpochs', () => trainingOptions('sgdm', 'MaxEpoch', 3)],
    ['miniBatchSize', () => trainingOptions('adam', loose({ batchSize: 32 }))],
    ['dilationFactor', () => convolution2dLayer(3, 8, loose({ dilation: 2 }))],
    ['epsilon', () => instanceNormalizationLayer(loose({ epsilom: 1 }))],
    ['epsilon', () => instancenorm(image, dlarray([0]), dlarray([1]), loose({ eps: 1 }))],
    ['padding', () => avgpool(image, 2, loose({ pading: 1 }))],
    ['reduction', () => crossentropy(X, X, loose({ reducton: 'none' }))],
    ['approximation', () => gelu(X, loose({ approx: 'tanh' }))],
    ['type', () => dlarray([1], loose({ typ: 'single' }))],
    ['numSteps', () => warmupLearnRate(loose({ steps: 3 }))],
    ['miniBatchSize', () => minibatchqueue(arrayDatastore([[1], [2]]), loose({ minibatchsizes: 1 }))],
    ['iterationDimension', () => arrayDatastore([[1]], loose({ dimension: 2 }))],
    ['seed', () => dlnetwork([featureInputLayer(1)], loose({ sed: 1 }))],
  ])('is answered with the nearest, %s', (name, call) => {
    expect(call).toThrow(`Did you mean ${name}?`)
  })

  it('is left without a suggestion where nothing is near', () => {
    expect(() => trainingOptions('sgdm', loose({ colour: 1 }))).toThrow(/got 'colour'. Check the spelling/)
    expect(nearest('', ['epsilon', 'name'])).toBe(undefined)
    expect(nearest('x', ['epsilon', 'name'])).toBe(undefined)
  })

  it('finds the name that the fewest letters lead to', () => {
    expect(nearest('strides', ['stride', 'padding'])).toBe('stride')
    expect(nearest('MOMENTUN', ['momentum', 'epsilon'])).toBe('momentum')
    expect(nearest('learnRate', ['learnRateSchedule', 'initialLearnRate', 'learnRateDropFactor'])).toBe(
      'initialLearnRate',
    )
  })
})

describe('options of convolutions and group normalization', () => {
  const plane = dlarray(new Float32Array(48), [4, 4, 3], 'SSC')
  const filters = dlarray(new Float32Array(54), [3, 3, 3, 2])
  it('are all named', () => {
    expect(() => dlconv(plane, filters, 0, { paddng: 1 } as never)).toThrow(
      /among stride, dilationFactor, padding, paddingValue, weightsFormat.* Did you mean padding/,
    )
    expect(() => dlconv(plane, filters, 0, { padding: 'sme' as never })).toThrow(
      /for padding 'same' or numbers, but got "sme"/,
    )
  })
  it('are one object', () => {
    expect(() => groupnorm(plane, 3, [0, 0, 0], [1, 1, 1], 'Epsilon' as never)).toThrow(/options as one object/)
  })
})

describe('formats', () => {
  it('are answered in capital letters', () => {
    expect(() => checkFormat('sscb', 'dlarray')).toThrow("Did you mean 'SSCB'?")
    expect(() => checkFormat('NHWC', 'dlarray')).toThrow('Label each dimension')
  })
})

it.each([null, [], 'epsilon', 3])('%j is no options', (options) => {
  const given = options as never
  const message = /expected options as one object, but got/
  for (const call of [
    () => gelu(X, given),
    () => avgpool(image, 2, given),
    () => crossentropy(X, X, given),
    () => instancenorm(image, dlarray([0]), dlarray([1]), given),
    // An empty list is one more list of variables.
    () => dlgradient(X, X, Array.isArray(given) ? (3 as never) : given),
    () => arrayDatastore([[1]], given),
    () => minibatchqueue(arrayDatastore([[1]]), given),
  ])
    expect(call).toThrow(message)
})
