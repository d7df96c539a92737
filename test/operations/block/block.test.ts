import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { numel } from '../../../src/array/format.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setThreads, wasmBackend } from '../../../src/backends/current.js'
import { DimensionError, OptionError } from '../../../src/errors.js'
import { scope } from '../../../src/memory/scope.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { blockOperation } from '../../../src/operations/block/block.js'
import { composedBlock } from '../../../src/operations/block/block-composed.js'
import {
  type BlockInputs,
  type BlockOptions,
  blockPays,
  defaultBlock,
} from '../../../src/operations/block/block-options.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { expectClose } from '../../support/close.js'
import { normals } from '../../support/random.js'

// A block against the operations that it stands for, both on WebAssembly, for sizes that fill vectors, threads and caches.

type Arrays = Record<string, DlArray>

function random(size: readonly number[], format: string | undefined, seed: number, value = (x: number) => x): DlArray {
  const draw = normals(seed)
  const values = Float32Array.from({ length: numel(size) }, () => value(draw()))
  return format === undefined ? dlarray(values, size) : dlarray(values, size, format)
}

interface Case {
  readonly size: readonly number[]
  readonly format: string
  readonly weights?: readonly number[]
  readonly normalized?: boolean
  readonly options: Partial<BlockOptions>
  /** What the elements of X are. */
  readonly value?: (x: number) => number
}

function inputsOf({ size, format, weights, normalized = true, value, options }: Case): Arrays {
  // filters, and groups of them: what follows the channels
  const channels = weights
    ? weights.slice(format.indexOf('C') + 1).reduce((a, b) => a * b, 1)
    : size[format.indexOf('C')]!
  return {
    X: random(size, format, 1, value),
    ...(weights && { weights: random(weights, undefined, 2), bias: random([channels, 1], undefined, 3) }),
    ...(normalized && { offset: random([channels], 'C', 4), scale: random([channels], 'C', 5) }),
    ...(options.numGroups === 'given' && {
      mu: random([channels], 'C', 6),
      sigmaSq: random([channels], 'C', 7, (x) => 0.1 + x * x),
    }),
  }
}

function results(run: (inputs: Arrays) => DlArray, inputs: Arrays) {
  const Y = scope(() => run(inputs))
  const gradients = dlfeval((traced: Arrays) => {
    const result = run(traced)
    const weights = random(result.size, result.dims, 9)
    return dlgradient(sum(times(result, weights), 'all'), traced)
  }, inputs)
  return { Y, gradients }
}

