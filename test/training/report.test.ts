import { expect, test } from 'vitest'
import { BackendError, DimensionError } from '../../src/errors.js'
import { renderTrainingReport, type TrainingReport, trainingReport } from '../../src/training/report.js'
import { REPORT_SCRIPT } from '../../src/training/report-script.js'

const assets = { script: '/* chart script */', style: '/* chart style */' }

function reportOf(iterations: number): TrainingReport {
  const iteration = Array.from({ length: iterations }, (_, index) => index + 1)
  return {
    title: 'Digits',
    layers: "  1×1 Layer array with layers:\n\n     1   ''   ReLU   ReLU",
    trainingHistory: {
      iteration,
      epoch: iteration.map((number) => Math.ceil(number / 10)),
      loss: iteration.map((number) => 1 / number),
      learnRate: iteration.map(() => 0.01),
      metrics: { accuracy: iteration.map((number) => 100 - 50 / number) },
    },
    validationHistory: { iteration: [0, iterations], loss: [2.5, 0.25], metrics: { accuracy: [10, 98.7] } },
    options: { MiniBatchSize: '128' },
    results: { 'Test accuracy': '98.7 %' },
    confusion: {
      classNames: ['cat', 'dog'],
      counts: [
        [9, 1],
        [0, 10],
      ],
    },
  }
}

interface Numbers {
  iteration: number[]
  epoch: number[]
  epochEnds: number[]
  charts: { title: string; label: string; lines: { name: string; values: (number | null)[] }[] }[]
}

function numbersOf(page: string): Numbers {
  const json = /<script type="application\/json" id="numbers">(.*?)<\/script>/s.exec(page)?.[1]
  return JSON.parse(json ?? '') as Numbers
}

test('the page carries its charts and asks the network for nothing', async () => {
  const page = await trainingReport(reportOf(30))
  expect(page).toContain('uPlot')
  expect(page.length).toBeGreaterThan(50_000)
  expect(page).toContain("default-src 'none'")
  expect(page).not.toMatch(/<(link|img|iframe|script)[^>]*\b(src|href)=/)
  expect(page).not.toMatch(/@import|url\(/)
  expect(page).toBe(await trainingReport(reportOf(30)))
})

test('the script of the page is valid JavaScript and cannot end its own element', () => {
  expect(() => new Function(REPORT_SCRIPT)).not.toThrow()
  expect(REPORT_SCRIPT).not.toMatch(/<\/script|<!--/)
})

test('training and validation share the iterations, with gaps where there is no value', () => {
  const { iteration, epoch, epochEnds, charts } = numbersOf(renderTrainingReport(reportOf(30), assets))
  expect(iteration).toEqual(Array.from({ length: 31 }, (_, index) => index))
  expect(epoch.slice(0, 12)).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
  expect(epochEnds).toEqual([10, 20])
  expect(charts.map(({ title, label }) => [title, label])).toEqual([
    ['Loss', 'Loss (no unit)'],
    ['Accuracy', 'Accuracy (%)'],
    ['Learn rate', 'Learn rate (no unit)'],
  ])
  const [training, validation] = charts[0]!.lines
  expect(training!.values.slice(0, 4)).toEqual([null, 1, 0.5, 0.333333])
  expect(validation!.name).toBe('Validation loss')
  expect(validation!.values).toEqual([2.5, ...new Array<null>(29).fill(null), 0.25])
})

test('a long run has a smoothed line, the mean of the last iterations', () => {
  const { charts } = numbersOf(renderTrainingReport(reportOf(200), assets))
  const [raw, smoothed] = charts[0]!.lines
  expect(smoothed!.name).toBe('Mean of 4 iterations')
  expect(smoothed!.values[1]).toBe(1)
  expect(smoothed!.values[10]).toBeCloseTo((1 / 10 + 1 / 9 + 1 / 8 + 1 / 7) / 4, 5)
  expect(raw!.values[10]).toBe(0.1)
})

test('the table thins out long runs, keeping validation and the last iteration', () => {
  const rows = (page: string) =>
    [...page.slice(page.indexOf('id="table"')).matchAll(/<tr><td>(\d+)<\/td>(.*?)<\/tr>/g)].map(([, first]) =>
      Number(first),
    )
  expect(rows(renderTrainingReport(reportOf(30), assets))).toEqual(Array.from({ length: 31 }, (_, index) => index))
  const long = rows(renderTrainingReport(reportOf(5000), assets))
  expect(long.length).toBeLessThan(110)
  expect(long.at(-1)).toBe(5000)
  expect(renderTrainingReport(reportOf(5000), assets)).toContain('Every 51 iterations')
})

test('text from outside stays text', () => {
  const hostile = '</script><script>alert(1)</script>\'"&<!--'
  const report = {
    ...reportOf(3),
    title: hostile,
    layers: hostile,
    options: { [hostile]: hostile },
    results: { [hostile]: hostile },
    confusion: { classNames: [hostile], counts: [[1]] },
  }
  report.trainingHistory = { ...report.trainingHistory, metrics: { [hostile]: [1, 2, 3] } }
  const page = renderTrainingReport(report, assets)
  expect(page.match(/<script/g)).toHaveLength(3)
  expect(page.match(/<\/script/g)).toHaveLength(3)
  expect(page).not.toContain('alert(1)</script>')
  expect(numbersOf(page).charts.some(({ title }) => title === hostile)).toBe(true)
})

test('NaN and Inf are gaps, and an empty history or no validation still makes a page', () => {
  const report = reportOf(3)
  const page = renderTrainingReport(
    { ...report, trainingHistory: { ...report.trainingHistory, loss: [1, Number.NaN, Number.POSITIVE_INFINITY] } },
    assets,
  )
  expect(numbersOf(page).charts[0]!.lines[0]!.values).toEqual([null, 1, null, null])
  const empty = renderTrainingReport({ ...reportOf(0), validationHistory: undefined, confusion: undefined }, assets)
  expect(numbersOf(empty).iteration).toEqual([])
  expect(empty).toContain('Training loss: no values')
  expect(empty).not.toContain('id="confusion"')
})

test('the confusion matrix counts and shares', () => {
  const page = renderTrainingReport(reportOf(3), assets)
  expect(page).toContain(
    '<tr><th scope="row">cat</th><td class="right" style="--share:0.900">9</td><td class="wrong" style="--share:1.000">1</td>' +
      '<td class="none" style="--share:0">90.0 %</td></tr>',
  )
})

test('lists of different lengths are refused with both numbers', () => {
  const report = reportOf(3)
  const wrong = { ...report, trainingHistory: { ...report.trainingHistory, loss: [1] } }
  expect(() => renderTrainingReport(wrong, assets)).toThrow(DimensionError)
  expect(() => renderTrainingReport(wrong, assets)).toThrow('1 values of loss for 3 iterations')
})

test('without Node the error says what to do', async () => {
  const { getBuiltinModule } = process
  try {
    Object.assign(process, { getBuiltinModule: () => undefined })
    await expect(trainingReport(reportOf(3))).rejects.toThrow(BackendError)
    await expect(trainingReport(reportOf(3))).rejects.toThrow('npm install uplot')
  } finally {
    Object.assign(process, { getBuiltinModule })
  }
})
