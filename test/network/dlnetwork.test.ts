import { inspect } from 'node:util'
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { backendNamed, chosenBackend } from '../../src/backends/current.js'
import { NetworkError, OptionError } from '../../src/errors.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { reluLayer } from '../../src/layers/relu.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { networkDataLayout } from '../../src/network/network-data-layout.js'
import { summary } from '../../src/network/network-display.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose } from '../support/close.js'
import { additionLayer, splitLayer } from './test-layers.js'

const image = () => networkDataLayout([8, 8, 2, Number.NaN], 'SSCB')

const smallLayers = () => [convolution2dLayer(3, 4), instanceNormalizationLayer(), reluLayer(), fullyConnectedLayer(3)]

function smallNetwork(): DlNetwork {
  return dlnetwork(smallLayers(), image(), { seed: 1 })
}

/** A network of double parameters, so that gradients can be checked by differences. */
function doubleNetwork(): DlNetwork {
  const net = dlnetwork(
    [fullyConnectedLayer(3), reluLayer(), fullyConnectedLayer(2)],
    networkDataLayout([4, NaN], 'CB'),
    {
      seed: 3,
    },
  )
  scope(() => {
    net.learnables = net.learnables.map((row) => ({ ...row, value: dlarray(row.value!, { type: 'double' }) }))
  })
  return net
}

function values(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(1.7 * i + 0.3))
}

function failure(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(NetworkError)
    return (error as Error).message
  }
  return 'no error'
}

const storages = () => backendNamed('reference').memory().storages + backendNamed(chosenBackend()).memory().storages

describe('a network from a layer array', () => {
  it('has names, connections, parameters and sizes', () => {
    const net = smallNetwork()
    expect(net.initialized).toBe(true)
    expect(net.layers.map(({ name }) => name)).toEqual(['conv', 'instancenorm', 'relu', 'fc'])
    expect(net.inputNames).toEqual(['conv'])
    expect(net.outputNames).toEqual(['fc'])
    expect(net.connections).toEqual([
      { source: 'conv', destination: 'instancenorm' },
      { source: 'instancenorm', destination: 'relu' },
      { source: 'relu', destination: 'fc' },
    ])
    expect(net.learnables.map(({ layer, parameter, value }) => [layer, parameter, value?.size])).toEqual([
      ['conv', 'Weights', [3, 3, 2, 4]],
      ['conv', 'Bias', [1, 1, 4]],
      ['instancenorm', 'Offset', [1, 1, 4]],
      ['instancenorm', 'Scale', [1, 1, 4]],
      ['fc', 'Weights', [3, 144]],
      ['fc', 'Bias', [3, 1]],
    ])
    expect(net.state).toEqual([])
  })

  it('takes copies: neither the layers given nor those returned change it', () => {
    const layers = smallLayers()
    const net = dlnetwork(layers, image())
    expect(layers.map(({ name }) => name)).toEqual(['', '', '', ''])
    ;(layers[1] as ReturnType<typeof instanceNormalizationLayer>).epsilon = 0.5
    const returned = net.layers[1] as ReturnType<typeof instanceNormalizationLayer>
    expect(returned.epsilon).toBe(1e-5)
    returned.epsilon = 0.5
    returned.name = 'other'
    expect((net.layers[1] as ReturnType<typeof instanceNormalizationLayer>).epsilon).toBe(1e-5)
    expect(net.layers[1]!.name).toBe('instancenorm')
  })

  it('starts from the seed alone', () => {
    const weights = (seed: number) => dlnetwork(smallLayers(), image(), { seed }).learnables[0]!.value!.values()
    expect(weights(1)).toEqual(weights(1))
    expect(weights(1)).not.toEqual(weights(2))
  })

  it('leaves given parameters alone', () => {
    const scale = [1, 2, 3, 4]
    const net = dlnetwork(
      [convolution2dLayer(3, 4, { bias: [5, 6, 7, 8] }), instanceNormalizationLayer({ scale })],
      image(),
    )
    expect(net.learnables.map(({ value }) => value!.size)).toEqual([
      [3, 3, 2, 4],
      [1, 1, 4],
      [1, 1, 4],
      [1, 1, 4],
    ])
    expect([...net.learnables[1]!.value!.values()]).toEqual([5, 6, 7, 8])
    expect([...net.learnables[3]!.value!.values()]).toEqual(scale)
    const weights = net.learnables[0]!.value!.values()
    expect(net.initialize(image()).learnables[0]!.value!.values()).toEqual(weights)
  })

  it('stays uninitialized on request and without an input', () => {
    const net = dlnetwork(smallLayers(), { initialize: false })
    expect(net.initialized).toBe(false)
    expect(net.learnables.map(({ value }) => value)).toEqual(Array(6).fill(undefined))
    expect(dlnetwork(smallLayers()).initialized).toBe(false)
    expect(net.initialize(image()).initialized).toBe(true)
    expect(net.initialized).toBe(false)
    expect(failure(() => net.predict(dlarray(values(128), [8, 8, 2], 'SSC')))).toMatch(
      /^predict: expected an initialized network, but got one that is not\./,
    )
  })

  it('infers sizes from an example array', () => {
    const net = dlnetwork(smallLayers(), dlarray(values(128), [8, 8, 2], 'SSC'))
    expect(net.learnables[4]!.value!.size).toEqual([3, 144])
  })

  it('accepts unknown extents where no parameter depends on them', () => {
    const unknown = networkDataLayout([NaN, NaN, 2, NaN], 'SSCB')
    expect(dlnetwork(smallLayers().slice(0, 3), unknown).initialized).toBe(true)
    expect(failure(() => dlnetwork(smallLayers(), unknown))).toMatch(
      /^layer 'fc' .*size follows from what is known of the input, but got an input of unknown\(S\) × unknown\(S\) × 4\(C\)/,
    )
  })
})

