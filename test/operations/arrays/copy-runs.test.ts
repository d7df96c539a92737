import { expect, it } from 'vitest'
import { copyRuns } from '../../../src/operations/arrays/copy-runs.js'

const values = Array.from({ length: 30_000 }, (_, i) => (i * 37) % 251)

it.each([
  ['bytes', Uint8Array.from(values)],
  ['singles', Float32Array.from(values)],
  ['doubles', Float64Array.from(values)],
  ['a list', values],
])('copies runs of any length of %s, one behind the other', (_, from) => {
  for (const kind of [Float32Array, Float64Array] as Float32ArrayConstructor[])
    for (const [count, length] of [
      [7, 1],
      [13, 784],
      [3, 4096],
      [2, 9000],
      [1, 20_000],
      [5, 0],
      [0, 5],
    ] as const) {
      const to = new kind(new SharedArrayBuffer(8 * (count * length + 3)), 0, count * length + 3).fill(-1)
      const start = (run: number) => (run * 4999) % (values.length - length)
      copyRuns(from, start, { count, length }, to)
      const expected = Array.from({ length: count }, (_, run) => values.slice(start(run), start(run) + length)).flat()
      expect(Array.from(to)).toEqual([...expected, -1, -1, -1])
    }
})
