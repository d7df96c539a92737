// Charts of points on logarithmic axes, as SVG that is legible on light and on dark pages.

export interface Series {
  readonly label: string
  /** One of {@link COLOURS}. */
  readonly colour: number
  /** Drawn broken: a second variant of a colour. */
  readonly isDashed?: boolean
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Beside the points; a chart of labelled points has no lines. */
  readonly names?: readonly string[]
  /** A bound: a line without points. */
  readonly isBound?: boolean
}

export interface Panel {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly series: readonly Series[]
}

const WIDTH = 480
const HEIGHT = 340
const MARGIN = { left: 64, right: 16, top: 34, bottom: 96 }
const COLUMNS = 2
/** Told apart also by those who do not see red and green, and against white and black. */
const COLOURS = ['#3b7fd4', '#d9731a', '#8a63d2', '#808080']

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`
}

/** A logarithmic axis: from and to on the page, and where values stand that are worth a tick. */
function axis(values: readonly number[], from: number, to: number, isPowersOfTwo: boolean) {
  const low = Math.log10(Math.min(...values)) - 0.08
  const high = Math.log10(Math.max(...values)) + 0.08
  const place = (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from)
  const steps = high - low < 1.6 ? [1, 2, 5] : high - low < 3.2 ? [1, 3] : [1]
  const decades = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => 10 ** (Math.floor(low) + i))
  const candidates = isPowersOfTwo
    ? [...new Set(values)]
    : decades.flatMap((decade) => steps.map((step) => step * decade))
  const ticks = candidates.filter((value) => Math.log10(value) > low && Math.log10(value) < high)
  return { place, ticks }
}

const tickText = (value: number) => String(Number.isInteger(value) ? value : Number(value.toPrecision(3)))

function panel({ title, x, y, series }: Panel): string {
  const points = series.flatMap((one) => one.points)
  const xs = points.map(([value]) => value)
  const isPowersOfTwo = xs.every((value) => Number.isInteger(Math.log2(value)))
  const right = WIDTH - MARGIN.right
  const bottom = HEIGHT - MARGIN.bottom
  const across = axis(xs, MARGIN.left, right, isPowersOfTwo)
  const up = axis(
    points.map(([, value]) => value),
    bottom,
    MARGIN.top,
    false,
  )
  const parts = [text(MARGIN.left, 20, title, 'class="title"')]
  for (const tick of across.ticks) {
    const at = across.place(tick)
    parts.push(`<path class="grid" d="M${at.toFixed(1)} ${MARGIN.top}V${bottom}"/>`)
    parts.push(text(at, bottom + 16, tickText(tick), 'text-anchor="middle"'))
  }
  for (const tick of up.ticks) {
    const at = up.place(tick)
    parts.push(`<path class="grid" d="M${MARGIN.left} ${at.toFixed(1)}H${right}"/>`)
    parts.push(text(MARGIN.left - 6, at + 4, tickText(tick), 'text-anchor="end"'))
  }
  parts.push(text((MARGIN.left + right) / 2, bottom + 34, x, 'text-anchor="middle"'))
  const middle = (MARGIN.top + bottom) / 2
  parts.push(text(14, middle, y, `text-anchor="middle" transform="rotate(-90 14 ${middle})"`))
  for (const [i, one] of series.entries()) parts.push(drawn(one, i, bottom))
  return parts.join('\n')

  function drawn({ label, colour, isDashed, points, names, isBound }: Series, i: number, bottom: number): string {
    const stroke = COLOURS[colour]!
    const at = points.map(([px, py]) => [across.place(px), up.place(py)] as const)
    const line = `stroke="${stroke}" fill="none" stroke-width="${isBound ? 1.5 : 2}"${isDashed ? ' stroke-dasharray="5 4"' : ''}`
    const marks = isBound
      ? ''
      : at
          .map(([px, py]) => {
            const fill = isDashed ? 'none' : stroke
            return `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3.2" stroke="${stroke}" fill="${fill}"/>`
          })
          .join('')
    const path = names
      ? ''
      : `<path ${line} d="M${at.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join('L')}"/>`
    const beside = at
      .map(([px, py], k) => (names?.[k] ? text(px - 6, py + 4, names[k], 'text-anchor="end"') : ''))
      .join('')
    const legendX = MARGIN.left + (i % 2) * 212
    const legendY = bottom + 54 + Math.floor(i / 2) * 17
    const key = `<path ${line} d="M${legendX} ${legendY - 4}h22"/>${text(legendX + 28, legendY, label)}`
    return `${path}${marks}${beside}${key}`
  }
}

/** All panels in one picture, two beside each other, with a caption below. */
export function chart(panels: readonly Panel[], caption: string): string {
  const rows = Math.ceil(panels.length / COLUMNS)
  const height = rows * HEIGHT + 24
  const placed = panels.map((one, i) => {
    const [dx, dy] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * HEIGHT]
    return `<g transform="translate(${dx} ${dy})">\n${panel(one)}\n</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${COLUMNS * WIDTH} ${height}" font-family="sans-serif" font-size="12">
<style>
  text { fill: #333 }
  .title { font-size: 14px; font-weight: bold }
  .grid { stroke: #8886; fill: none; stroke-width: 0.5 }
  .page { fill: #fff }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .page { fill: #14171c } }
</style>
<rect class="page" width="100%" height="100%"/>
${placed.join('\n')}
${text(MARGIN.left, height - 8, caption)}
</svg>
`
}
