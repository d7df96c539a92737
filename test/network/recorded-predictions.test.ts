import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, setThreads, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { setFusion } from '../../src/network/fusion.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { setRecording } from '../../src/network/recorded-kinds.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'

const stream = new RandomStream(4)
const numbers = (count: number) => Float32Array.from({ length: count }, () => stream.normal())
const picture = (observations = 3) => dlarray(numbers(8 * 8 * 2 * observations), [8, 8, 2, observations], 'SSCB')

const layers = (normalization: () => Layer = instanceNormalizationLayer): Layer[] => [
  imageInputLayer([8, 8, 2], { normalization: 'zscore', mean: 0.1, standardDeviation: 2 }),
  convolution2dLayer(3, 4, { name: 'conv' }),
  normalization(),
  reluLayer({ name: 'relu' }),
  maxPooling2dLayer(2, { stride: 2, name: 'pool' }),
  fullyConnectedLayer(3, { name: 'fc' }),
  softmaxLayer({ name: 'softmax' }),
]

const bits = (array: DlArray) => Buffer.from(array.values().buffer).toString('base64')

/** What `fn` gives without recordings. */
function plainly<T>(fn: () => T): T {
  setRecording(false)
  const result = fn()
  setRecording(true)
  return result
}

/** How many predictions of `fn` were run again. */
function replaysOf(fn: () => void): number {
  const replay = vi.spyOn(wasmBackend(), 'replay')
  fn()
  const { length } = replay.mock.calls
  replay.mockRestore()
  return length
}

const predicted = (net: DlNetwork, X: DlArray, outputs?: string | string[]) =>
  scope(() => [net.predict<DlArray | DlArray[]>(X, ...(outputs === undefined ? [] : [{ outputs }]))].flat().map(bits))

/** Predicts often, each time for other data; every result must be that of a prediction in full. */
function checkRepeated(net: DlNetwork, inputs: () => DlArray, outputs?: string | string[], times = 5): number {
  return replaysOf(() => {
    for (let i = 0; i < times; i++)
      scope(() => {
        const X = inputs()
        expect(predicted(net, X, outputs)).toEqual(plainly(() => predicted(net, X, outputs)))
      })
  })
}

afterEach(() => {
  setFusion(true)
  setRecording(true)
  setBackend('wasm')
  setThreads(1)
  vi.restoreAllMocks()
})

describe.each([1, 2])('on %d threads', (threads) => {
  beforeEach(async () => {
    setThreads(threads)
    await wasmBackend().ready()
  })

  it.each([
    ['instance normalization', instanceNormalizationLayer],
    ['batch normalization', batchNormalizationLayer],
  ])('predictions run again have the same bits: %s', (_, normalization) => {
    const net = dlnetwork(layers(normalization))
    expect(checkRepeated(net, picture)).toBe(3)
    expect(checkRepeated(net, picture, ['relu', 'softmax', 'fc'])).toBe(3)
    setFusion(false)
    const other = dlnetwork(layers(normalization))
    expect(checkRepeated(other, picture)).toBe(3)
  })

  it('of two sizes in turns', () => {
    const net = dlnetwork(layers())
    let count = 0
    expect(checkRepeated(net, () => picture((count++ % 2) + 1), undefined, 10)).toBe(6)
  })

  it('of a network with branches, and outputs that share their elements', () => {
    let net = dlnetwork(layers(), { initialize: false })
    net = net.addLayers(fullyConnectedLayer(2, { name: 'other' })).connectLayers('relu', 'other')
    const made = net.initialize({ seed: 1 })
    expect(made.outputNames.length).toBe(2)
    expect(checkRepeated(made, picture)).toBe(3)
    expect(checkRepeated(made, picture, ['fc', 'fc'])).toBe(3)
  })
})

it('results are fresh arrays, which later predictions leave alone', () => {
  const net = dlnetwork(layers())
  const results: { Y: DlArray; before: string }[] = []
  for (let i = 0; i < 6; i++) {
    const X = picture()
    const Y = net.predict(X)
    results.push({ Y, before: bits(Y) })
    X.dispose()
  }
  for (const { Y, before } of results) expect(bits(Y)).toBe(before)
  // Freed in any order, the memory is used again; by then a recording must not write there.
  for (const { Y } of results.reverse()) Y.dispose()
  const kept = Array.from({ length: 8 }, () => dlarray(numbers(9), [3, 3], 'CB'))
  const before = kept.map(bits)
  checkRepeated(net, picture)
  expect(kept.map(bits)).toEqual(before)
  for (const array of kept) array.dispose()
  net.dispose()
})

it('a prediction may be the input of the next', () => {
  const net = dlnetwork([
    imageInputLayer([4, 4, 1], { normalization: 'none' }),
    convolution2dLayer(3, 1, { padding: 'same' }),
  ])
  const chain = () =>
    scope(() => {
      let X: DlArray = dlarray(
        Float32Array.from({ length: 16 }, (_, i) => i / 7),
        [4, 4, 1, 1],
        'SSCB',
      )
      for (let i = 0; i < 6; i++) X = net.predict(X)
      return bits(X)
    })
  expect(chain()).toBe(plainly(chain))
})

