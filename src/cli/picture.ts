/** Pictures as text for a terminal: two pixels in each character with 24-bit colour, or a ramp of characters without. */

import { argumentError, checkOptionNames, DimensionError, isObject, OptionError } from '../errors.js'

/** An image as {@link displayPicture} takes it. */
export interface Picture {
  /** `[height, width]` or `[height, width, 1]` for gray, `[height, width, 3]` for RGB; in pixels. */
  readonly size: readonly number[]
  /** Column-major intensities, black at 0 and white at `white`. */
  readonly values: ArrayLike<number>
  /** Intensity of white: 255 (the default) for bytes, 1 for fractions. */
  readonly white?: number
}

/** Options of {@link displayPicture}. */
export interface PictureOptions {
  /** 24-bit colour sequences, or plain ASCII. Default true. */
  readonly color?: boolean
}

/** Options of {@link displayPictureRow}. */
export interface PictureRowOptions extends PictureOptions {
  /** A line below each picture, cut to the picture's width. */
  readonly captions?: readonly string[]
  /** Blanks between pictures. Default 2. */
  readonly gap?: number
  /** Characters in a line of the terminal; pictures that do not fit go below. Default 80. */
  readonly columns?: number
}

type Rgb = readonly [red: number, green: number, blue: number]

const UPPER_HALF_BLOCK = '▀'
const RESET = '\x1b[0m'
/** From dark to bright on a dark terminal. */
const RAMP = ' .:-=+*#%@'
const DEFAULT_COLUMNS = 80
/** Characters that no terminal has in a line. */
const WIDEST = 10_000

/**
 * One picture as lines of text: a character is one pixel wide and two high, which is about the shape of a character.
 * Intensities outside 0 to `white` are clipped, NaN is black.
 */
export function displayPicture(picture: Picture, options: PictureOptions = {}): string {
  checkOptionNames('displayPicture', options, ['color'])
  return pictureLines(picture, options.color ?? true).join('\n')
}

/** Several pictures side by side, each with its caption, in as many rows as the terminal's width asks for. */
export function displayPictureRow(pictures: readonly Picture[], options: PictureRowOptions = {}): string {
  const call = 'displayPictureRow'
  checkOptionNames(call, options, ['captions', 'gap', 'columns', 'color'])
  const { captions = [], gap = 2, columns = DEFAULT_COLUMNS, color = true } = options
  if (!Array.isArray(pictures))
    throw argumentError(call, 'a list of pictures', pictures, 'Use displayPicture for one picture.')
  const isWidth = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= WIDEST
  if (!Array.isArray(captions) || !isWidth(gap) || !isWidth(columns))
    throw argumentError(
      call,
      `captions as a list, and whole numbers up to ${WIDEST} for gap and columns`,
      { captions, gap, columns },
      'Leave them out for their defaults.',
    )
  for (const picture of pictures) checkPicture(picture)
  const rows: number[][] = []
  let used = 0
  for (const [index, picture] of pictures.entries()) {
    const width = picture.size[1] ?? 0
    const row = rows.at(-1)
    if (row !== undefined && used + gap + width <= columns) {
      row.push(index)
      used += gap + width
    } else {
      rows.push([index])
      used = width
    }
  }
  return rows
    .map((row) => {
      const blocks = row.map((index) => ({
        width: pictures[index]!.size[1]!,
        lines: pictureLines(pictures[index]!, color),
        caption: String(captions[index] ?? ''),
      }))
      const height = Math.max(...blocks.map(({ lines }) => lines.length))
      const between = ' '.repeat(gap)
      const text = Array.from({ length: height }, (_, line) =>
        blocks.map(({ lines, width }) => lines[line] ?? ' '.repeat(width)).join(between),
      )
      if (blocks.some(({ caption }) => caption !== '')) {
        const line = blocks.map(({ caption, width }) => caption.slice(0, width).padEnd(width)).join(between)
        text.push(line.trimEnd())
      }
      return text.join('\n')
    })
    .join('\n\n')
}

function checkPicture(picture: Picture): void {
  if (isObject(picture) && Array.isArray(picture.size) && isObject(picture.values)) return
  throw argumentError(
    'displayPicture',
    'a picture: its values and their size',
    picture,
    'Write displayPicture({ values, size: [28, 28] }).',
  )
}

function pictureLines(picture: Picture, color: boolean): string[] {
  checkPicture(picture)
  const [height = 0, width = 0, channels = 1] = picture.size
  const { values, white = 255 } = picture
  if (picture.size.length < 2 || picture.size.length > 3 || (channels !== 1 && channels !== 3)) {
    throw new DimensionError({
      call: 'displayPicture',
      expects: 'a gray or an RGB picture, [height, width] or [height, width, 1 or 3]',
      got: `size [${picture.size.join(', ')}]`,
      remedy: 'Select one observation and one or three channels.',
    })
  }
  if (values.length !== height * width * channels) {
    throw new DimensionError({
      call: 'displayPicture',
      expects: `${height * width * channels} values for ${height} x ${width} pixels with ${channels} channel(s)`,
      got: `${values.length} values`,
      remedy: 'Give all values of one picture, in column-major order.',
    })
  }
  if (!(white > 0)) {
    throw new OptionError({
      call: 'displayPicture',
      expects: 'a positive intensity of white',
      got: `${white}`,
      remedy: 'Use 255 for bytes and 1 for fractions.',
    })
  }
  const plane = height * width
  const intensity = (row: number, column: number, channel: number) => {
    const value = values[(channels === 1 ? 0 : channel * plane) + column * height + row]! / white
    return value > 0 ? Math.min(value, 1) : 0
  }
  const pixel = (row: number, column: number): Rgb => [
    intensity(row, column, 0),
    intensity(row, column, 1),
    intensity(row, column, 2),
  ]
  const lines: string[] = []
  for (let row = 0; row < height; row += 2) {
    const upper = Array.from({ length: width }, (_, column) => pixel(row, column))
    const lower = row + 1 < height ? Array.from({ length: width }, (_, column) => pixel(row + 1, column)) : undefined
    lines.push(color ? colorLine(upper, lower) : rampLine(upper, lower))
  }
  return lines
}

/** Half blocks: the upper pixel is the foreground, the lower one the background. Colours are set where they change. */
function colorLine(upper: readonly Rgb[], lower: readonly Rgb[] | undefined): string {
  let line = ''
  let current = ''
  for (const [column, above] of upper.entries()) {
    const below = lower?.[column]
    const colors = `\x1b[38;2;${bytes(above)}${below === undefined ? '' : `;48;2;${bytes(below)}`}m`
    line += colors === current ? UPPER_HALF_BLOCK : colors + UPPER_HALF_BLOCK
    current = colors
  }
  return line === '' ? line : line + RESET
}

function bytes(color: Rgb): string {
  return color.map((part) => Math.round(part * 255)).join(';')
}

/** The mean luminance of both pixels (Rec. 709 weights) chooses the character. */
function rampLine(upper: readonly Rgb[], lower: readonly Rgb[] | undefined): string {
  return upper
    .map((above, column) => {
      const below = lower?.[column]
      const light = below === undefined ? luminance(above) : (luminance(above) + luminance(below)) / 2
      return RAMP.charAt(Math.min(RAMP.length - 1, Math.floor(light * RAMP.length)))
    })
    .join('')
}

function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