describe('graphs', () => {
  /** in -> a -> add/in1, in -> b -> add/in2, with a normalization before. */
  function residual(): DlNetwork {
    return dlnetwork([instanceNormalizationLayer({ name: 'norm' }), reluLayer({ name: 'a' }), additionLayer('add')], {
      initialize: false,
    })
      .addLayers(reluLayer({ name: 'b' }))
      .connectLayers('norm', 'b')
      .connectLayers('b', 'add/in2')
  }

  it('are built step by step, each step another network', () => {
    const empty = dlnetwork()
    expect(empty.inputNames).toEqual([])
    const one = empty.addLayers([reluLayer(), additionLayer()])
    expect(empty.layers.length).toBe(0)
    expect(one.connections).toEqual([{ source: 'relu', destination: 'addition/in1' }])
    expect(one.inputNames).toEqual(['relu', 'addition/in2'])
    const two = one.connectLayers('relu/out', 'addition/in2')
    expect(one.inputNames).toEqual(['relu', 'addition/in2'])
    expect(two.inputNames).toEqual(['relu'])
    const X = dlarray([1, -2, 3], 'C')
    expect([...two.initialize(X).predict(X).values()]).toEqual([2, 0, 6])
  })

  it('compute in topological order, whatever the order of the layers', () => {
    const net = residual()
    expect(net.outputNames).toEqual(['add'])
    const X = dlarray(values(24), [4, 3, 2], 'SCB')
    const ready = net.initialize(X)
    const [norm, sum] = ready.predict<DlArray[]>(X, { outputs: ['norm', 'add'] })
    const expected = norm!.values().map((x) => 2 * Math.max(0, x))
    expectClose(sum!.values(), expected, 1e-6)
  })

  it('have several inputs and outputs', () => {
    const net = dlnetwork([additionLayer('add'), splitLayer('split')], { initialize: false })
    expect(net.inputNames).toEqual(['add/in1', 'add/in2'])
    expect(net.outputNames).toEqual(['split/same', 'split/double'])
    const A = dlarray([1, 2], 'C')
    const B = dlarray([10, 20], 'C')
    const ready = net.initialize(A, B)
    const [same, double] = ready.predict<DlArray[]>(A, B)
    expect([...same!.values()]).toEqual([11, 22])
    expect([...double!.values()]).toEqual([22, 44])
    expect([...ready.predict(A, B, { outputs: 'split/double' }).values()]).toEqual([22, 44])
    expect(ready.predict<DlArray[]>(A, B, { outputs: ['add'] })).toHaveLength(1)
    expect(ready.forward(A, B).outputs.map((Y) => [...Y.values()])).toEqual([
      [11, 22],
      [22, 44],
    ])
    expect(failure(() => ready.predict(A))).toBe(
      "predict: expected 2 inputs ('add/in1', 'add/in2'), but got 1. Give one array for each input, in this order.",
    )
    expect(failure(() => ready.predict(A, B, { outputs: 'split' }))).toMatch(
      /'split\/same', 'split\/double', but got 'split'/,
    )
    expect(failure(() => ready.predict(A, B, { outputs: 'split/third' }))).toMatch(/got 'split\/third'/)
    expect(failure(() => ready.predict(A, B, { outputs: 'none' }))).toMatch(/among 'add', 'split', but got 'none'/)
    expect(() => ready.predict(A, B, { outputs: [] })).toThrow(OptionError)
    expect(() => ready.predict(A, B, { output: 'add' } as never)).toThrow(OptionError)
  })

  it('keep chosen outputs through changes', () => {
    const net = dlnetwork([reluLayer({ name: 'a' }), reluLayer({ name: 'b' }), reluLayer({ name: 'c' })], {
      outputNames: ['b'],
      initialize: false,
    })
    expect(net.outputNames).toEqual(['b'])
    expect(net.removeLayers('a').outputNames).toEqual(['b'])
    expect(net.replaceLayer('a', [reluLayer(), reluLayer()]).outputNames).toEqual(['b'])
    expect(net.removeLayers('b').outputNames).toEqual(['a', 'c'])
    expect(failure(() => dlnetwork(reluLayer(), { outputNames: ['x'] }))).toMatch(/got 'x'/)
  })

  it('lose, free and replace layers', () => {
    const net = residual()
    expect(net.removeLayers('a', 'b').connections).toEqual([])
    expect(net.removeLayers(['a']).connections).toEqual([
      { source: 'norm', destination: 'b' },
      { source: 'b', destination: 'add/in2' },
    ])
    const open = net.disconnectLayers('b', 'add/in2')
    expect(open.inputNames).toEqual(['norm', 'add/in2'])
    expect(open.outputNames).toEqual(['add', 'b'])
    const replaced = net.replaceLayer('a', [reluLayer({ name: 'a1' }), reluLayer({ name: 'a2' })])
    expect(replaced.layers.map(({ name }) => name)).toEqual(['norm', 'a1', 'a2', 'add', 'b'])
    expect(replaced.connections).toEqual([
      { source: 'norm', destination: 'a1' },
      { source: 'norm', destination: 'b' },
      { source: 'a1', destination: 'a2' },
      { source: 'a2', destination: 'add/in1' },
      { source: 'b', destination: 'add/in2' },
    ])
    // The name of the layer that goes is free again.
    expect(net.replaceLayer('a', reluLayer({ name: 'a' })).layers[1]!.name).toBe('a')
    expect(failure(() => net.replaceLayer('add', reluLayer()))).toMatch(/2 inputs in place of layer 'add'.*got 1 of/)
    expect(failure(() => net.replaceLayer('a', []))).toMatch(/but got none/)
    expect(failure(() => net.disconnectLayers('a', 'b'))).toMatch(/'a' connected to 'add\/in1'/)
  })

  it('refuse what is no graph', () => {
    expect(failure(() => dlnetwork([reluLayer({ name: 'a' }), reluLayer({ name: 'a' })]))).toMatch(/'a' twice/)
    expect(failure(() => residual().addLayers(reluLayer({ name: 'a' })))).toMatch(/'a' twice/)
    expect(failure(() => residual().connectLayers('norm', 'a'))).toBe(
      "connectLayers: expected an input that is free for 'norm', but got 'a', which is connected to 'norm'. Disconnect that first with disconnectLayers.",
    )
    expect(failure(() => residual().connectLayers('add', 'norm'))).toBe(
      "connectLayers: expected connections without a cycle, but got 'norm' -> 'a' -> 'add' -> 'norm'. Remove one of these connections: data must be able to flow from the inputs to the outputs.",
    )
    const loop = dlnetwork(additionLayer('add'), { initialize: false })
    expect(failure(() => loop.connectLayers('add', 'add/in2'))).toMatch(/'add' -> 'add'/)
    expect(failure(() => residual().connectLayers('norm', 'add'))).toMatch(/'add\/in1', 'add\/in2', but got 'add'/)
    expect(failure(() => residual().connectLayers('none', 'add/in1'))).toMatch(/got 'none'/)
    expect(failure(() => residual().connectLayers(3 as never, 'add/in1'))).toMatch(/got number/)
    expect(() => dlnetwork([reluLayer] as never)).toThrow(OptionError)
    expect(() => dlnetwork([], { initialise: false } as never)).toThrow(/got 'initialise'/)
    expect(failure(() => residual().disconnectLayers('b', 'add/in2').initialize(image()))).toMatch(
      /unconnected: 'norm', 'add\/in2'\), but got 1 examples/,
    )
  })

  it('name the layer that does not fit', () => {
    const mismatch = failure(() =>
      dlnetwork([convolution2dLayer(3, 4), instanceNormalizationLayer({ numChannels: 20 })], image()),
    )
    expect(mismatch).toMatch(/^layer 'instancenorm' \(Instance Normalization: .*20.*4.*6\(S\) × 6\(S\) × 4\(C\)/)
    expect(failure(() => dlnetwork([additionLayer()], dlarray([1, 2], 'C'), dlarray([1, 2, 3], 'C')))).toMatch(
      /^layer 'addition'.*equal sizes/,
    )
    const net = smallNetwork()
    const wrong = failure(() => net.predict(dlarray(values(8 * 8 * 5), [8, 8, 5], 'SSC')))
    expect(wrong).toMatch(/^layer 'conv'/)
    expect(wrong).toMatch(/2/)
    expect(wrong).toMatch(/8\(S\) × 8\(S\) × 5\(C\)/)
  })
})