it('sees parameters that were replaced, and those that changed in place', () => {
  const net = dlnetwork(layers(batchNormalizationLayer))
  const replays = replaysOf(() => {
    for (let i = 0; i < 6; i++)
      scope(() => {
        const rows = net.learnables.map((row) => ({ ...row, value: times(row.value!, 1 + i / 8) }))
        if (i % 3 === 0) net.learnables = rows
        if (i % 3 === 1) net.parameterList()[i]!.value.storage.view()[0]! += 0.25
        if (i % 3 === 2) net.state = net.state.map((row) => ({ ...row, value: times(row.value!, 1.5) }))
        const X = picture()
        expect(predicted(net, X)).toEqual(plainly(() => predicted(net, X)))
      })
  })
  expect(replays).toBe(4)
})

it('is not for what launches do not show', () => {
  let calls = 0
  const [, ...others] = layers()
  const own = dlnetwork([
    imageInputLayer([8, 8, 2], { normalization: (X: DlArray) => times(X, 1 / ++calls) }),
    ...others,
  ])
  expect(replaysOf(() => void Array.from({ length: 5 }, () => scope(() => own.predict(picture()))))).toBe(0)
  expect(calls).toBe(5)

  const double = dlnetwork(layers())
  scope(() => {
    double.learnables = double.learnables.map((row) => ({ ...row, value: dlarray(row.value!, { type: 'double' }) }))
  })
  expect(checkRepeated(double, () => dlarray(picture(), { type: 'double' }))).toBe(0)
  setBackend('reference')
  expect(checkRepeated(dlnetwork(layers()), picture)).toBe(0)
  setBackend('wasm')

  // An input that is its own output is not computed.
  const identity = dlnetwork([imageInputLayer([8, 8, 2], { normalization: 'none', name: 'in' }), reluLayer()])
  expect(checkRepeated(identity, picture, 'in')).toBe(0)
})

it('gradients through a network are computed in full', () => {
  const net = dlnetwork(layers())
  const slope = () =>
    scope(() => {
      const X = dlarray(
        Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)),
        [8, 8, 2, 1],
        'SSCB',
      )
      checkRepeated(net, () => picture(1))
      return bits(
        dlfeval((x: DlArray) => dlgradient(sum(times(net.predict(x), net.predict(x)), 'all'), x), X) as DlArray,
      )
    })
  expect(slope()).toBe(plainly(slope))
})

it('a normalization function may predict with another network', () => {
  const inner = dlnetwork([imageInputLayer([8, 8, 2], { normalization: 'none' }), convolution2dLayer(1, 2)])
  const [, ...others] = layers()
  const net = dlnetwork([imageInputLayer([8, 8, 2], { normalization: (X: DlArray) => inner.predict(X) }), ...others])
  checkRepeated(net, picture, undefined, 6)
  checkRepeated(inner, picture)
})

it('errors are the same: wrong sizes, names, freed arrays and networks', () => {
  const net = dlnetwork(layers())
  checkRepeated(net, picture)
  const told = (fn: () => unknown) => {
    try {
      scope(fn as () => undefined)
    } catch (error) {
      return String(error)
    }
    throw new Error('nothing was thrown')
  }
  const freed = picture()
  freed.dispose()
  for (const fn of [
    () => net.predict(freed),
    () => net.predict(dlarray(numbers(8), [2, 2, 2, 1], 'SSCB')),
    () => net.predict(picture(), picture()),
    () => net.predict(picture(), { outputs: 'nothing' }),
  ])
    expect(told(fn)).toBe(plainly(() => told(fn)))
  expect(checkRepeated(net, picture)).toBe(5)
  net.dispose()
  expect(told(() => net.predict(picture()))).toMatch(/dispose/)
})

it('holds no more and no less memory from the third prediction on, and gives it back', () => {
  scope(() => {
    const net = dlnetwork(layers())
    const X = picture(16)
    const before = memory()
    const predict = () =>
      scope(() => {
        net.predict(X)
      })
    for (let i = 0; i < 3; i++) predict()
    const wasm = wasmBackend()
    const { bytesFresh } = wasm
    const pooled = memory().bytesPooled
    for (let i = 0; i < 1000; i++) predict()
    expect(wasm.bytesFresh).toBe(bytesFresh)
    expect(memory().bytesPooled).toBe(pooled)
    expect(memory().bytesInUse).toBe(before.bytesInUse)
    net.dispose()
    const { bytesInUse, bytesReserved } = memory()
    expect(bytesInUse).toBeLessThan(before.bytesInUse)
    expect(bytesReserved).toBe(before.bytesReserved)
  })
})
