/**
 * The report of a training run: one HTML page that holds everything it needs, so that it opens from a file, by mail or
 * in ten years. Charts are drawn by uPlot, whose script is copied into the page.
 */

import { formatShortG } from '../array/number-display.js'
import { argumentError, DimensionError, isObject } from '../errors.js'
import { type Confusion, checkConfusion } from './confusion.js'
import { withoutCharts } from './report-browser.js'
import { REPORT_SCRIPT } from './report-script.js'
import { REPORT_STYLE } from './report-style.js'

/** Values by iteration; the lists have the same length. Metrics in percent are named `accuracy`. */
export interface TrainingCurves {
  readonly iteration: readonly number[]
  readonly epoch: readonly number[]
  readonly loss: readonly number[]
  readonly learnRate: readonly number[]
  readonly metrics: Readonly<Record<string, readonly number[]>>
}

/** What validation measured, and at which iterations. */
export interface ValidationCurves {
  readonly iteration: readonly number[]
  readonly loss: readonly number[]
  readonly metrics: Readonly<Record<string, readonly number[]>>
}

/** What {@link trainingReport} shows. */
export interface TrainingReport {
  readonly title: string
  /** The printed layer array. */
  readonly layers: string
  readonly trainingHistory: TrainingCurves
  readonly validationHistory?: ValidationCurves
  /** Hyperparameters by name, as text. */
  readonly options: Readonly<Record<string, string>>
  /** Final results by name, as text with units: `Test accuracy`: `98.7 %`. */
  readonly results: Readonly<Record<string, string>>
  readonly confusion?: Confusion
}

/** Script and style sheet of uPlot (`uplot/dist/uPlot.iife.min.js` and `uPlot.min.css`). */
export interface ChartAssets {
  readonly script: string
  readonly style: string
}

/** More iterations than this are thinned out in the table of numbers; the CSV file always has all. */
const TABLE_ROWS = 100
/** The bold training line is the mean over this share of the run, as single mini-batches scatter. */
const SMOOTHED_SHARE = 1 / 50
/** Digits that a chart can show. */
const CHART_DIGITS = 6

/**
 * The page as text, for the caller to write. In Node: reads uPlot from the optional package `uplot`. Elsewhere it
 * throws a BackendError.
 */
export async function trainingReport(report: TrainingReport): Promise<string> {
  return renderTrainingReport(report, await readChartAssets())
}

async function readChartAssets(): Promise<ChartAssets> {
  try {
    // Not an import: bundlers for browsers would follow it.
    const { createRequire } = process.getBuiltinModule('node:module')
    const { readFile } = process.getBuiltinModule('node:fs/promises')
    const { resolve } = createRequire(import.meta.url)
    const [script, style] = await Promise.all([
      readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
      readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
    ])
    return { script, style }
  } catch (cause) {
    throw withoutCharts(cause)
  }
}

interface ChartLine {
  readonly name: string
  /** A colour of the style sheet. */
  readonly color: 'training' | 'validation' | 'third'
  /** One entry per entry of the chart's iterations; null where there is no value. */
  readonly values: readonly (number | null)[]
  /** A line in the background. */
  readonly faint?: boolean
  /** Few values, drawn as points. */
  readonly sparse?: boolean
  /** Derived from another line, and so not among the numbers. */
  readonly derived?: boolean
}

interface Chart {
  readonly title: string
  /** Axis label with its unit. */
  readonly label: string
  readonly percent: boolean
  readonly lines: readonly ChartLine[]
}

/** Every iteration that has a training or a validation value, in order, and the charts over them. */
interface ReportNumbers {
  readonly iteration: readonly number[]
  readonly epoch: readonly number[]
  /** The last iteration of each epoch but the last. */
  readonly epochEnds: readonly number[]
  readonly charts: readonly Chart[]
}

