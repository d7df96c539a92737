import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { numel } from '../../src/array/format.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setThreads, wasmBackend } from '../../src/backends/current.js'
import { keep, scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'
import { mean } from '../../src/operations/reductions/mean.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { alive } from '../support/storages.js'

// Inside dlfeval the launch of a normalization is put off until the next launch; a reduction of its result is done among it.

beforeAll(async () => {
  setThreads(2)
  await wasmBackend().ready()
})
afterEach(() => vi.restoreAllMocks())
afterAll(() => setThreads(1))

/** Numbers between -1 and 1; arrays must be large for a launch to be put off, so they are made by the simplest generator. */
function random(size: readonly number[], format: string, seed: number): DlArray {
  let state = seed
  const values = new Float32Array(numel(size))
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    values[i] = state / 2 ** 31
  }
  return dlarray(values, size, format as 'SSCB')
}

/** The kernels that `work` launches, in their order. */
function launchesOf(work: () => void): string[] {
  const names: string[] = []
  wasmBackend().observeLaunch = (name, run) => {
    names.push(name)
    run()
  }
  try {
    work()
  } finally {
    wasmBackend().observeLaunch = undefined
  }
  return names
}

const evaluated = <T>(fn: () => T): T => dlfeval(fn as never) as T

type Reduce = (Y: DlArray, W: DlArray) => DlArray

const reduces: Record<string, Reduce> = {
  'sum of products': (Y, W) => sum(times(Y, W), 'all'),
  'sum of products, second factor': (Y, W) => sum(times(W, Y), 'all'),
  'mean of products': (Y, W) => mean(times(Y, W), 'all'),
  'sum of squares': (Y) => sum(times(Y, Y), 'all'),
  sum: (Y) => sum(Y, 'all'),
  'sum over planes': (Y, W) => sum(times(Y, W), 'S'),
  'mean over planes': (Y) => mean(Y, 'S'),
}

function inputsOf(size: readonly number[]) {
  const channels = [size[2]!]
  return {
    W: random(size, 'SSCB', 2),
    X: random(size, 'SSCB', 1),
    offset: random(channels, 'C', 3),
    scale: random(channels, 'C', 4),
  }
}

/** The bits of all that comes of a normalization and a reduction; `between` is called with the result of the first. */
function outcome({ W, ...inputs }: ReturnType<typeof inputsOf>, reduce: Reduce, between: (Y: DlArray) => void) {
  return scope(() => {
    const { loss, Y, gradients } = dlfeval((given: typeof inputs) => {
      const Y = instancenorm(given.X, given.offset, given.scale)
      between(Y)
      const loss = reduce(Y, W)
      return { loss, Y, gradients: dlgradient(sum(loss, 'all'), given) }
    }, inputs)
    return bits([loss, Y, gradients.X, gradients.offset, gradients.scale])
  })
}

/** Comparing so many numbers one by one takes long. */
function bits(arrays: readonly DlArray[]): string {
  const hash = createHash('sha1')
  for (const array of arrays) hash.update(array.values())
  return `${arrays[0]!.values()[0]} ${hash.digest('hex')}`
}

const joined: readonly (readonly number[])[] = [
  // planes of one part, of two, 32 planes to 3 parts, and of half a part, of which the last is short
  [128, 128, 16, 16],
  [256, 128, 8, 16],
  [48, 32, 64, 43],
  [128, 64, 3, 171],
]

describe('a reduction of what was just normalized', () => {
  it.each(joined)(
    'has the same bits as on its own: planes of %d by %d, %d channels, %d observations',
    async (...size) => {
      const inputs = inputsOf(size)
      const apart = Object.values(reduces).map((reduce) => outcome(inputs, reduce, (Y) => void Y.storage.view()))
      const together = () =>
        Object.entries(reduces).map(([name, reduce]) => {
          let result = ''
          const launches = launchesOf(() => {
            result = outcome(inputs, reduce, () => undefined)
          })
          expect(launches, name).toContain('normalizeAndReduce')
          expect(launches, name).not.toContain('normalize')
          return result
        })
      expect(together()).toEqual(apart)
      setThreads(1)
      expect(together()).toEqual(apart)
      setThreads(2)
      await wasmBackend().ready()
    },
  )

  it.each([
    // parts and planes that come together nowhere; arrays that stay in the cache
    [31, 33, 64, 65],
    [128, 128, 8, 8],
  ])('is done on its own where turns would be long or gain nothing: %d by %d, %d, %d', (...size) => {
    const names = launchesOf(() => outcome(inputsOf(size), reduces['sum of products']!, () => undefined))
    expect(names).toContain('normalize')
    expect(names).not.toContain('normalizeAndReduce')
  })

  it('is differentiable twice', () => {
    const size = [128, 64, 8, 65]
    const W = random(size, 'SSCB', 2)
    const X = random(size, 'SSCB', 1)
    const channel = random([8], 'C', 3)
    const run = (between: (Y: DlArray) => void) =>
      scope(() =>
        bits(
          dlfeval((x) => {
            const Y = instancenorm(x, channel, channel)
            between(Y)
            const first = dlgradient(sum(times(Y, W), 'all'), x, { enableHigherDerivatives: true })
            return [first, dlgradient(sum(times(first, first), 'all'), x)]
          }, X),
        ),
      )
    expect(run(() => undefined)).toEqual(run((Y) => void Y.storage.view()))
  })
})

