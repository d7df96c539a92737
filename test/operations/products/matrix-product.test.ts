import { afterAll, describe, expect, it } from 'vitest'
import { createWasmBackend } from '../../../src/backends/wasm/backend.js'
import {
  launchMatrixProduct,
  matrixProduct,
  referenceMatrixProduct,
} from '../../../src/operations/products/matrix-product.js'
import { expectClose, SINGLE } from '../../support/close.js'
import { normals } from '../../support/random.js'

const one = createWasmBackend({ threads: 1 })
const two = createWasmBackend({ threads: 2 })

afterAll(async () => {
  await Promise.all([one.dispose(), two.dispose()])
})

describe('products with few rows', () => {
  // Every number of rows, lengths about those of runs, columns that do and do not fill tiles and work items.
  const cases = Array.from({ length: 13 }, (_, i) => i + 1).flatMap((m) =>
    (
      [
        [24, 1],
        [25, 3],
        [50, 256],
        [31, 257],
        [200, 40],
        [601, 7],
      ] as const
    ).map(([n, k]) => [m, n, k] as const),
  )

  it.each(cases)('%d × %d over %d agree with the reference, with any number of threads', async (m, n, k) => {
    await two.ready()
    const draw = normals(m + 100 * n + k)
    const values = (count: number) => Float64Array.from({ length: count }, () => Math.fround(draw()))
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const p = matrixProduct(m, n, k, transposeA, transposeB)
      const [A, B, bias] = [values(m * k), values(k * n), values(m)]
      const expected = new Float64Array(m * n)
      const withBias = transposeA === transposeB
      referenceMatrixProduct(p, A, B, withBias ? bias : undefined, expected)
      const results = [one, two].map((wasm) => {
        const put = (data: Float64Array) => {
          const storage = wasm.allocate(data.length, 'float32').retain()
          storage.view().set(data)
          return storage
        }
        // Nothing is written behind the result.
        const storages = [put(A), put(B), put(bias), put(new Float64Array(m * n + 3).fill(7))] as const
        const [a, b, biases, c] = storages.map((storage) => wasm.pointer(storage))
        launchMatrixProduct(wasm, p, { A: a!, B: b!, bias: withBias ? biases! : 0, C: c! })
        const C = Float32Array.from(storages[3].view())
        for (const storage of storages) storage.release()
        return C
      })
      const [first, second] = results as [Float32Array, Float32Array]
      expect(second).toEqual(first)
      expect([...first.subarray(m * n)]).toEqual([7, 7, 7])
      expectClose(first.subarray(0, m * n), expected, SINGLE, `${transposeA} ${transposeB}`)
    }
  })
})