/** The page as text, from the report and the files of uPlot. The same input gives the same text. */
export function renderTrainingReport(report: TrainingReport, assets: ChartAssets): string {
  checkReport(report)
  const numbers = collectNumbers(report)
  const sections = [
    ...numbers.charts.map(({ title }, index) => [`chart-${index}`, title] as const),
    ...(report.confusion === undefined ? [] : [['confusion', 'Confusion matrix'] as const]),
    ['options', 'Hyperparameters'] as const,
    ['layers', 'Layers'] as const,
    ['table', 'Numbers'] as const,
  ]
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>${escapeText(report.title)}</title>
<style>${assets.style}${REPORT_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeText(report.title)}</h1>
<nav aria-label="Parts of this page"><ul>
${sections.map(([id, title]) => `<li><a href="#${id}">${escapeText(title)}</a></li>`).join('\n')}
</ul></nav>
</header>
<main>
<section aria-labelledby="results-title">
<h2 id="results-title">Results</h2>
<dl class="results">
${descriptions(report.results)}
</dl>
</section>
<noscript><p>The charts need JavaScript; the numbers are in the table below.</p></noscript>
<div class="charts">
${numbers.charts.map(chartSection).join('\n')}
</div>
${report.confusion === undefined ? '' : confusionSection(report.confusion)}
<section id="options" aria-labelledby="options-title">
<h2 id="options-title">Hyperparameters</h2>
<dl class="options">
${descriptions(report.options)}
</dl>
</section>
<section id="layers" aria-labelledby="layers-title">
<h2 id="layers-title">Layers</h2>
<pre class="scroll" tabindex="0" aria-labelledby="layers-title">${escapeText(report.layers)}</pre>
</section>
${tableSection(numbers)}
</main>
<script type="application/json" id="numbers">${escapeScript(JSON.stringify(numbers))}</script>
<!-- uPlot, copyright (c) Leon Sorokin, MIT licence -->
<script>${escapeScript(assets.script)}</script>
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`
}

/** Throws an {@link OptionError} for what has not the parts of a report. */
function checkReport(report: TrainingReport): void {
  const lists = (history: unknown, names: readonly string[]) =>
    isObject(history) &&
    names.every((name) => Array.isArray(history[name])) &&
    isObject(history.metrics) &&
    Object.values(history.metrics).every(Array.isArray)
  const isReport =
    isObject(report) &&
    lists(report.trainingHistory, ['iteration', 'epoch', 'loss', 'learnRate']) &&
    (report.validationHistory === undefined || lists(report.validationHistory, ['iteration', 'loss'])) &&
    typeof report.title === 'string' &&
    typeof report.layers === 'string' &&
    isObject(report.options) &&
    isObject(report.results)
  if (!isReport)
    throw argumentError(
      'trainingReport',
      'a report: title and layers as text, trainingHistory with lists, options and results by name',
      report,
      'Give trainingHistory and validationHistory of the info that trainnet returns, and texts for the rest.',
    )
  if (report.confusion !== undefined) checkConfusion(report.confusion, 'trainingReport')
}

function collectNumbers({ trainingHistory: training, validationHistory: validation }: TrainingReport): ReportNumbers {
  checkLengths('training history', training.iteration.length, {
    epoch: training.epoch,
    loss: training.loss,
    learnRate: training.learnRate,
    ...training.metrics,
  })
  if (validation !== undefined) {
    checkLengths('validation history', validation.iteration.length, { loss: validation.loss, ...validation.metrics })
  }
  const iteration = [...new Set([...training.iteration, ...(validation?.iteration ?? [])])].sort((a, b) => a - b)
  const aligned = (from: readonly number[], values: readonly number[]) => {
    const byIteration = new Map(from.map((key, index) => [key, values[index]!]))
    return iteration.map((key) => chartValue(byIteration.get(key)))
  }
  const measured = (name: string, trained: readonly number[] | undefined, validated: readonly number[] | undefined) => {
    const lines: ChartLine[] = []
    if (trained !== undefined) {
      const span = Math.max(1, Math.round(trained.length * SMOOTHED_SHARE))
      const isSmoothed = span > 1
      const values = aligned(training.iteration, trained)
      lines.push({ name: `Training ${name}`, color: 'training', values, faint: isSmoothed })
      if (isSmoothed) {
        const smoothed = aligned(training.iteration, movingMean(trained, span))
        lines.push({ name: `Mean of ${span} iterations`, color: 'training', values: smoothed, derived: true })
      }
    }
    if (validated !== undefined && validation !== undefined) {
      const values = aligned(validation.iteration, validated)
      lines.push({ name: `Validation ${name}`, color: 'validation', values, sparse: true })
    }
    return lines
  }

  const metricNames = [...new Set([...Object.keys(training.metrics), ...Object.keys(validation?.metrics ?? {})])]
  const learnRate = aligned(training.iteration, training.learnRate)
  const charts: Chart[] = [
    {
      title: 'Loss',
      label: 'Loss (no unit)',
      percent: false,
      lines: measured('loss', training.loss, validation?.loss),
    },
    ...metricNames.map((name) => {
      const percent = name.toLowerCase() === 'accuracy'
      const title = name.charAt(0).toUpperCase() + name.slice(1)
      const lines = measured(name, training.metrics[name], validation?.metrics[name])
      return { title, label: percent ? `${title} (%)` : title, percent, lines }
    }),
    {
      title: 'Learn rate',
      label: 'Learn rate (no unit)',
      percent: false,
      lines: [{ name: 'Learn rate', color: 'third', values: learnRate }],
    },
  ]

  const epochs = new Map(training.iteration.map((key, index) => [key, training.epoch[index]!]))
  let last = 0
  const epoch = iteration.map((key) => {
    last = epochs.get(key) ?? last
    return last
  })
  const epochEnds = iteration.filter((_, index) => {
    const next = epoch[index + 1]
    return next !== undefined && next !== epoch[index] && epoch[index] !== 0
  })
  return { iteration, epoch, epochEnds, charts }
}

function checkLengths(what: string, expected: number, lists: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, list] of Object.entries(lists)) {
    if (list.length === expected) continue
    throw new DimensionError({
      call: 'trainingReport',
      expects: `one value per iteration in the ${what}`,
      got: `${list.length} values of ${name} for ${expected} iterations`,
      remedy: 'Record every value at every iteration of the history.',
    })
  }
}

/** JSON has no NaN and no Inf: such values are gaps. */
function chartValue(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(CHART_DIGITS))
}

/** The mean of each value and those before it, at most `span` of them. */
function movingMean(values: readonly number[], span: number): number[] {
  return values.map((_, index) => {
    const window = values.slice(Math.max(0, index - span + 1), index + 1).filter(Number.isFinite)
    return window.reduce((sum, value) => sum + value, 0) / window.length
  })
}

function chartSection(chart: Chart, index: number): string {
  const title = escapeText(chart.title)
  return `<section id="chart-${index}" aria-labelledby="chart-title-${index}">
<h2 id="chart-title-${index}">${title}</h2>
<div class="legend" role="group" aria-label="Lines of this chart"></div>
<div class="plot" tabindex="0" role="img" aria-label="${escapeText(chartSummary(chart))}"></div>
<output aria-live="polite">Arrow keys, mouse or touch show the values at one iteration; drag or + and - zoom, a double click shows all. Dashed lines end an epoch.</output>
</section>`
}

/** What a listener learns of a chart. */
function chartSummary(chart: Chart): string {
  const unit = chart.percent ? ' %' : ''
  const parts = chart.lines
    .filter(({ derived }) => !derived)
    .map(({ name, values }) => {
      const known = values.filter((value) => value !== null)
      if (known.length === 0) return `${name}: no values`
      return `${name} from ${formatShortG(known[0]!)}${unit} to ${formatShortG(known.at(-1)!)}${unit}`
    })
  return `Line chart over iterations. ${parts.join('; ')}. All values are in the table under Numbers.`
}

function confusionSection({ classNames, counts }: Confusion): string {
  const mistakes = counts.flatMap((row, index) => row.filter((_, column) => column !== index))
  const worst = Math.max(1, ...mistakes)
  const rows = classNames.map((name, row) => {
    const total = counts[row]!.reduce((sum, count) => sum + count, 0)
    const cells = counts[row]!.map((count, column) => {
      // Mistakes are few: they are shaded among themselves.
      const share = row !== column ? count / worst : total === 0 ? 0 : count / total
      const kind = row === column ? 'right' : count === 0 ? 'none' : 'wrong'
      return `<td class="${kind}" style="--share:${share.toFixed(3)}">${count}</td>`
    })
    const correct = total === 0 ? '' : `${((100 * counts[row]![row]!) / total).toFixed(1)} %`
    return `<tr><th scope="row">${escapeText(name)}</th>${cells.join('')}<td class="none" style="--share:0">${correct}</td></tr>`
  })
  const headings = classNames.map((name) => `<th scope="col">${escapeText(name)}</th>`).join('')
  return `<section id="confusion" aria-labelledby="confusion-title">
<h2 id="confusion-title">Confusion matrix</h2>
<p class="note" id="confusion-note">Numbers of observations: true class in rows, predicted class in columns.</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="confusion-title">
<table class="confusion" aria-describedby="confusion-note">
<thead><tr><th scope="col">true</th>${headings}<th scope="col">correct</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</div>
</section>`
}

function tableSection({ iteration, epoch, charts }: ReportNumbers): string {
  const lines = charts.flatMap((chart) => chart.lines.filter(({ derived }) => !derived))
  const step = Math.ceil(iteration.length / TABLE_ROWS)
  const shown = iteration.flatMap((_, index) => {
    const isLast = index === iteration.length - 1
    return index % step === 0 || isLast || lines.some(({ sparse, values }) => sparse && values[index] !== null)
      ? [index]
      : []
  })
  const headings = ['Iteration', 'Epoch', ...lines.map(({ name }) => name)]
  const rows = shown.map((index) => {
    const numbers = [iteration[index]!, epoch[index]!, ...lines.map(({ values }) => values[index] ?? null)]
    const cells = numbers.map((value, column) =>
      value === null ? '<td></td>' : `<td>${column < 2 ? value : formatShortG(value)}</td>`,
    )
    return `<tr>${cells.join('')}</tr>`
  })
  const which = step === 1 ? 'All iterations.' : `Every ${step} iterations, and all with validation.`
  return `<section id="table"><details>
<summary>Numbers</summary>
<p><a id="csv" download="training.csv" hidden>All iterations as a CSV file</a></p>
<p class="note" id="table-note">${which}</p>
<div class="scroll tall" tabindex="0" role="region" aria-label="Numbers by iteration">
<table aria-describedby="table-note">
<thead><tr>${headings.map((heading) => `<th scope="col">${escapeText(heading)}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</div>
</details></section>`
}

function descriptions(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([name, text]) => `<div><dt>${escapeText(name)}</dt><dd>${escapeText(text)}</dd></div>`)
    .join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}

/** Inside a script element only a closing tag or an opening comment would end or change it. */
function escapeScript(text: string): string {
  return text.replace(/<(?=\/script|!--|script)/gi, '\\u003c')
}