describe('predict and forward', () => {
  it('give one array for one output, and a list where a list is asked for', () => {
    const net = smallNetwork()
    const X = dlarray(values(8 * 8 * 2 * 5), [8, 8, 2, 5], 'SSCB')
    const Y = net.predict(X)
    expect(Y.dims).toBe('CB')
    expect(Y.size).toEqual([3, 5])
    expect(net.predict(X, { outputs: 'relu' }).size).toEqual([6, 6, 4, 5])
    expectTypeOf(net.predict(X)).toEqualTypeOf<DlArray>()
    expectTypeOf(net.predict<DlArray[]>(X)).toEqualTypeOf<DlArray[]>()
    expect(net.predict<DlArray[]>(X, { outputs: ['relu', 'fc'] })[1]!.values()).toEqual(Y.values())
    const { outputs, state } = net.forward(X)
    expect(outputs[0]!.values()).toEqual(Y.values())
    expect(state).toEqual([])
  })

  it('leave nothing behind', () => {
    const net = smallNetwork()
    const X = dlarray(values(8 * 8 * 2 * 5), [8, 8, 2, 5], 'SSCB')
    scope(() => void net.predict(X))
    const before = storages()
    for (let i = 0; i < 20; i++) net.predict(X).dispose()
    for (let i = 0; i < 20; i++) for (const Y of net.forward(X).outputs) Y.dispose()
    expect(storages()).toBe(before)
    expect(() => net.predict(dlarray(values(10), 'CB'))).toThrow()
    expect(storages()).toBeLessThanOrEqual(before + 1)
  })

  it('free what a layer no longer needs while others run', () => {
    const net = dlnetwork(
      Array.from({ length: 12 }, () => reluLayer()),
      networkDataLayout([1000, NaN], 'CB'),
    )
    const X = dlarray(values(1000), [1000, 1], 'CB')
    let most = 0
    const before = storages()
    const { outputs } = net.run([X], {
      training: false,
      random: new RandomStream(),
      observe: () => {
        most = Math.max(most, storages() - before)
      },
    })
    // The input of the layer that runs and its output.
    expect(most).toBeLessThanOrEqual(4)
    outputs[0]!.dispose()
    expect(storages()).toBe(before)
  })

  it('keep an array that a layer hands on', () => {
    const net = dlnetwork([splitLayer(), reluLayer()], networkDataLayout([2, NaN], 'CB'))
    const X = dlarray([1, 2], 'C')
    expect([...net.predict(X, { outputs: 'relu' }).values()]).toEqual([1, 2])
    expect([...X.values()]).toEqual([1, 2])
    expect([...net.predict(X, { outputs: 'split/same' }).values()]).toEqual([1, 2])
    expect([...X.values()]).toEqual([1, 2])
  })

  it('tell an observer about every layer in order', () => {
    const net = smallNetwork()
    const seen: string[] = []
    net.run([dlarray(values(128), [8, 8, 2], 'SSC')], {
      training: true,
      random: new RandomStream(),
      observe: (layer, [Y]) => seen.push(`${layer} ${Y!.dims}`),
    })
    expect(seen).toEqual(['conv SSC', 'instancenorm SSC', 'relu SSC', 'fc CU'])
  })

  it('want arrays where no input layer gives plain numbers a meaning', () => {
    expect(failure(() => smallNetwork().predict(values(128)))).toMatch(/^predict: layer 'conv'.*a list of 128/)
  })
})

