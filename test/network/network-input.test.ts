import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { NetworkError, OptionError } from '../../src/errors.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { getL2Factor, getLearnRateFactor, setL2Factor, setLearnRateFactor } from '../../src/network/factors.js'
import { networkDataLayout } from '../../src/network/network-data-layout.js'
import { summary } from '../../src/network/network-display.js'
import type { NetworkInput } from '../../src/network/network-input.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray, finddim } from '../../src/operations/arrays/dlarray.js'
import { message } from '../support/message.js'

const count = (n: number) => Float32Array.from({ length: n }, (_, i) => i + 1)

/** What enters, labelled as the input layer labels it: ReLU leaves positive numbers alone. */
function entering(layer: Layer, ...data: NetworkInput[]): DlArray {
  return dlnetwork([layer, reluLayer()]).predict(...data)
}

describe('plain numbers', () => {
  const image = () => imageInputLayer([2, 3, 2], { normalization: 'none' })

  it('are images h-by-w-by-c-by-N, column-major', () => {
    const Y = entering(image(), count(24))
    expect([Y.dims, Y.size]).toEqual(['SSCB', [2, 3, 2, 2]])
    expect(Y.values()).toEqual(count(24))
    expect(entering(image(), { values: count(12), size: [2, 3, 2] }).size).toEqual([2, 3, 2, 1])
    expect(entering(image(), Array.from(count(12))).size).toEqual([2, 3, 2, 1])
    const nested = dlarray(count(12), [2, 3, 2]).toNested()
    expect(entering(image(), nested).values()).toEqual(count(12))
    expect(entering(image(), dlarray(count(12), [2, 3, 2])).dims).toBe('SSCB')
    expect(entering(image(), dlarray(count(12), [2, 3, 2], 'SSC')).dims).toBe('SSC')
    expect(entering(image(), new Uint8Array(12).fill(255)).values()[0]).toBe(255)
    expect(entering(image3dInputLayer([1, 2, 3, 1], { normalization: 'none' }), count(12)).size).toEqual([
      1, 2, 3, 1, 2,
    ])
  })

  it('are features N-by-c, sequences T-by-c-by-N, and what an input layer says', () => {
    const features = entering(featureInputLayer(3), [
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect([features.dims, features.size, [...features.values()]]).toEqual(['CB', [3, 2], [1, 2, 3, 4, 5, 6]])
    expect(entering(featureInputLayer(3), [1, 2, 3]).size).toEqual([3, 1])
    const sequence = entering(sequenceInputLayer(2), count(10))
    expect([sequence.dims, sequence.size]).toEqual(['CBT', [2, 1, 5]])
    expect([...sequence.values()].slice(0, 2)).toEqual([1, 6])
    const custom = entering(inputLayer([NaN, 2, 3], 'BSC'), count(12))
    expect([custom.dims, custom.size]).toEqual(['SCB', [2, 3, 2]])
  })

  it('that do not fit are refused with the layer and both numbers', () => {
    const net = dlnetwork([imageInputLayer([2, 3, 2]), reluLayer()])
    const message = (...data: NetworkInput[]) => {
      try {
        net.predict(...data)
      } catch (error) {
        expect(error).toBeInstanceOf(NetworkError)
        return (error as Error).message
      }
      return 'no error'
    }
    expect(message(count(13))).toBe(
      "predict: layer 'imageinput' (Image Input: 2×3×2 images with 'zerocenter' normalization): expected a dlarray, or numbers of size 2(S) × 3(S) × 2(C) × any(B), but got a list of 13. Label the dimensions: dlarray(values, size, 'SSCB').",
    )
    expect(message([[1], [2, 3]])).toMatch(/got a list of 2/)
    expect(message('text' as never)).toMatch(/got string/)
    expect(message(null as never)).toMatch(/got null/)
    expect(message({ values: count(3), size: [2, 2] })).toMatch(/numbers of size 2×2/)
    const wrongSize = message({ values: count(8), size: [2, 2, 2] })
    expect(wrongSize).toMatch(/^layer 'imageinput'.*2×3×2.*2×2×2/)
    const wrongFormat = message(dlarray(count(12), [2, 6], 'SB'))
    expect(wrongFormat).toMatch(/^layer 'imageinput'.*2 spatial dimensions \(S\), but got 1 in 2\(S\) × 6\(B\)/)
  })

  it('become double where the parameters are', () => {
    const weights = dlarray([[1, 2]], { type: 'double' })
    const bias = dlarray([0.1], { type: 'double' })
    const net = dlnetwork([featureInputLayer(2), fullyConnectedLayer(1, { weights, bias })])
    const Y = net.predict([1, 1])
    expect(Y.underlyingType).toBe('double')
    expect(Y.item()).toBe(3.1)
  })
})

describe('networks with input layers', () => {
  it('are initialized without examples and name their inputs', () => {
    const net = dlnetwork([imageInputLayer([28, 28, 1]), fullyConnectedLayer(10)])
    expect(net.initialized).toBe(true)
    expect(net.inputNames).toEqual(['imageinput'])
    expect(summary(net)).toBe(
      [
        '   Initialized: true',
        '',
        '   Number of learnables: 7.8k',
        '',
        '   Inputs:',
        "      1   'imageinput'   28×28×1 images",
      ].join('\n'),
    )
    const two = dlnetwork(featureInputLayer(4, { name: 'a' })).addLayers(sequenceInputLayer(12, { name: 'other' }))
    expect(summary(two)).toMatch(
      /Inputs:\n {6}1 {3}'a' {7}4 features\n {6}2 {3}'other' {3}Sequence input with 12 dimensions$/,
    )
    expect(() => dlnetwork([reluLayer(), imageInputLayer([2, 2])])).toThrow(
      /an input layer only at the beginning.*'imageinput'.*after layer 'relu'/,
    )
    expect(() => net.connectLayers('fc', 'imageinput')).toThrow(/data enters through it/)
  })

  it('may be given other examples', () => {
    const net = dlnetwork(featureInputLayer(3), networkDataLayout([3, NaN], 'CB'))
    expect(net.initialized).toBe(true)
    expect(() => dlnetwork(featureInputLayer(3), networkDataLayout([4, NaN], 'CB'))).toThrow(
      /^layer 'featureinput'.*3 channels, but got 4/,
    )
    expect(() => dlnetwork(featureInputLayer(3), 5 as never)).toThrow(/networkDataLayouts, but got number/)
    expect(() => dlnetwork([], dlarray(1))).toThrow(/example inputs/)
  })
})

describe('networkDataLayout', () => {
  it('brings labels and extents to the stored order', () => {
    const layout = networkDataLayout([NaN, 3, 28], 'BCS')
    expect([layout.size, layout.format]).toEqual([[28, 3, NaN], 'SCB'])
    expect(layout.size[finddim(layout, 'C')[0]! - 1]).toBe(3)
    expect(networkDataLayout([3, 4]).format).toBe('')
  })

  it('refuses what is no size', () => {
    expect(() => networkDataLayout([3])).toThrow(/at least two whole numbers/)
    expect(() => networkDataLayout([3, -1], 'CB')).toThrow(/whole numbers/)
    expect(() => networkDataLayout([3, 1.5], 'CB')).toThrow(/whole numbers/)
    expect(() => networkDataLayout([3, 1], 'C')).toThrow(/1 labels in 'C'/)
    expect(() => networkDataLayout([3, 1], 'CX')).toThrow(/'X'/)
    expect(() => networkDataLayout('3' as never)).toThrow(/whole numbers/)
  })
})

describe('factors as functions', () => {
  it('give copies of layers and networks', () => {
    const layer = fullyConnectedLayer(2, { name: 'fc' })
    const other = setL2Factor(setLearnRateFactor(layer, 'Weights', 3), 'Bias', 0.25)
    expect([getLearnRateFactor(other, 'Weights'), other.biasL2Factor]).toEqual([3, 0.25])
    expect([getLearnRateFactor(layer, 'Weights'), layer.biasL2Factor]).toEqual([1, 0])
    const net = dlnetwork([featureInputLayer(2), other])
    expect(getL2Factor(net, 'fc/Bias')).toBe(0.25)
    expect(getL2Factor(setL2Factor(net, 'fc', 'Bias', 1), 'fc', 'Bias')).toBe(1)
    expect(getLearnRateFactor(setLearnRateFactor(net, 'fc/Bias', 7), 'fc/Bias')).toBe(7)
    expect(() => getL2Factor({} as never, 'fc/Bias')).toThrow(OptionError)
    expect(() => setL2Factor(layer, 'Scale', 1)).toThrow(/'Weights', 'Bias', but got 'Scale'/)
  })
})

it('a layer whose channels are not known is named as it was written, and layouts cannot be changed', () => {
  const layout = networkDataLayout([3, Number.NaN, Number.NaN], 'SCB')
  const text = message(() => dlnetwork([instanceNormalizationLayer({ name: 'norm' })], layout))
  expect(text).toContain("layer 'norm' (Instance Normalization): expected parameters whose size follows")
  expect(text).not.toContain('256')
  expect(() => Object.assign(layout, { size: [1] })).toThrow(TypeError)
  expect(() => Object.assign(layout.size, { 0: 1 })).toThrow(TypeError)
})
