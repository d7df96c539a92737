import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { chart } from '../../bench/chart.js'
import { Contender } from '../../bench/contender-process.js'
import { bundledBytes } from '../../bench/footprint.js'
import { type Effort, measureRow, median } from '../../bench/measure.js'
import { readOnnxGraph } from '../../bench/onnx-graph.js'
import { peakRate } from '../../bench/peak.js'
import { start } from '../../bench/peers/dlnet.js'
import { onnxModel } from '../../bench/peers/onnx-model.js'
import { readPng } from '../../bench/png.js'
import { difference, sketch } from '../../bench/protocol.js'
import type { Row } from '../../bench/rows/row.js'
import { scalingRows } from '../../bench/rows/scaling.js'
import { styleRows } from '../../bench/rows/style.js'
import { scalingChart } from '../../bench/scaling.js'
import { table } from '../../bench/table.js'
import { channelsFirst, channelsLast, inputsOf, noise, type Task, transposed } from '../../bench/task.js'

describe('inputs of the benchmark', () => {
  it('are those of every other language', () => {
    // Computed by numpy with unsigned 32-bit arithmetic, as bench/peers/pytorch.py does.
    const expected = [-0.3625548481941223, -0.7846581339836121, -0.5081128478050232, -0.24316580593585968]
    expect([...noise(3, 4)]).toEqual(expected)
    expect(noise(3, 1, 0.5, 1)[0]).toBeCloseTo(1 + 0.5 * expected[0]!, 6)
  })

  it('move between orders of elements without loss', () => {
    const x = noise(1, 2 * 3 * 4 * 5)
    expect(channelsFirst(channelsLast(x, [2, 3, 4, 5]), [2, 3, 4, 5])).toEqual(x)
    expect(channelsLast(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 2, 1, 3])).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6))
    expect(transposed(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 3)).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6))
  })
})

describe('comparison of results', () => {
  const a = { y: sketch(Float32Array.of(1, -2, 3)) }

  it('is the largest difference relative to the root of the mean square', () => {
    const { output, relative } = difference(a, { y: sketch(Float32Array.of(1, -2, 3.1)) })
    expect(output).toBe('y')
    expect(relative).toBeCloseTo(0.1 / Math.sqrt(14 / 3), 3)
    expect(difference(a, a).relative).toBe(0)
  })

  it('finds results that are missing, of another length or not numbers', () => {
    expect(difference(a, {}).relative).toBe(Number.POSITIVE_INFINITY)
    expect(difference(a, { y: sketch(new Float32Array(4)) }).relative).toBe(Number.POSITIVE_INFINITY)
    expect(difference(a, { y: sketch(Float32Array.of(1, Number.NaN, 3)) }).relative).not.toBeLessThan(1)
  })
})

it('takes the middle of an odd and of an even number of samples', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 100])).toBe(3.5)
})

it('writes ONNX models with the numbers they were given', () => {
  const task: Task = { kind: 'network', pass: 'predict', batch: 2 }
  const given = inputsOf(task)
  const model = onnxModel(task, given)!
  const raw = Buffer.from(given.fullWeights!.buffer)
  expect(Buffer.from(model.bytes).includes(raw)).toBe(true)
  expect(Buffer.from(model.bytes).includes('InstanceNormalization')).toBe(true)
  expect(model.output.size).toEqual([2, 10])
  expect(onnxModel({ kind: 'network', pass: 'train', batch: 2 }, given)).toBeUndefined()
})

it('reads back the graphs of ONNX models', () => {
  const task: Task = { kind: 'network', pass: 'predict', batch: 2 }
  const given = inputsOf(task)
  const graph = readOnnxGraph(onnxModel(task, given)!.bytes)
  expect(graph.nodes.map(({ type }) => type)).toEqual([
    'Conv',
    'InstanceNormalization',
    'Relu',
    'MaxPool',
    'Flatten',
    'Gemm',
    'Softmax',
  ])
  expect(graph.nodes[3]).toMatchObject({ inputs: ['rectified'], output: 'pooled', attributes: { strides: [2, 2] } })
  expect(graph.nodes[1]!.attributes.epsilon![0]).toBeCloseTo(1e-5, 12)
  expect(graph.constants.weights).toEqual({ size: [20, 3, 5, 5], values: given.weights })
  expect([graph.input, graph.output]).toEqual(['x', 'scores'])
  expect(() => readOnnxGraph(new Uint8Array())).toThrow('no graph')
})

it('reads pictures through every filter of the format', () => {
  const [width, height] = [3, 5]
  const bytes = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * i * 7 + 13 * i) % 256)
  expect(readPng(png(width, height, bytes))).toEqual({ width, height, bytes })
  const gray = png(width, height, bytes)
  gray[25] = 0
  expect(() => readPng(gray)).toThrow('not an 8-bit RGB picture')
})

