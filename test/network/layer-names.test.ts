import { describe, expect, it } from 'vitest'
import { NetworkError } from '../../src/errors.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { reluLayer } from '../../src/layers/relu.js'
import { layerNames } from '../../src/network/layer-names.js'

const named = (name: string) => reluLayer({ name })

describe('layerNames', () => {
  it.each([
    [
      'a kind that occurs once has no number',
      [instanceNormalizationLayer(), reluLayer()],
      [],
      ['instancenorm', 'relu'],
    ],
    [
      'a kind that occurs more often is numbered from 1',
      [reluLayer(), fullyConnectedLayer(3), reluLayer()],
      [],
      ['relu_1', 'fc', 'relu_2'],
    ],
    ['given names stay and do not count', [named('first'), reluLayer()], [], ['first', 'relu']],
    ['a taken name is numbered', [named('relu'), reluLayer()], [], ['relu', 'relu_1']],
    ['taken numbers are passed over', [reluLayer(), named('relu_1'), reluLayer()], [], ['relu_2', 'relu_1', 'relu_3']],
    ['names of the network count as taken', [reluLayer()], ['relu', 'relu_1'], ['relu_2']],
  ])('%s', (_, layers, taken, names) => {
    expect(layerNames(layers, taken, 'dlnetwork')).toEqual(names)
  })

  it('refuses a name twice, and a slash', () => {
    expect(() => layerNames([named('a'), named('a')], [], 'dlnetwork')).toThrow(NetworkError)
    expect(() => layerNames([named('a')], ['a'], 'addLayers')).toThrow(
      "addLayers: expected a name of its own for each layer, but got 'a' twice. Give one of the layers another name, or none to have one made.",
    )
    expect(() => layerNames([named('a/b')], [], 'dlnetwork')).toThrow(/without a slash, but got 'a\/b'.*'a_b'/)
  })
})