describe('gradients', () => {
  it('agree with differences for every parameter', () => {
    const net = doubleNetwork()
    const X = dlarray(Float64Array.from(values(8)), [4, 2], 'CB', { type: 'double' })
    const loss = (network: DlNetwork) => {
      const Y = network.forward(X).outputs[0]!
      return sum(times(Y, plus(Y, 1)), 'all')
    }
    const gradients = dlfeval((network: DlNetwork) => dlgradient(loss(network), network.learnables), net)
    expect(gradients.map(({ layer, parameter }) => `${layer}/${parameter}`)).toEqual([
      'fc_1/Weights',
      'fc_1/Bias',
      'fc_2/Weights',
      'fc_2/Bias',
    ])
    const step = 1e-5
    gradients.forEach(({ value }, row) => {
      const numeric = value!.values().map((_, element) => {
        const shifted = (by: number) => {
          const copy = net.initialize(X)
          copy.learnables = copy.learnables.map((one, i) => {
            if (i !== row) return one
            const elements = one.value!.values()
            elements[element]! += by
            return { ...one, value: dlarray(elements, one.value!.size, { type: 'double' }) }
          })
          return loss(copy).item()
        }
        return (shifted(step) - shifted(-step)) / (2 * step)
      })
      expectClose(value!.values(), numeric, 1e-6, gradients[row]!.parameter)
    })
  })

  it('are the same through run with parameters, and the network itself is not traced', () => {
    const net = doubleNetwork()
    const X = dlarray(Float64Array.from(values(8)), [4, 2], 'CB', { type: 'double' })
    const byNetwork = dlfeval(
      (network: DlNetwork) => dlgradient(sum(network.predict(X), 'all'), network.learnables),
      net,
    )
    const byList = dlfeval(
      (parameters: DlArray[]) => {
        const context = { training: true, random: new RandomStream(), parameters }
        return dlgradient(sum(net.run([X], context).outputs[0]!, 'all'), parameters)
      },
      net.parameterList().map(({ value }) => value),
    )
    byNetwork.forEach(({ value }, i) => {
      expectClose(byList[i]!.values(), value!.values(), DOUBLE)
    })
    expect(net.learnables.every(({ value }) => value!.trace === undefined)).toBe(true)
    expect(() => dlfeval((x: DlArray) => dlgradient(sum(net.predict(x), 'all'), net.learnables), X)).toThrow(
      /not traced/,
    )
  })

  it('leave nothing behind', () => {
    const net = doubleNetwork()
    const X = dlarray(Float64Array.from(values(8)), [4, 2], 'CB', { type: 'double' })
    const before = storages()
    for (let i = 0; i < 10; i++)
      scope(() => {
        const gradients = dlfeval(
          (network: DlNetwork) => dlgradient(sum(network.predict(X), 'all'), network.learnables),
          net,
        )
        net.replaceParameters(
          net.parameterList().map(({ value }, row) => plus(value, times(gradients[row]!.value!, -0.1))),
        )
      })
    expect(storages()).toBe(before)
    expect(net.learnables.every(({ value }) => value!.values().every(Number.isFinite))).toBe(true)
  })
})