/** Row r is filtered by filter r of the format's five. */
function png(width: number, height: number, bytes: Uint8Array): Uint8Array {
  const at = (row: number, i: number) => (row < 0 || i < 0 ? 0 : bytes[row * 3 * width + i]!)
  const rows = Array.from({ length: height }, (_, row) => {
    const filtered = Array.from({ length: 3 * width }, (_, i) => {
      const [a, b, c] = [at(row, i - 3), at(row - 1, i), at(row - 1, i - 3)]
      const distances = [a, b, c].map((candidate) => Math.abs(a + b - c - candidate))
      const paeth = [a, b, c][distances.indexOf(Math.min(...distances))]!
      return (at(row, i) - [0, a, b, Math.floor((a + b) / 2), paeth][row % 5]! + 256) % 256
    })
    return [row % 5, ...filtered]
  })
  const chunk = (type: string, content: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(content.length)
    return Buffer.concat([length, Buffer.from(type), content, Buffer.alloc(4)])
  }
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 2, 0, 0, 0])
  const data = deflateSync(Uint8Array.from(rows.flat()))
  return Buffer.concat([Buffer.alloc(8), chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}

const [styleRow] = styleRows
const styleTask = styleRow!.task as Task & { kind: 'style' }
const isMissing = [styleTask.model, styleTask.picture, styleTask.expected].some((path) => !existsSync(path))
if (isMissing) console.warn(`Skipped: ${styleTask.model} or its pictures are missing.`)

it.skipIf(isMissing)('draws the picture that the style network is known to make', async () => {
  const prepared = await (await start(1)).prepare(styleTask)
  const { stylized } = await prepared.outputs()
  expect(stylized!.length).toBe(3 * 256 * 256)
  prepared.release?.()
  await expect((await start(1)).prepare({ ...styleTask, model: 'no-such.onnx' })).rejects.toThrow('is missing')
})

describe('the chart of how cost grows', () => {
  it('places points by the logarithm of their values, and labels axes and lines', () => {
    const points = [
      [1, 10],
      [10, 100],
      [100, 1000],
    ] as const
    const panel = { title: 'a < b', x: 'pixels', y: 'ms', series: [{ label: 'one', colour: 0, points }] }
    const svg = chart([panel], 'this machine')
    const placed = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)])
    expect(placed).toHaveLength(3)
    const [[x0, y0], [x1, y1], [x2, y2]] = placed as [[number, number], [number, number], [number, number]]
    expect(x1 - x0).toBeCloseTo(x2 - x1, 0)
    expect(y0 - y1).toBeCloseTo(y1 - y2, 0)
    expect(y0).toBeGreaterThan(y2)
    for (const label of ['a &lt; b', 'pixels', 'ms', 'one', 'this machine', '1000'])
      expect(svg).toContain(`>${label}</text>`)
  })

  it('bounds rates by bandwidth and arithmetic', () => {
    const figures = scalingRows.map(({ series, x, amount, label, row: { task } }) => {
      const copy = task.kind === 'instancenorm' ? 1 : undefined
      return { series, x, amount, label, threads: 1, milliseconds: 2, copy }
    })
    const svg = scalingChart(figures, [[1, 40]], 0)
    // 134 MB read and written in a millisecond.
    expect(svg).toContain('268 GB/s, 40 GFLOP/s, 1 thread')
    expect(svg).toContain('3x3 convolution')
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
  })

  it('measures what arithmetic in registers reaches', async () => {
    expect(await peakRate(1, 100)).toBeGreaterThan(1)
  })
})

it('bundles the library for browsers, all of it or what is used', async () => {
  const entry = fileURLToPath(new URL('../../src/index.ts', import.meta.url))
  const one = await bundledBytes(['dlarray', 'relu'], entry)
  const all = await bundledBytes('all', entry)
  expect(one).toBeGreaterThan(10_000)
  expect(all).toBeGreaterThan(1.5 * one)
})

describe('measuring', () => {
  const effort: Effort = { warmUp: 5, rounds: 2, turn: 1, clock: 'wall' }
  const task: Task = { kind: 'instancenorm', pass: 'forward', size: [8, 8, 3, 2], format: 'SSCB' }
  const row: Row = { name: 'small', size: '8x8x3x2', task, work: { amount: 1e-6, unit: 'GB' }, tolerance: 1e-3 }

  it('times a contender in a process of its own, in turns, and shows it in the table', async () => {
    const copy = (await Contender.start('copy', 1)) as Contender
    expect(copy.hello).toEqual({ version: 'memcpy', threads: 1 })
    const results = await measureRow(row, [copy], effort)
    expect(results.copy).toMatchObject({ outcome: 'timed', threads: 1, asCalled: { median: expect.any(Number) } })
    const other = await measureRow({ ...row, task: { kind: 'matmul', extent: 2 } }, [copy], effort)
    expect(other.copy).toMatchObject({ outcome: 'unsupported' })
    const text = table([{ row, threads: 1, results }])
    expect(text.split('\n')[0]).toMatch(/^\| row +\| size +\| threads \| memcpy/)
    expect(text).toMatch(/\| small \| 8x8x3x2 \| 1 +\| \d\S* ms/)
    await copy.stop()
    expect(copy.running).toBe(false)
  })
})