describe('a launch that is put off', () => {
  const size = [128, 64, 8, 65]
  const X = random(size, 'SSCB', 1)
  const W = random(size, 'SSCB', 2)
  const scale = random([8], 'C', 3)
  const offset = random([8], 'C', 4)
  const Y = instancenorm(X, offset, scale)
  const expected = bits([Y])
  const [rectified, doubled] = [bits([relu(Y)]), bits([times(Y, 2)])]
  const total = sum(times(instancenorm(X, offset, scale), W), 'all').item()

  it('runs before any other, and before elements are looked at', () => {
    const names = launchesOf(() =>
      evaluated(() => {
        const Y = instancenorm(X, offset, scale)
        const Z = relu(Y)
        expect(sum(times(Y, W), 'all').item()).toBe(total)
        expect(bits([Z])).toBe(rectified)
        expect(bits([instancenorm(X, offset, scale)])).toBe(expected)
        return instancenorm(X, offset, scale)
      }),
    )
    expect(names).not.toContain('normalizeAndReduce')
    expect(names[0]).toBe('normalize')
    expect(names.filter((name) => name === 'normalize')).toHaveLength(3)
  })

  it('runs once, and its result is there for what comes after a reduction', () => {
    const names = launchesOf(() => {
      const { loss, Y, Z } = evaluated(() => {
        const Y = instancenorm(X, offset, scale)
        return { loss: sum(times(Y, W), 'all'), Y, Z: times(Y, 2) }
      })
      expect(loss.item()).toBe(total)
      expect(bits([Y])).toBe(expected)
      expect(bits([Z])).toBe(doubled)
      for (const array of [loss, Y, Z]) array.dispose()
    })
    expect(names.filter((name) => name.startsWith('normalize'))).toEqual(['normalizeAndReduce'])
  })

  it('is run when dlfeval returns or fails, and lets go of all memory', () => {
    const before = alive()
    const returned = dlfeval((x) => [dlfeval((y) => instancenorm(y, offset, scale), x)], X)
    expect(bits([returned[0]!])).toBe(expected)
    let kept: DlArray | undefined
    expect(() =>
      evaluated(() => {
        kept = keep(instancenorm(X, offset, scale))
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(bits([kept!])).toBe(expected)
    for (const array of [returned[0]!, kept!]) array.dispose()
    evaluated(() => {
      instancenorm(X, offset, scale)
    })
    expect(alive()).toEqual(before)
  })

  it('keeps the memory of what it reads and writes until it has run', () => {
    const names = launchesOf(() =>
      evaluated(() => {
        const [x, o, s] = [times(X, 1), times(offset, 1), times(scale, 1)]
        const Y = instancenorm(x, o, s)
        const P = times(Y, W)
        for (const array of [x, o, s, Y]) array.dispose()
        expect(sum(P, 'all').item()).toBe(total)
      }),
    )
    expect(names).toContain('normalizeAndReduce')
  })

  it('takes no memory anew in two hundred calls', () => {
    const step = () =>
      scope(() => void dlfeval((x) => dlgradient(sum(times(instancenorm(x, offset, scale), W), 'all'), x), X))
    for (let i = 0; i < 3; i++) step()
    const [before, fresh] = [alive(), wasmBackend().bytesFresh]
    for (let i = 0; i < 200; i++) step()
    expect(alive()).toEqual(before)
    expect(wasmBackend().bytesFresh).toBe(fresh)
  })

  it('that fails, alone or with a reduction, runs again', () => {
    const before = alive()
    const wasm = wasmBackend()
    const { launch } = wasm
    for (const kernel of ['normalize', 'normalizeAndReduce'])
      evaluated(() => {
        const Y = instancenorm(X, offset, scale)
        let failures = 0
        vi.spyOn(wasm, 'launch').mockImplementation((name, ...rest) => {
          if (name === kernel && failures++ === 0) throw new Error(`no ${kernel}`)
          launch.call(wasm, name, ...rest)
        })
        const use = () => (kernel === 'normalize' ? relu(Y) : sum(times(Y, W), 'all'))
        expect(use).toThrow(`no ${kernel}`)
        expect(bits([Y])).toBe(expected)
        expect(sum(times(Y, W), 'all').item()).toBe(total)
        expect(failures).toBeGreaterThan(0)
      })
    expect(alive()).toEqual(before)
  })

  it('is part of a recording, joined or not', () => {
    const wasm = wasmBackend()
    const other = random(size, 'SSCB', 5)
    const compute = (x: DlArray) =>
      dlfeval((given) => {
        const Y = instancenorm(given, offset, scale)
        return [sum(times(Y, W), 'all'), instancenorm(Y, offset, scale)] as const
      }, x)
    const direct = bits(compute(other))
    const slot = times(X, 1)
    const names = launchesOf(() => {
      const { result, recording } = wasm.record({ inputs: [slot.storage], changing: [] }, () => compute(slot))
      wasm.replay(recording!, [other.storage])
      expect(bits(result)).toBe(direct)
      for (const array of result) array.dispose()
      wasm.releaseRecording(recording!)
    })
    const once = ['normalizeAndReduce', 'reduceJoin', 'normalize']
    expect(names).toEqual([...once, ...once])
  })

  it('runs before memory that was lent to it goes back, and before a recording begins or ends', () => {
    const wasm = wasmBackend()
    const events: string[] = []
    const putOff = (name: string) =>
      wasm.held.hold({ y: 0, length: 0, canReduce: () => false, run: () => void events.push(name) })
    wasm.held.lending([], () => {
      wasm.withTemporary(64, () => putOff('temporary'))
      events.push('given back')
      putOff('before')
      const { recording } = wasm.record({ inputs: [], changing: [] }, () => {
        events.push('recording')
        putOff('in it')
      })
      events.push('recorded')
      wasm.releaseRecording(recording!)
    })
    expect(events).toEqual(['temporary', 'given back', 'before', 'recording', 'in it', 'recorded'])
  })
})