describe('parameters', () => {
  it('have factors by layer and parameter, or by path; setting gives another network', () => {
    const net = smallNetwork()
    expect(net.getLearnRateFactor('fc', 'Weights')).toBe(1)
    expect(net.getL2Factor('fc/Bias')).toBe(0)
    const other = net.setLearnRateFactor('fc', 'Weights', 2).setL2Factor('fc/Bias', 0.5)
    expect(other.getLearnRateFactor('fc/Weights')).toBe(2)
    expect(other.getL2Factor('fc', 'Bias')).toBe(0.5)
    expect(net.getLearnRateFactor('fc/Weights')).toBe(1)
    expect(other.initialized).toBe(true)
    expect(other.parameterList().map(({ learnRateFactor, l2Factor }) => [learnRateFactor, l2Factor])).toEqual([
      [1, 1],
      [1, 0],
      [1, 1],
      [1, 1],
      [2, 1],
      [1, 0.5],
    ])
    expect(failure(() => net.getL2Factor('none', 'Weights'))).toMatch(/got 'none'/)
    expect(() => net.getL2Factor('fc', 'Scale')).toThrow(/'Weights', 'Bias', but got 'Scale'/)
    expect(() => net.getL2Factor('fc')).toThrow(OptionError)
    expect(() => net.setL2Factor('fc/Weights', -1)).toThrow(OptionError)
    expect(() => net.setL2Factor('fc/Weights', Number.NaN)).toThrow(OptionError)
    expect(() => net.setL2Factor('fc', 'Weights', '2' as never)).toThrow(OptionError)
  })

  it('can be assigned all or some, or not at all', () => {
    const net = smallNetwork()
    const before = net.learnables[0]!.value!.values()
    net.learnables = [{ layer: 'fc', parameter: 'Bias', value: dlarray([1, 2, 3]) }]
    expect([...net.learnables[5]!.value!.values()]).toEqual([1, 2, 3])
    expect(net.learnables[5]!.value!.size).toEqual([3, 1])
    expect(net.learnables[0]!.value!.values()).toEqual(before)
    const assign = (row: object) => () => {
      net.learnables = [{ layer: 'fc', parameter: 'Weights', value: dlarray(values(432), [3, 144]) }, row as never]
    }
    const weights = net.learnables[4]!.value!.values()
    expect(failure(assign({ layer: 'fc', parameter: 'Scale', value: dlarray(1) }))).toMatch(/'fc\/Scale'/)
    expect(failure(assign({ layer: 'fc', parameter: 'Bias', value: dlarray(1) }))).toMatch(/1 elements for the 3/)
    expect(failure(assign({ layer: 'fc', parameter: 'Bias', value: 1 }))).toMatch(/number for 'fc\/Bias'/)
    expect(net.learnables[4]!.value!.values()).toEqual(weights)
  })

  it('are shared by networks and live as long as one of them', () => {
    const net = smallNetwork()
    const other = net.setL2Factor('fc/Bias', 1)
    const X = dlarray(values(128), [8, 8, 2], 'SSC')
    const Y = net.predict(X).values()
    net.dispose()
    net[Symbol.dispose]()
    expect(other.predict(X).values()).toEqual(Y)
    expect(failure(() => net.predict(X))).toMatch(/memory was freed/)
    const before = storages()
    other.dispose()
    expect(storages()).toBeLessThan(before)
  })

  it('are given back when the network cannot be made', () => {
    const before = storages()
    expect(() => dlnetwork([fullyConnectedLayer(5), instanceNormalizationLayer({ numChannels: 4 })], image())).toThrow(
      NetworkError,
    )
    expect(storages()).toBe(before)
    smallNetwork().dispose()
    expect(storages()).toBe(before)
  })

  it('survive a scope that the network was made in', () => {
    const X = dlarray(values(128), [8, 8, 2], 'SSC')
    const net = scope(() => smallNetwork())
    expect(net.predict(X).size).toEqual([3, 1])
  })
})

