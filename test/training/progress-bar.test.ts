import { Writable } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createProgressBar, progressLine } from '../../src/training/progress-bar.js'

/** As much of a terminal as is needed to see what a person would see: lines, one cursor, and the erasing sequences. */
class Screen extends Writable {
  readonly isTTY = true
  readonly columns = 80
  readonly lines: string[] = ['']
  #row = 0
  #column = 0
  #saved: readonly [number, number] = [0, 0]

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.print(chunk.toString())
    done()
  }

  print(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences begin with the escape character
    for (const [token] of text.matchAll(/\x1b\[\??\d*[A-Za-z]|\x1b[78]|[\s\S]/g)) this.#apply(token)
  }

  #apply(token: string): void {
    if (token === '\n') {
      this.#row++
      this.#column = 0
      this.lines[this.#row] ??= ''
    } else if (token === '\x1b7') this.#saved = [this.#row, this.#column]
    else if (token === '\x1b8') [this.#row, this.#column] = this.#saved
    else if (token === '\x1b[1G') this.#column = 0
    else if (token === '\x1b[0K') this.lines[this.#row] = this.#line().slice(0, this.#column)
    else if (token === '\x1b[2K') this.lines[this.#row] = ''
    else if (token.startsWith('\x1b[?')) return
    else if (token.startsWith('\x1b')) throw new Error(`sequence ${JSON.stringify(token)} is not known to this screen`)
    else {
      const line = this.#line().padEnd(this.#column)
      this.lines[this.#row] = line.slice(0, this.#column) + token + line.slice(this.#column + 1)
      this.#column++
    }
  }

  #line(): string {
    return this.lines[this.#row] ?? ''
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const asStream = (screen: Screen) => Object.assign(screen) as unknown as NodeJS.WriteStream

test('the bar stays below the lines that are printed, and leaves nothing behind', async () => {
  const screen = new Screen()
  const bar = await createProgressBar({
    total: 200,
    stream: asStream(screen),
    write: (line) => screen.print(`${line}\n`),
  })
  bar.log('heading')
  vi.advanceTimersByTime(10_000)
  bar.update(50, { imagesPerSecond: 12_345.6, loss: 0.123456 })
  expect(screen.lines).toEqual([
    'heading',
    ' 25 % █████░░░░░░░░░░░░░░░  50/200  12346 images/s  00:00:30 left  loss 0.12346',
  ])
  bar.log('row 1')
  bar.log('row 2')
  expect(screen.lines.slice(0, 3)).toEqual(['heading', 'row 1', 'row 2'])
  expect(screen.lines[3]).toContain('50/200')
  expect(screen.lines.length).toBe(4)
  bar.stop()
  expect(screen.lines).toEqual(['heading', 'row 1', 'row 2', ''])
  bar.log('Training stopped: Max epochs completed')
  bar.update(60)
  bar.stop()
  expect(screen.lines.slice(0, 5)).toEqual(['heading', 'row 1', 'row 2', 'Training stopped: Max epochs completed', ''])
})

test('many updates in one moment are drawn once, and no timer is left after the end', async () => {
  const screen = new Screen()
  const print = vi.spyOn(screen, 'print')
  const bar = await createProgressBar({ total: 1000, stream: asStream(screen), write: () => {} })
  const drawn = print.mock.calls.length
  for (let iteration = 1; iteration <= 1000; iteration++) bar.update(iteration, { imagesPerSecond: iteration })
  expect(print.mock.calls.length).toBe(drawn)
  vi.advanceTimersByTime(1000)
  expect(screen.lines[0]).toContain('1000/1000')
  bar.stop()
  expect(vi.getTimerCount()).toBe(0)
})

test('time left counts from where training was taken up', async () => {
  const screen = new Screen()
  const bar = await createProgressBar({ total: 200, done: 100, stream: asStream(screen), write: () => {} })
  vi.advanceTimersByTime(5000)
  bar.update(150)
  vi.advanceTimersByTime(1000)
  expect(screen.lines[0]).toContain('150/200  00:00:05 left')
  bar.stop()
})

test('without a terminal only the lines are written', async () => {
  const screen = new Screen()
  Object.defineProperty(screen, 'isTTY', { value: false })
  const written: string[] = []
  const bar = await createProgressBar({ total: 10, stream: asStream(screen), write: (line) => written.push(line) })
  bar.update(5, { imagesPerSecond: 100 })
  bar.log('row')
  bar.stop()
  expect(written).toEqual(['row'])
  expect(screen.lines).toEqual([''])
  expect(vi.getTimerCount()).toBe(0)
})

test('progressLine fits any width', () => {
  const payload = { imagesPerSecond: 9876, left: 61.2, loss: 0.5 }
  expect(progressLine(469, 938, 80, payload)).toBe(
    ` 50 % ${'█'.repeat(12)}${'░'.repeat(12)}  469/938  9876 images/s  00:01:02 left  loss 0.5`,
  )
  for (let width = 1; width < 120; width++) {
    expect(progressLine(3, 938, width, payload).length).toBeLessThanOrEqual(width)
  }
  expect(progressLine(0, 10, 30, {})).toBe(`  0 % ${'░'.repeat(17)}  0/10`)
  expect(progressLine(10, 10, 30, {})).toBe(`100 % ${'█'.repeat(16)}  10/10`)
})