const max2 = { pooling: 'max', poolSize: 2, poolStride: 2 } as const
const cases: [string, Case][] = [
  [
    'the usual block',
    { size: [28, 28, 3, 9], format: 'SSCB', weights: [5, 5, 3, 20], options: { activation: 'relu', ...max2 } },
  ],
  [
    'an odd size',
    { size: [27, 30, 2, 5], format: 'SSCB', weights: [4, 3, 2, 7], options: { activation: 'relu', ...max2 } },
  ],
  [
    'groups and a step',
    {
      size: [31, 20, 4, 3],
      format: 'SSCB',
      weights: [3, 3, 2, 5, 2],
      options: { stride: 2, activation: 'leakyrelu', leak: 0.3 },
    },
  ],
  [
    'padding',
    { size: [24, 24, 8, 2], format: 'SSCB', weights: [3, 3, 8, 16], options: { padding: 'same', activation: 'relu' } },
  ],
  [
    'overlapping windows',
    {
      size: [30, 22, 3, 4],
      format: 'SSCB',
      options: { activation: 'relu', pooling: 'max', poolSize: 3, poolStride: 2, poolPadding: 1 },
    },
  ],
  [
    'more windows than elements',
    {
      size: [13, 12, 2, 9],
      format: 'SSCB',
      weights: [2, 3, 2, 4],
      options: { activation: 'relu', pooling: 'max', poolSize: 2, poolPadding: 1 },
    },
  ],
  [
    'averages behind a convolution of many observations',
    {
      size: [16, 15, 2, 10],
      format: 'SSCB',
      weights: [5, 2, 2, 4],
      options: { activation: 'leakyrelu', pooling: 'average', poolSize: 3, poolStride: 2 },
    },
  ],
  [
    'averages',
    {
      size: [30, 22, 3, 4],
      format: 'SSCB',
      options: { activation: 'relu', pooling: 'average', poolSize: 2, poolStride: 2 },
    },
  ],
  ['no pooling', { size: [33, 31, 3, 4], format: 'SSCB', options: { activation: 'relu' } }],
  [
    'no normalization',
    {
      size: [33, 31, 3, 4],
      format: 'SSCB',
      weights: [3, 3, 3, 5],
      normalized: false,
      options: { activation: 'relu', ...max2 },
    },
  ],
  [
    'a convolution and a pooling',
    { size: [17, 16, 3, 4], format: 'SSCB', weights: [3, 3, 3, 5], normalized: false, options: max2 },
  ],
  ['large planes', { size: [200, 180, 2, 2], format: 'SSCB', options: { activation: 'relu', ...max2 } }],
  [
    'a large mean',
    { size: [24, 24, 3, 4], format: 'SSCB', options: { activation: 'relu', ...max2 }, value: (x) => 1e4 + x },
  ],
  ['one dimension', { size: [101, 4, 6], format: 'SCB', weights: [5, 4, 6], options: { activation: 'relu', ...max2 } }],
  [
    'three dimensions',
    { size: [12, 10, 8, 2, 2], format: 'SSSCB', weights: [3, 3, 3, 2, 4], options: { activation: 'relu', ...max2 } },
  ],
  ...(['all-channels', 3, 'batch', 'given'] as const).flatMap((numGroups): [string, Case][] => [
    [
      `${numGroups} together`,
      { size: [28, 26, 6, 5], format: 'SSCB', options: { numGroups, activation: 'relu', ...max2 } },
    ],
    [
      `${numGroups} together behind a convolution of many observations`,
      {
        size: [28, 28, 3, 9],
        format: 'SSCB',
        weights: [5, 5, 3, 6],
        options: { numGroups, activation: 'relu', ...max2 },
      },
    ],
    [
      `${numGroups} together, averaged, behind a convolution`,
      {
        size: [30, 17, 8, 2],
        format: 'SSCB',
        weights: [3, 3, 8, 12],
        options: { numGroups, padding: 1, activation: 'leakyrelu', pooling: 'average', poolSize: 3, poolStride: 2 },
      },
    ],
    [
      `${numGroups} together, large`,
      { size: [150, 140, 3, 2], format: 'SSCB', options: { numGroups, activation: 'relu' } },
    ],
    [
      `${numGroups} together with a large mean`,
      {
        size: [24, 24, 3, 4],
        format: 'SSCB',
        options: { numGroups, activation: 'relu', ...max2 },
        value: (x) => 1e4 + 0.01 * x,
      },
    ],
    [
      `${numGroups} together, alone`,
      { size: [12, 7, 6, 9], format: 'SSCB', weights: [3, 3, 6, 6], options: { numGroups } },
    ],
  ]),
  ['one observation without B', { size: [40, 40, 18], format: 'SSC', options: { activation: 'relu', ...max2 } }],
]

beforeAll(async () => {
  setThreads(2)
  await wasmBackend().ready()
})

afterAll(() => setThreads(2))

describe.each(cases)('a block with %s', (_, one) => {
  const options = { ...defaultBlock, ...one.options }

  it('equals its steps one after the other, forward and backward, with any number of threads', () => {
    scope(() => {
      const inputs = inputsOf(one)
      const composed = results((arrays) => composedBlock(arrays as unknown as BlockInputs<DlArray>, options).Y, inputs)
      const fused = results((arrays) => blockOperation.run(arrays as { X: DlArray }, options), inputs)
      // every number of the forward pass is the same number, unless statistics are joined from those of planes, or given
      if (options.numGroups === 'batch' || options.numGroups === 'given')
        expectClose(fused.Y.values(), composed.Y.values(), 1e-6, 'Y', 1)
      else expect(fused.Y.values()).toEqual(composed.Y.values())
      for (const [name, gradient] of Object.entries(fused.gradients))
        expectClose(gradient.values(), composed.gradients[name]!.values(), 2e-5, name, name === 'bias' ? 100 : 1e-6)
      const predicted = blockOperation.run(inputs as { X: DlArray }, { ...options, keep: false })
      expect(predicted.values()).toEqual(fused.Y.values())
      setThreads(1)
      const single = results((arrays) => blockOperation.run(arrays as { X: DlArray }, options), inputs)
      setThreads(2)
      expect(single.Y.values()).toEqual(fused.Y.values())
      for (const [name, gradient] of Object.entries(single.gradients))
        expect(gradient.values(), name).toEqual(fused.gradients[name]!.values())
    })
  })
})