describe('printing', () => {
  it('shows a network as MATLAB does', () => {
    expect(inspect(smallNetwork())).toBe(
      [
        '  dlnetwork with properties:',
        '',
        '         Layers: [4×1 nnet.cnn.layer.Layer]',
        '    Connections: [3×2 table]',
        '     Learnables: [6×3 table]',
        '          State: [0×3 table]',
        "     InputNames: {'conv'}",
        "    OutputNames: {'fc'}",
        '    Initialized: 1',
        '',
        '  View summary with summary.',
      ].join('\n'),
    )
    expect(String(dlnetwork(reluLayer()))).toMatch(/Layers: \[1×1 nnet.cnn.layer.ReLULayer\]/)
    expect(String(dlnetwork())).toMatch(
      /Layers: \[0×1 nnet.cnn.layer.Layer\][\s\S]*InputNames: \{\}[\s\S]*Initialized: 0/,
    )
  })

  it('shows learnables and connections as tables', () => {
    const net = dlnetwork([convolution2dLayer(5, 20), fullyConnectedLayer(10)], { initialize: false })
    expect(inspect(net.learnables)).toBe(
      [
        '  4×3 table',
        '',
        '    Layer     Parameter       Value',
        '    ______    _________    ____________',
        '',
        '    "conv"    "Weights"    {0×0 double}',
        '    "conv"    "Bias"       {0×0 double}',
        '    "fc"      "Weights"    {0×0 double}',
        '    "fc"      "Bias"       {0×0 double}',
      ]
        .map((line) => line.trimEnd())
        .join('\n'),
    )
    expect(String(net.initialize(networkDataLayout([28, 28, 1, NaN], 'SSCB')).learnables)).toMatch(
      /"conv" {4}"Weights" {4}\{5×5×1×20 dlarray\}/,
    )
    expect(String(net.connections)).toMatch(/1×2 table[\s\S]*Source {4}Destination[\s\S]*'conv' {4}'fc'/)
  })

  it('summarizes', () => {
    expect(summary(smallNetwork())).toBe(
      [
        '   Initialized: true',
        '',
        '   Number of learnables: 519',
        '',
        '   Inputs:',
        "      1   'conv'   8(S) × 8(S) × 2(C) × NaN(B)",
      ].join('\n'),
    )
    expect(summary(dlnetwork())).toBe('   Initialized: false')
    const large = dlnetwork(fullyConnectedLayer(1000), networkDataLayout([84, NaN], 'CB'))
    expect(summary(large)).toMatch(/Number of learnables: 85k/)
    expect(summary(dlnetwork(fullyConnectedLayer(100), networkDataLayout([999, NaN], 'CB')))).toMatch(
      /learnables: 100k/,
    )
    expect(summary(dlnetwork(fullyConnectedLayer(100), networkDataLayout([616, NaN], 'CB')))).toMatch(
      /learnables: 61.7k/,
    )
  })
})
