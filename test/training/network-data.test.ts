import { describe, expect, it } from 'vitest'
import { arrayDatastore, combine } from '../../src/data/datastore.js'
import { DimensionError, OptionError } from '../../src/errors.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import type { Layer } from '../../src/layers/layer.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { checkChannels, inputFormats, networkSource } from '../../src/training/network-data.js'

const netOf = (layer: Layer) => dlnetwork([layer, reluLayer()], { initialize: false })

describe('formats of data in memory', () => {
  it('follow the input layer', () => {
    const formatOf = (layer: Layer) => inputFormats(netOf(layer), 'auto', 'trainnet')
    expect(formatOf(imageInputLayer([4, 4, 1]))).toEqual(['SSCB'])
    expect(formatOf(image3dInputLayer([4, 4, 4, 1]))).toEqual(['SSSCB'])
    expect(formatOf(featureInputLayer(3))).toEqual(['BC'])
    expect(formatOf(sequenceInputLayer(3))).toEqual(['TCB'])
    expect(formatOf(sequenceInputLayer([8, 8, 3]))).toEqual(['SSCTB'])
    expect(formatOf(inputLayer([Number.NaN, 3], 'BC'))).toEqual(['BC'])
    expect(inputFormats(dlnetwork([reluLayer()]), undefined, 'trainnet')).toEqual([undefined])
  })

  it('are those given, one for each input', () => {
    const net = netOf(featureInputLayer(2))
    expect(inputFormats(net, 'CB', 'trainnet')).toEqual(['CB'])
    expect(() => inputFormats(net, ['CB', 'CB'], 'trainnet')).toThrow(OptionError)
  })
})

describe('mini-batches for a network', () => {
  it('lie as the network takes them', () => {
    const net = netOf(sequenceInputLayer(2))
    const X = { values: [1, 2, 3, 10, 20, 30], size: [3, 2] }
    for (const batch of networkSource(net, X, undefined) as Iterable<{ inputs: { dims: string; size: unknown }[] }>)
      expect([batch.inputs[0]!.dims, batch.inputs[0]!.size]).toEqual(['CBT', [2, 1, 3]])
  })

  it('are as many as a flat array has elements for', () => {
    const net = netOf(imageInputLayer([2, 3, 1]))
    expect(networkSource(net, new Uint8Array(24), undefined).numObservations).toBe(4)
    expect(() => networkSource(net, new Uint8Array(25), undefined)).toThrow(/whole observations .* 25 elements/)
    expect(() => networkSource(dlnetwork([reluLayer()]), new Uint8Array(25), undefined)).toThrow(DimensionError)
  })

  it('hold the targets of a datastore, which must not stand beside it', () => {
    const net = netOf(featureInputLayer(1))
    const store = combine(arrayDatastore([[1], [2]]), arrayDatastore(['a', 'b']))
    expect(networkSource(net, store, undefined).classNames).toEqual(['a', 'b'])
    expect(() => networkSource(net, store, ['a', 'b'])).toThrow(/datastore and targets beside it/)
  })

  it('need formats where no input layer tells', () => {
    expect(() => networkSource(dlnetwork([reluLayer()]), { values: [1, 2], size: [2, 1] }, undefined)).toThrow(
      /labels for the dimensions/,
    )
  })
})

describe('channels of predictions and targets', () => {
  const info = (channels: number) => ({ size: [channels, 5], dims: 'CB', type: 'single' as const })

  it('must be as many', () => {
    expect(() => checkChannels([info(2)], [info(2)], 'trainnet')).not.toThrow()
    expect(() => checkChannels([info(2)], [info(1)], 'trainnet')).toThrowErrorMatchingInlineSnapshot(
      `[DimensionError: trainnet: expected the number of channels in predictions (2) to match the number of channels in the targets (1), but got predictions of 2(C) × 5(B) and targets of 1(C) × 5(B). Give class labels as labels, strings or categorical(numbers); where labels lack some of the classes, name all of them in their order: categorical(T, names) with 2 names; where they lack none, make the last layer give as many channels as there are classes.]`,
    )
    expect(() => checkChannels([info(2)], [], 'trainnet')).toThrow(DimensionError)
  })

  it('may be one where targets are positions of classes', () => {
    expect(() => checkChannels([info(3)], [info(1)], 'trainnet', 'index')).not.toThrow()
    expect(() => checkChannels([info(3)], [info(2)], 'trainnet', 'index')).toThrow(DimensionError)
  })
})