describe('a block', () => {
  const block = { ...defaultBlock, activation: 'relu', ...max2 } as const
  const usual = { offset: dlarray([0.5, -0.25], [2], 'C'), scale: dlarray([1, -2], [2], 'C') }

  it('gives the first of equal elements the gradient, also where a scale of 0 makes all equal', () => {
    const X = random([6, 8, 2, 1], 'SSCB', 3)
    const scale = dlarray([0, 0], [2], 'C')
    const offset = dlarray([1, 2], [2], 'C')
    const inputs = { X, offset, scale }
    const composed = results((arrays) => composedBlock(arrays as unknown as BlockInputs<DlArray>, block).Y, inputs)
    const fused = results((arrays) => blockOperation.run(arrays as { X: DlArray }, block), inputs)
    expect(fused.Y.values()).toEqual(composed.Y.values())
    for (const name of ['offset', 'scale'])
      expectClose(fused.gradients[name]!.values(), composed.gradients[name]!.values(), 1e-5)
    const flat = { ...inputs, X: dlarray(new Float32Array(96).fill(3), [6, 8, 2, 1], 'SSCB') }
    const gradients = [composedBlock, (arrays: BlockInputs<DlArray>) => ({ Y: blockOperation.run(arrays, block) })].map(
      (run) => results((arrays) => run(arrays as unknown as BlockInputs<DlArray>, block).Y, flat).gradients,
    )
    expectClose(gradients[1]!.offset!.values(), gradients[0]!.offset!.values(), 1e-6)
  })

  it('keeps NaN visible, in its plane alone', () => {
    const values = random([6, 8, 2, 2], 'SSCB', 3).values()
    values[100] = Number.NaN
    const X = dlarray(Float32Array.from(values), [6, 8, 2, 2], 'SSCB')
    const Y = blockOperation.run({ X, ...usual }, block).values()
    Y.forEach((y, i) => {
      expect(Number.isNaN(y), `element ${i}`).toBe(Math.floor(i / 12) === Math.floor(100 / 48))
    })
    const bare = blockOperation.run({ X }, block).values()
    expect(bare.filter(Number.isNaN)).toHaveLength(1)
  })

  it('computes the gradients asked for and no others', () => {
    const weights = random([3, 3, 3, 4], undefined, 2)
    const X = random([10, 10, 3, 2], 'SSCB', 1)
    const [dWeights] = dlfeval(
      (W: DlArray) => [dlgradient(sum(blockOperation.run({ X, weights: W }, block), 'all'), W)],
      weights,
    )
    const [dX] = dlfeval((x: DlArray) => [dlgradient(sum(blockOperation.run({ X: x, weights }, block), 'all'), x)], X)
    const both = dlfeval(
      (x: DlArray, W: DlArray) => dlgradient(sum(blockOperation.run({ X: x, weights: W }, block), 'all'), [x, W]),
      X,
      weights,
    )
    expect(dX!.values()).toEqual(both[0]!.values())
    expect(dWeights!.values()).toEqual(both[1]!.values())
  })

  it('says what it does not do', () => {
    const X = random([4, 3, 2, 2, 2], 'SSCBT', 1)
    expect(() => blockOperation.run({ X, ...usual }, block)).toThrow(DimensionError)
    expect(() => blockOperation.run({ X: random([4, 4, 2], 'SSC', 1) }, { leak: -1 })).toThrow(OptionError)
    const info = { size: [4, 3, 2, 2, 2], dims: 'SSCBT', type: 'single' } as const
    expect(blockPays({ X: info }, block)).toBe(false)
    const huge = { size: [512, 512, 3], dims: 'SSC', type: 'single' } as const
    expect(blockPays({ X: huge, offset: info, scale: info }, block)).toBe(false)
    expect(() => blockOperation.infer({ X: huge }, block)).toThrow(/131072/)
  })

  it('is left to the steps where planes are tiny, unless several are normalized together', () => {
    const pays = (numGroups: BlockOptions['numGroups'], size: readonly number[]) =>
      blockPays({ X: { size, dims: 'SSCB' }, ...usual }, { ...block, numGroups })
    for (const numGroups of ['channel-wise', 'batch'] as const) {
      expect(pays(numGroups, [7, 7, 2, 64])).toBe(false)
      expect(pays(numGroups, [9, 9, 2, 64])).toBe(true)
    }
    for (const numGroups of ['all-channels', 'given'] as const) expect(pays(numGroups, [7, 7, 2, 64])).toBe(true)
  })
})
