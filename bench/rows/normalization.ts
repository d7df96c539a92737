import { bytesMoved, elements, type Task } from '../task.js'
import type { Row } from './row.js'

type Pass = (Task & { kind: 'instancenorm' })['pass']

function row(pass: Pass, label: string, size: readonly number[], format: string): Row {
  const task: Task = { kind: 'instancenorm', pass, size, format }
  const megabytes = (4 * elements(size)) / 1e6
  const name = `instancenorm-${pass === 'both' ? 'forward-backward' : pass}-${label}`
  return {
    name,
    size: `${size.join('x')} ${format}, ${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`,
    task,
    work: { amount: bytesMoved(task)! / 1e9, unit: 'GB' },
    tolerance: 1e-3,
  }
}

/** Instance normalization at sizes within and beyond the cache, in its passes; the copy beside it moves the same bytes. */
const sizes: Row[] = (['forward', 'backward', 'both'] as const).flatMap((pass) => [
  row(pass, '6MB', [24, 24, 20, 128], 'SSCB'),
  ...(pass === 'forward' ? [row(pass, '6MB-one', [224, 224, 32, 1], 'SSCB')] : []),
  ...(pass === 'both' ? [] : [row(pass, '33MB', [64, 64, 64, 32], 'SSCB')]),
  row(pass, '134MB', [128, 128, 64, 32], 'SSCB'),
])

/** Every format the layer takes, and planes from one element to all elements, at about 8 MB. */
const formats: Row[] = (['forward', 'backward'] as const).flatMap((pass) => [
  row(pass, 'SCB', [1024, 32, 64], 'SCB'),
  row(pass, 'SSSCB', [16, 16, 16, 8, 64], 'SSSCB'),
  row(pass, 'CBT', [32, 64, 1024], 'CBT'),
  row(pass, 'SCBT', [32, 32, 64, 32], 'SCBT'),
  row(pass, 'SSCBT', [16, 16, 16, 32, 16], 'SSCBT'),
  row(pass, 'SSSCBT', [8, 8, 8, 8, 32, 16], 'SSSCBT'),
  row(pass, 'SCBU', [32, 32, 64, 32], 'SCBU'),
  row(pass, 'SCU', [128, 64, 256], 'SCU'),
  row(pass, 'tiny', [4, 4, 128, 1024], 'SSCB'),
  row(pass, 'tiny-1', [1, 1, 256, 8192], 'SSCB'),
  row(pass, 'tiny-2', [2, 1, 256, 4096], 'SSCB'),
  row(pass, 'tiny-4', [2, 2, 256, 2048], 'SSCB'),
  row(pass, 'tiny-9', [3, 3, 128, 1820], 'SSCB'),
  row(pass, 'odd', [31, 33, 17, 119], 'SSCB'),
  row(pass, 'plane', [1448, 1448, 1, 1], 'SSCB'),
])

export const normalizationRows: readonly Row[] = [...sizes, ...formats]
