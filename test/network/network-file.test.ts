import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { backendNamed } from '../../src/backends/current.js'
import { FileError, OptionError } from '../../src/errors.js'
import { serializeArrays } from '../../src/io/arrays.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/io/safetensors.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { type FullyConnectedLayer, fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { properties } from '../../src/layers/layer.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { networkDataLayout } from '../../src/network/network-data-layout.js'
import { deserializeNetwork, loadNetwork, saveNetwork, serializeNetwork } from '../../src/network/network-file.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dlnet-network-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A small network of every kind of setting: statistics, factors, given parameters, padding. */
function imageNetwork(): DlNetwork {
  return dlnetwork(
    [
      imageInputLayer([12, 12, 3], { normalization: 'zscore', mean: [0.1, -0, 1 / 3], standardDeviation: [1, 2, 3] }),
      convolution2dLayer([3, 5], 4, { padding: 'same', biasLearnRateFactor: 2, weightsInitializer: 'he' }),
      instanceNormalizationLayer({ epsilon: 1e-3, scaleL2Factor: 0.25, offset: [-0, 1e-30, 3, 4] }),
      reluLayer({ name: 'activation "quoted" ü' }),
      maxPooling2dLayer(2, { stride: 2 }),
      fullyConnectedLayer(5, { weightLearnRateFactor: 0 }),
      softmaxLayer(),
    ],
    { seed: 5 },
  )
}

/** Two branches, two outputs, no input layer, double parameters. */
function branchedNetwork(): DlNetwork {
  const net = dlnetwork([reluLayer({ name: 'in' }), fullyConnectedLayer(2, { name: 'a' })], { initialize: false })
    .addLayers([fullyConnectedLayer(3, { name: 'b' }), reluLayer({ name: 'c' })])
    .connectLayers('in', 'b')
    .initialize(networkDataLayout([4, NaN], 'CB'), { seed: 2 })
  scope(() => {
    net.learnables = net.learnables.map((row) => ({ ...row, value: dlarray(row.value!, { type: 'double' }) }))
  })
  return net
}

function bytesOf(array: DlArray): Uint8Array {
  return new Uint8Array(array.values().buffer)
}

function expectSame(actual: DlNetwork, expected: DlNetwork): void {
  expect(actual.connections).toEqual(expected.connections)
  expect([actual.inputNames, actual.outputNames, actual.initialized]).toEqual([
    expected.inputNames,
    expected.outputNames,
    expected.initialized,
  ])
  expect(actual.content.layouts).toEqual(expected.content.layouts)
  expect(actual.layers.length).toBe(expected.layers.length)
  expected.layers.forEach((layer, i) => {
    expect(actual.layers[i]!.className).toBe(layer.className)
    const other = properties(actual.layers[i]!)
    for (const [name, value] of Object.entries(properties(layer))) {
      const array = value as DlArray
      if (typeof value === 'object' && value !== null && 'underlyingType' in value) {
        const restored = other[name] as DlArray
        expect([restored.size, restored.underlyingType], name).toEqual([array.size, array.underlyingType])
        expect(bytesOf(restored), `${layer.name}.${name}`).toEqual(bytesOf(array))
      } else expect(other[name], `${layer.name}.${name}`).toEqual(value)
    }
  })
}

