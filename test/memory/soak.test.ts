import { afterAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, setThreads, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { minus, times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { mse } from '../../src/operations/losses/mse.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'

const STEPS = 10_000

interface Parameters {
  offset: DlArray
  scale: DlArray
}

afterAll(() => setBackend('wasm'))

describe.each(['wasm', 'reference'] as const)('on %s', (backend) => {
  it(`memory is flat over ${STEPS} steps forward and backward`, () => {
    setBackend(backend)
    setThreads(1)
    const X = dlarray(Float32Array.from({ length: 72 }, (_, i) => Math.sin(i)), [3, 3, 4, 2], 'SSCB') // biome-ignore format: one thing
    const T = dlarray(Float32Array.from({ length: 72 }, (_, i) => Math.cos(2 * i) + 1), [3, 3, 4, 2], 'SSCB') // biome-ignore format: one thing
    let parameters: Parameters = { offset: dlarray([0, 0, 0, 0], 'C'), scale: dlarray([1, 1, 1, 1], 'C') }
    const step = (p: Parameters) => {
      const loss = mse(relu(instancenorm(X, p.offset, p.scale)), T)
      const gradients = dlgradient(loss, p)
      return { loss, gradients }
    }
    let before: ReturnType<typeof memory> | undefined
    let fresh = 0
    let first = 0
    let last = 0
    for (let i = 0; i < STEPS; i++) {
      const next = scope(() => {
        const { loss, gradients } = dlfeval(step, parameters)
        last = loss.item()
        if (i === 0) first = last
        return {
          offset: minus(parameters.offset, times(0.01, gradients.offset)),
          scale: minus(parameters.scale, times(0.01, gradients.scale)),
        }
      })
      for (const array of Object.values(parameters)) array.dispose()
      parameters = next
      if (i === 1) {
        before = memory()
        fresh = wasmBackend().bytesFresh
      }
    }
    const after = memory()
    expect(after.arrays).toBe(before!.arrays)
    expect(after.storages).toBe(before!.storages)
    expect(after.bytesInUse).toBe(before!.bytesInUse)
    expect(after.bytesPooled).toBe(before!.bytesPooled)
    expect(after.backends.wasm?.bytesReserved).toBe(before!.backends.wasm?.bytesReserved)
    // Every block came from the pool: nothing was cut from new memory after the second step.
    expect(wasmBackend().bytesFresh).toBe(fresh)
    expect(last).toBeLessThan(first)
    for (const array of [X, T, ...Object.values(parameters)]) array.dispose()
  })
})
