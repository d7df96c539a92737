// How cost grows with observations, pictures and threads, and where that stands below the machine's limits.

import { availableParallelism, cpus } from 'node:os'
import { chart, type Panel, type Series } from './chart.js'
import { Contender } from './contender-process.js'
import { type Effort, measureRow } from './measure.js'
import { peakRate } from './peak.js'
import { type ScalingRow, scalingRows } from './rows/scaling.js'

export interface ScalingFigure {
  readonly series: ScalingRow['series']
  readonly label?: string
  readonly threads: number
  readonly x: number
  /** Of the shortest call, which other work on the machine disturbs least. */
  readonly milliseconds: number
  /** What a call amounts to. */
  readonly amount: number
  /** Milliseconds to copy as many bytes, where bytes count. */
  readonly copy?: number
}

/** Threads, and the most multiplications and additions a second that they do together, in GFLOP/s. */
export type Peak = readonly [threads: number, rate: number]

/** Measures every row of the chart with dlnet and, where memory decides, with a copy of as many bytes. */
export async function measureScaling(threadCounts: readonly number[], effort: Effort, say: (line: string) => void) {
  const figures: ScalingFigure[] = []
  const peaks: Peak[] = []
  for (const threads of threadCounts) {
    peaks.push([threads, await peakRate(threads)])
    const contenders: Contender[] = []
    for (const name of ['dlnet', 'copy'] as const) {
      const started = await Contender.start(name, threads)
      if (typeof started === 'string') throw new Error(`${name}: ${started}`)
      contenders.push(started)
    }
    try {
      for (const { row, series, x, amount, label } of scalingRows) {
        const { dlnet, copy } = await measureRow(row, contenders, effort)
        if (dlnet?.outcome !== 'timed') {
          say(`${row.name}, ${threads} threads: ${dlnet && 'because' in dlnet ? dlnet.because : 'no figure'}`)
          continue
        }
        const milliseconds = dlnet.asCalled.shortest
        const copied = copy?.outcome === 'timed' ? copy.asCalled.shortest : undefined
        figures.push({ series, label, threads, x, milliseconds, amount, copy: copied })
        say(`${row.name}, ${threads} threads: ${milliseconds.toPrecision(3)} ms`)
      }
    } finally {
      await Promise.all(contenders.map((contender) => contender.stop()))
    }
  }
  return { figures, peaks }
}

const threadsText = (threads: number) => `${threads} ${threads === 1 ? 'thread' : 'threads'}`

/** The chart as SVG, with the machine that it was drawn on below. */
export function scalingChart(figures: readonly ScalingFigure[], peaks: readonly Peak[], load: number): string {
  const counts = peaks.map(([threads]) => threads)
  const of = (series: ScalingRow['series'], threads: number) =>
    figures.filter((figure) => figure.series === series && figure.threads === threads).sort((a, b) => a.x - b.x)
  const lines = (
    series: ScalingRow['series'],
    label: string,
    colour: number,
    value: (figure: ScalingFigure) => number,
  ): Series[] =>
    counts.map((threads, i) => ({
      label: `${label}, ${threadsText(threads)}`,
      colour,
      isDashed: i > 0,
      points: of(series, threads).map((figure) => [figure.x, value(figure)]),
    }))
  const microseconds = ({ milliseconds, amount }: ScalingFigure) => (milliseconds * 1e3) / amount
  const panels: Panel[] = [
    {
      title: "The page's network by batch size (28x28 pictures)",
      x: 'observations in a batch',
      y: 'microseconds a picture',
      series: [
        ...lines('train by batch', 'training', 1, microseconds),
        ...lines('predict by batch', 'prediction', 0, microseconds),
      ],
    },
    {
      title: "The page's network by picture size (batch 16 or less)",
      x: 'rows and columns of a picture',
      y: 'nanoseconds a pixel',
      series: lines('predict by extent', 'prediction', 0, ({ milliseconds, amount }) => (milliseconds * 1e6) / amount),
    },
    {
      title: 'Instance normalization, forward, by tensor size',
      x: 'megabytes of the tensor',
      y: 'GB/s read and written',
      series: [
        ...lines('instancenorm', 'instancenorm', 2, ({ milliseconds, amount }) => (amount / milliseconds) * 1e3),
        ...lines('instancenorm', 'memcpy', 3, ({ copy, amount }) => (amount / copy!) * 1e3),
      ],
    },
    roofline(figures, peaks),
  ]
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} processors, Node ${process.version}, load ${load.toFixed(1)} before; npm run bench -- --scaling`
  return chart(panels, machine)
}

function roofline(figures: readonly ScalingFigure[], peaks: readonly Peak[]): Panel {
  const series = peaks.flatMap(([threads, peak], i): Series[] => {
    const points = figures.filter((figure) => figure.series === 'roofline' && figure.threads === threads)
    const normalization = figures.filter((figure) => figure.threads === threads && figure.copy !== undefined)
    const largest = normalization.reduce<ScalingFigure | undefined>(
      (most, figure) => (figure.series === 'instancenorm' && figure.x > (most?.x ?? 0) ? figure : most),
      undefined,
    )
    // Beyond the cache: the bandwidth of memory, in GB/s.
    const bandwidth = largest ? (largest.amount / largest.copy!) * 1e3 : 0
    const corner = peak / bandwidth
    const xs = [...points.map(({ x }) => x), corner]
    const [left, right] = [Math.min(...xs) / 2, Math.max(...xs) * 2]
    return [
      {
        label: `${bandwidth.toFixed(0)} GB/s, ${peak.toFixed(0)} GFLOP/s, ${threadsText(threads)}`,
        colour: 3,
        isDashed: i > 0,
        isBound: true,
        points: [
          [left, left * bandwidth],
          [corner, peak],
          [right, peak],
        ],
      },
      {
        label: `dlnet, ${threadsText(threads)}`,
        colour: 1,
        isDashed: i > 0,
        points: points.map(({ x, milliseconds, amount }) => [x, (amount / milliseconds) * 1e3]),
        names: points.map(({ label }) => (i === 0 ? (label ?? '') : '')),
      },
    ]
  })
  return {
    title: 'Roofline: rates and the limits of the machine',
    x: 'floating-point operations a byte',
    y: 'GFLOP/s',
    series,
  }
}