describe('saveNetwork and loadNetwork', () => {
  it('bring back a network exactly', async () => {
    const net = imageNetwork()
    const file = join(folder, 'net.safetensors')
    await saveNetwork(net, file)
    expect(readdirSync(folder)).toEqual(['net.safetensors'])
    const loaded = await loadNetwork(file)
    expectSame(loaded, net)
    expect(String(loaded)).toBe(String(net))
    const X = dlarray(
      Float32Array.from({ length: 12 * 12 * 3 * 2 }, (_, i) => Math.sin(i)),
      [12, 12, 3, 2],
      'SSCB',
    )
    expect(bytesOf(loaded.predict(X))).toEqual(bytesOf(net.predict(X)))
    expect(loaded.getLearnRateFactor('conv/Bias')).toBe(2)
    // Once more the same bytes.
    expect(serializeNetwork(loaded)).toEqual(serializeNetwork(net))
  })

  it('bring back graphs, double parameters and chosen outputs', () => {
    const net = branchedNetwork()
    const bytes = serializeNetwork(net)
    const loaded = deserializeNetwork(bytes.slice().buffer)
    expectSame(loaded, net)
    expect(loaded.outputNames).toEqual(['a', 'c'])
    expect(loaded.learnables[0]!.value!.underlyingType).toBe('double')
    const chosen = dlnetwork([featureInputLayer(3), fullyConnectedLayer(2), reluLayer()], {
      outputNames: ['fc', 'relu'],
    })
    expect(deserializeNetwork(serializeNetwork(chosen)).outputNames).toEqual(['fc', 'relu'])
  })

  it('bring back networks that are not initialized, and empty ones', () => {
    const net = dlnetwork([convolution2dLayer(3, 4, { bias: [1, 2, 3, 4] }), reluLayer()])
    const loaded = deserializeNetwork(serializeNetwork(net))
    expectSame(loaded, net)
    expect(loaded.initialized).toBe(false)
    expect(loaded.initialize(networkDataLayout([8, 8, 2, NaN], 'SSCB')).learnables[1]!.value!.values()).toEqual(
      Float32Array.of(1, 2, 3, 4),
    )
    expectSame(deserializeNetwork(serializeNetwork(dlnetwork())), dlnetwork())
    const open = dlnetwork([inputLayer([NaN, 3], 'BC'), fullyConnectedLayer(2)])
    expectSame(deserializeNetwork(serializeNetwork(open)), open)
    const sequence = dlnetwork([sequenceInputLayer(3, { minLength: 4 }), fullyConnectedLayer(2)])
    expectSame(deserializeNetwork(serializeNetwork(sequence)), sequence)
  })

  it('name a layer with a function, which can be replaced without losing its parameters', () => {
    const custom = dlnetwork([
      featureInputLayer(2),
      fullyConnectedLayer(3, { weightsInitializer: () => Float32Array.of(1, 2, 3, 4, 5, 6) }),
    ])
    expect(() => serializeNetwork(custom)).toThrow(
      /layer 'fc'.*weightsInitializer, but got a function.*net\.replaceLayer\('fc', layer\)\.initialize\(\)/,
    )
    const layer = custom.layers[1] as FullyConnectedLayer
    layer.weightsInitializer = 'he'
    const named = custom.replaceLayer('fc', layer).initialize()
    const loaded = deserializeNetwork(serializeNetwork(named))
    expect([...loaded.learnables[0]!.value!.values()]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('leave no memory behind', () => {
    const bytes = serializeNetwork(branchedNetwork())
    const storages = () => backendNamed('reference').memory().storages
    deserializeNetwork(bytes).dispose()
    const before = storages()
    for (let i = 0; i < 5; i++) deserializeNetwork(bytes).dispose()
    expect(storages()).toBe(before)
  })

  it('refuse what is no network', async () => {
    expect(() => deserializeNetwork(serializeArrays({ x: dlarray(1) }))).toThrow(/arrays without one/)
    expect(() => deserializeNetwork(new Uint8Array(100))).toThrow(FileError)
    expect(() => serializeNetwork(reluLayer() as never)).toThrow(OptionError)
    await expect(loadNetwork(join(folder, 'none'))).rejects.toThrow(FileError)
    writeFileSync(join(folder, 'empty'), '')
    await expect(loadNetwork(join(folder, 'empty'))).rejects.toThrow(/0 bytes/)
    const before = readFileSync(join(folder, 'empty'))
    await expect(saveNetwork(imageNetwork(), join(folder, 'empty', 'x'))).rejects.toThrow(FileError)
    expect(readFileSync(join(folder, 'empty'))).toEqual(before)
  })
})

describe('damaged files', () => {
  const accepts = (bytes: Uint8Array, net: DlNetwork): boolean => {
    try {
      const loaded = deserializeNetwork(bytes)
      expectSame(loaded, net)
      loaded.dispose()
      return true
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      return false
    }
  }

  it('are refused or give the same network, wherever bits flip', () => {
    const net = imageNetwork()
    const original = serializeNetwork(net)
    const header = Number(new DataView(original.buffer).getBigUint64(0, true)) + 8
    const random = new RandomStream(11)
    // Every byte of the header, one of 40 of the elements.
    const positions = [
      ...Array.from({ length: header }, (_, i) => i),
      ...Array.from({ length: 200 }, () => header + random.integer(original.length - header)),
    ]
    let refused = 0
    for (const position of positions) {
      const bytes = original.slice()
      bytes[position]! ^= 1 << random.integer(8)
      if (!accepts(bytes, net)) refused++
    }
    expect(refused).toBeGreaterThan(0.95 * positions.length)
  })

  it('are refused when a stretch is overwritten, moved or cut', () => {
    const net = imageNetwork()
    const original = serializeNetwork(net)
    const random = new RandomStream(12)
    for (let round = 0; round < 300; round++) {
      const bytes = original.slice()
      const length = 1 + random.integer(64)
      const at = random.integer(bytes.length - length)
      if (round % 3 === 0) bytes.copyWithin(at, random.integer(bytes.length - length), length)
      else for (let i = at; i < at + length; i++) bytes[i] = random.integer(256)
      accepts(bytes, net)
    }
    for (let round = 0; round < 200; round++) {
      const length = random.integer(original.length)
      expect(accepts(original.subarray(0, length), net), `${length} bytes`).toBe(false)
    }
    const longer = new Uint8Array(original.length + 8)
    longer.set(original)
    expect(accepts(longer, net)).toBe(false)
  })
})

describe('made-up files', () => {
  const reading = { call: 'test', source: 'the bytes' }

  /** The file with another description of the network, checksum and all. */
  function withDescription(original: Uint8Array, change: (json: Record<string, unknown>) => unknown): Uint8Array {
    const { tensors, metadata } = decodeSafetensors(original, reading)
    const json = change(JSON.parse(metadata.get('network')!))
    const text = typeof json === 'string' ? json : JSON.stringify(json)
    return encodeSafetensors({ tensors, metadata: new Map([...metadata, ['network', text]]) })
  }

  function refusal(bytes: Uint8Array): string {
    try {
      deserializeNetwork(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(FileError)
      return (error as Error).message
    }
    return 'no error'
  }

  const original = serializeNetwork(
    dlnetwork([featureInputLayer(3), fullyConnectedLayer(2, { name: 'a' }), reluLayer({ name: 'b' })]),
  )
  type Change = (json: Record<string, unknown>) => unknown

  it.each<[string, Change, RegExp]>([
    ['no object', () => [], /description of a network/],
    ['no JSON', () => '{', /JSON/],
    ['deep JSON', () => '['.repeat(1e6), /64 deep/],
    ['__proto__', () => '{"__proto__":{"polluted":1}}', /'__proto__'/],
    ['an unknown kind', (json) => ({ ...json, layers: [{ className: 'Evil', properties: {} }] }), /className 'Evil'/],
    [
      'a kind that objects inherit',
      (json) => ({ ...json, layers: [{ className: 'toString', properties: {} }] }),
      /toString/,
    ],
    ['layers that are text', (json) => ({ ...json, layers: 'abc' }), /list of at most 10000 layers/],
    ['too many layers', (json) => ({ ...json, layers: Array(10_001).fill(null) }), /10001/],
    ['layers without names', (json) => ({ ...json, layers: [{ className: 'ReLULayer', properties: {} }] }), /a name/],
    ['connections to nothing', (json) => ({ ...json, connections: [['a/out', 'z/in']] }), /'z\/in'/],
    [
      'a cycle',
      (json) => ({
        ...json,
        connections: [
          ['a/out', 'b/in'],
          ['b/out', 'a/in'],
        ],
      }),
      /cycle/,
    ],
    [
      'an input connected twice',
      (json) => ({
        ...json,
        connections: [
          ['a/out', 'b/in'],
          ['featureinput/out', 'b/in'],
        ],
      }),
      /two to 'b\/in'/,
    ],
    ['connections of three', (json) => ({ ...json, connections: [['a/out', 'b/in', 'c']] }), /a pair/],
    ['no outputs', (json) => ({ ...json, outputs: [] }), /list of outputs/],
    ['outputs of nothing', (json) => ({ ...json, outputs: ['b/none'] }), /list of outputs/],
    [
      'inputs of another size',
      (json) => ({ ...json, inputs: [{ size: [4, 1], format: 'CB' }] }),
      /^deserializeNetwork: expected [^.]*, but got layer [^.]*, which expects 3 channels, with 4 in [^.]*\. The file is/,
    ],
    ['inputs of no size', (json) => ({ ...json, inputs: [{ size: ['x'], format: 'CB' }] }), /whole numbers/],
    ['too many inputs', (json) => ({ ...json, inputs: Array(3).fill({ size: [3, 1], format: 'CB' }) }), /example/],
    ['missing layers', (json) => ({ ...json, layers: [], connections: [] }), /parameters of the layers/],
  ])('with %s are refused', (_, change, message) => {
    expect(refusal(withDescription(original, change))).toMatch(message)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('with missing, extra or misshapen parameters are refused', () => {
    const { tensors, metadata } = decodeSafetensors(original, reading)
    const change = (edit: (copy: Map<string, NonNullable<ReturnType<typeof tensors.get>>>) => void) => {
      const copy = new Map(tensors)
      edit(copy)
      return refusal(encodeSafetensors({ tensors: copy, metadata }))
    }
    const vector = (length: number) =>
      ({ type: 'F32', shape: [1, length], elements: new Float32Array(length) }) as const
    expect(change(() => undefined)).toBe('no error')
    expect(change((copy) => copy.delete('a/Bias'))).toMatch(/no 'a\/Bias'/)
    expect(change((copy) => copy.set('b/Weights', vector(1)))).toMatch(/'b\/Weights'/)
    expect(change((copy) => copy.set('a/Bias', vector(3)))).toMatch(/layer 'a'.*2.*3/)
    expect(change((copy) => copy.set('a/Bias', { type: 'BOOL', shape: [1, 2], elements: new Uint8Array(2) }))).toMatch(
      /logical/,
    )
    expect(change((copy) => copy.set('a/Weights', vector(6)))).toMatch(/layer 'a'/)
  })

  it('with any value of the description replaced give an error or a network, soon', () => {
    const bytes = serializeNetwork(imageNetwork())
    const { metadata } = decodeSafetensors(bytes, reading)
    const paths: (string | number)[][] = []
    const walk = (value: unknown, path: (string | number)[]) => {
      if (path.length > 0) paths.push(path)
      if (Array.isArray(value)) for (const [i, entry] of value.entries()) walk(entry, [...path, i])
      else if (typeof value === 'object' && value !== null)
        for (const [key, entry] of Object.entries(value)) walk(entry, [...path, key])
    }
    walk(JSON.parse(metadata.get('network')!), [])
    const replacements = [null, -1, 0, 1.5, 1e9, 1e300, '', 'x', true, [], {}, [1e9, 1e9], { number: 'NaN' }]
    const gone = Symbol('gone')
    let refused = 0
    const started = performance.now()
    for (const path of paths)
      for (const replacement of [...replacements, gone]) {
        const changed = withDescription(bytes, (json) => {
          let at: Record<string | number, unknown> = json
          for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
          const last = path.at(-1)!
          if (replacement !== gone) at[last] = replacement
          else if (Array.isArray(at)) at.splice(last as number, 1)
          else delete at[last]
          return json
        })
        try {
          deserializeNetwork(changed).dispose()
        } catch (error) {
          if (!(error instanceof FileError))
            throw new Error(`${path.join('.')} = ${String(JSON.stringify(replacement))}`, { cause: error })
          refused++
        }
      }
    expect(refused).toBeGreaterThan(paths.length * replacements.length * 0.6)
    expect(performance.now() - started).toBeLessThan(60_000)
  })
})
