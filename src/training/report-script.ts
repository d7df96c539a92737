/**
 * What the training report runs in the reader's browser, as text: it draws the charts with uPlot from the JSON in the
 * page. Everything it shows is also in the page's tables.
 */
export const REPORT_SCRIPT = `
'use strict'
const report = JSON.parse(document.getElementById('numbers').textContent)
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()
const short = (value) => value == null ? '-' : String(Number(value.toPrecision(5)))
const font = '12px system-ui, sans-serif'
const plots = []

// Faint lines where an epoch ends, as many as can be told apart.
function drawEpochs(plot) {
  const { left, top, width, height } = plot.bbox
  if (report.epochEnds.length > width / 24) return
  const context = plot.ctx
  context.save()
  context.strokeStyle = color('rule')
  context.lineWidth = devicePixelRatio
  context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio])
  for (const iteration of report.epochEnds) {
    const x = plot.valToPos(iteration, 'x', true)
    if (x < left || x > left + width) continue
    context.beginPath()
    context.moveTo(x, top)
    context.lineTo(x, top + height)
    context.stroke()
  }
  context.restore()
}

// From below the lowest value to 100 %, in steps that suit the distance.
function percentRange(low) {
  const step = low < 70 ? 10 : low < 92 ? 5 : 1
  return [Math.max(0, Math.floor(low / step) * step - (low % step === 0 ? step : 0)), 100]
}

function build(chart, place) {
  const stroke = (line) => () => color(line.color)
  const axis = (label, size) => ({
    label, size, labelSize: 20, font, labelFont: font, stroke: () => color('quiet'),
    grid: { stroke: () => color('rule'), width: 1 }, ticks: { stroke: () => color('rule'), width: 1 },
  })
  const logarithmic = place.logarithmic === true
  const plot = new uPlot({
    width: place.plot.clientWidth,
    height: Math.max(260, Math.min(360, place.plot.clientWidth * 0.6)),
    legend: { show: false },
    cursor: { sync: { key: 'training' }, focus: { prox: 24 }, drag: { x: true, y: false } },
    scales: {
      x: { time: false },
      y: logarithmic ? { distr: 3 } : { range: chart.percent
        ? (_, low) => percentRange(low ?? 0)
        : (_, low, high) => uPlot.rangeNum(Math.min(0, low), high, 0.05, true) },
    },
    axes: [axis('Iteration (mini-batches)', 46), { ...axis(chart.label, 58), values: (_, ticks) => ticks.map((tick) => tick == null ? '' : short(tick)) }],
    series: [{}, ...chart.lines.map((line) => ({
      stroke: stroke(line), width: line.faint ? 1 : 2, alpha: line.faint ? 0.35 : 1, spanGaps: true,
      dash: line.sparse ? [7, 4] : undefined,
      points: line.sparse || report.iteration.length === 1 ? { show: true, size: 6, fill: stroke(line) } : { show: false },
      show: place.shown[chart.lines.indexOf(line)],
    }))],
    hooks: { drawClear: [drawEpochs], setCursor: [(self) => tell(self, chart, place)] },
  }, [report.iteration, ...chart.lines.map((line) => logarithmic
    ? line.values.map((value) => value > 0 ? value : null) : line.values)], place.plot)
  return plot
}

function zoom(plot, index, factor) {
  const [first, last] = [report.iteration[0], report.iteration.at(-1)]
  if (first === last) return
  const { min, max } = plot.scales.x
  const middle = report.iteration[index]
  const half = Math.max(2, (max - min) / 2 * factor)
  plot.setScale('x', { min: Math.max(first, middle - half), max: Math.min(last, middle + half) })
}

function tell(plot, chart, place) {
  const index = plot.cursor.idx
  if (index == null) return
  const values = chart.lines.filter((line, i) => place.shown[i] && line.values[index] != null)
    .map((line) => line.name.toLowerCase() + ' ' + short(line.values[index]) + (chart.percent ? ' %' : ''))
  place.output.textContent = 'Iteration ' + report.iteration[index] + ', epoch ' + report.epoch[index] + ': '
    + (values.join(', ') || 'no value')
}

function legend(chart, place, replace) {
  chart.lines.forEach((line, index) => {
    const button = document.createElement('button')
    const swatch = document.createElement('span')
    swatch.className = 'swatch' + (line.sparse ? ' points' : '')
    swatch.style.color = 'var(--' + line.color + ')'
    swatch.style.opacity = line.faint ? 0.5 : 1
    button.append(swatch, line.name)
    button.type = 'button'
    button.setAttribute('aria-pressed', 'true')
    button.onclick = () => {
      place.shown[index] = !place.shown[index]
      button.setAttribute('aria-pressed', String(place.shown[index]))
      place.current.setSeries(index + 1, { show: place.shown[index] })
    }
    place.legend.append(button)
  })
  if (chart.percent) return
  const scale = document.createElement('button')
  scale.type = 'button'
  scale.className = 'scale'
  scale.textContent = 'Logarithmic'
  scale.setAttribute('aria-pressed', 'false')
  scale.onclick = () => {
    place.logarithmic = !place.logarithmic
    scale.setAttribute('aria-pressed', String(place.logarithmic))
    replace()
  }
  place.legend.append(scale)
}

report.charts.forEach((chart, number) => {
  const section = document.getElementById('chart-' + number)
  const place = {
    plot: section.querySelector('.plot'), legend: section.querySelector('.legend'),
    output: section.querySelector('output'), shown: chart.lines.map(() => true),
  }
  const replace = () => {
    place.current?.destroy()
    place.current = build(chart, place)
    plots[number] = place.current
  }
  replace()
  legend(chart, place, replace)
  new ResizeObserver(() => {
    const width = place.plot.clientWidth
    if (width !== place.current.width) {
      place.current.setSize({ width, height: Math.max(260, Math.min(360, width * 0.6)) })
    }
  }).observe(place.plot)
  place.plot.addEventListener('keydown', (event) => {
    const last = report.iteration.length - 1
    if (last < 0) return
    const page = Math.max(1, Math.round(last / 20))
    const at = place.current.cursor.idx ?? last
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - page, PageDown: at + page, Home: 0, End: last }
    if (event.key === '+' || event.key === '-') return zoom(place.current, at, event.key === '+' ? 0.5 : 2)
    if (!(event.key in moves)) return
    event.preventDefault()
    const index = Math.min(last, Math.max(0, moves[event.key]))
    const left = place.current.valToPos(report.iteration[index], 'x')
    place.current.setCursor({ left, top: place.current.over.clientHeight / 2 })
  })
})
function openNumbers() {
  if (location.hash === '#table') document.querySelector('#table details').open = true
}
addEventListener('hashchange', openNumbers)
openNumbers()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plots.forEach((plot) => plot.redraw()))

const recorded = report.charts.flatMap((chart) => chart.lines.filter((line) => !line.derived))
const names = ['iteration', 'epoch', ...recorded.map((line) => '"' + line.name.toLowerCase().replaceAll('"', '""') + '"')]
const columns = [report.iteration, report.epoch, ...recorded.map((line) => line.values)]
const csv = [names.join(','), ...report.iteration.map((_, row) => columns.map((column) => column[row] ?? '').join(','))].join('\\n')
const link = document.getElementById('csv')
link.href = URL.createObjectURL(new Blob([csv + '\\n'], { type: 'text/csv' }))
link.hidden = false
`
