// Handwritten digits: reads MNIST, trains the network of MATLAB's page "instanceNormalizationLayer", tests it, and writes
// the trained network and a report. `npm run digits -- --help` lists the options.

import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import {
  accuracyOf,
  backendInfo,
  type Categorical,
  confusionmat,
  DlnetError,
  displayConfusion,
  displayPictureRow,
  minibatchpredict,
  saveNetwork,
  scores2label,
  setThreads,
  trainingOptions,
  trainingReport,
  trainnet,
} from '../../src/index.js'
import { type Digits, readDigits } from './mnist.js'
import { digitLayers } from './network.js'

interface Arguments {
  readonly epochs: number
  readonly batch: number
  readonly rate: number
  readonly seed: number
  readonly threads?: number
  readonly limit?: number
  readonly out: string
}

const digits = '0123456789'

async function main(given: Arguments): Promise<void> {
  if (given.threads !== undefined) setThreads(given.threads)
  const began = performance.now()
  // First, so that a folder that cannot be made is found out before a minute of training.
  await mkdir(given.out, { recursive: true })
  const train = await readDigits('train', given.limit)
  const test = await readDigits('t10k', given.limit)
  console.log(`${count(train)} training and ${count(test)} test images, ${seconds(began)}`)
  console.log(machine())

  const layers = digitLayers()
  console.log(`\n${layers}\n`)

  const stop = new AbortController()
  const interrupt = () => stop.abort()
  process.once('SIGINT', interrupt)
  const iterationsPerEpoch = Math.ceil(train.labels.length / given.batch)
  const options = trainingOptions('sgdm', {
    initialLearnRate: given.rate,
    learnRateSchedule: 'cosine',
    maxEpochs: given.epochs,
    miniBatchSize: given.batch,
    shuffle: 'every-epoch',
    metrics: 'accuracy',
    validationData: [test.images, test.labels],
    validationFrequency: iterationsPerEpoch,
    // The test images only watch: they do not choose the network.
    outputNetwork: 'last-iteration',
    seed: given.seed,
    signal: stop.signal,
  })
  const trainingBegan = performance.now()
  const { net, info } = await trainnet(train.images, train.labels, layers, 'crossentropy', options)
  const trainingTime = seconds(trainingBegan)
  process.off('SIGINT', interrupt)

  const scores = await minibatchpredict(net, test.images)
  const predicted = scores2label(scores, [...digits])
  const confusion = confusionmat([...test.labels], predicted.toArray(), [...digits])
  const accuracy = `${accuracyOf(confusion).toFixed(2)} %`
  console.log(`\nTest accuracy: ${accuracy}\n`)
  console.log(displayConfusion(confusion))
  console.log(`\n${pictures(test, predicted)}\n`)

  const networkFile = join(given.out, 'network.safetensors')
  const reportFile = join(given.out, 'report.html')
  await saveNetwork(net, networkFile)
  const page = await trainingReport({
    title: 'Handwritten digits',
    layers: String(layers),
    trainingHistory: info.trainingHistory,
    validationHistory: info.validationHistory,
    options: {
      Solver: 'sgdm, momentum 0.9',
      'Learn rate': `${given.rate}, cosine`,
      Epochs: String(given.epochs),
      'Mini-batch size': String(given.batch),
      Seed: String(given.seed),
      Machine: machine(),
    },
    results: {
      'Test accuracy': accuracy,
      'Training time': trainingTime,
      'Training images': count(train),
      Stopped: info.stopReason,
    },
    confusion,
  })
  await writeFile(reportFile, page)
  console.log(`Trained in ${trainingTime}, ${seconds(began)} in all.`)
  console.log(`Network: ${relative('.', networkFile)}\nReport:  ${relative('.', reportFile)}`)
}

/** Some test images with what the network says: the first ones, then the first mistakes. */
function pictures({ images, labels }: Digits, predicted: Categorical): string {
  const [height, width, channels] = images.size
  const mistakes: number[] = []
  for (let i = 0; i < labels.length && mistakes.length < 3; i++)
    if (predicted.at(i) !== String(labels[i])) mistakes.push(i)
  const shown = [0, 1, 2].filter((i) => i < labels.length && !mistakes.includes(i)).concat(mistakes)
  const pixels = height * width * channels
  return displayPictureRow(
    shown.map((i) => ({
      size: [height, width, channels],
      values: images.values.subarray(i * pixels, (i + 1) * pixels),
    })),
    {
      captions: shown.map((i) => {
        const says = predicted.at(i)
        return says === String(labels[i]) ? `${says}, right` : `${says}, but it is ${labels[i]}`
      }),
      color: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
      columns: process.stdout.columns ?? 100,
    },
  )
}

function machine(): string {
  const { name, threads, simd, singleThreadedBecause } = backendInfo()
  const why = singleThreadedBecause === undefined ? '' : ` (${singleThreadedBecause})`
  return `${name}${simd ? ' with SIMD' : ''}, ${threads} ${threads === 1 ? 'thread' : 'threads'}${why}`
}

function count({ labels }: Digits): string {
  return labels.length.toLocaleString('en')
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a positive whole number.')
  return value
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0) || value === Number.POSITIVE_INFINITY)
    throw new InvalidArgumentError('It must be a positive number.')
  return value
}

function seedNumber(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isInteger(value) || value < 0 || value >= 2 ** 32)
    throw new InvalidArgumentError('It must be a whole number from 0 to 4294967295.')
  return value
}

const command = new Command('digits')
  .description('Trains a network to read handwritten digits (MNIST) and tests it.')
  .option('--epochs <number>', 'passes over the training images', positiveInteger, 5)
  .option('--batch <number>', 'images in a mini-batch', positiveInteger, 64)
  .option('--rate <number>', 'learn rate at the beginning', positive, 0.015)
  .option('--seed <number>', 'seed of the initial values and the order of images', seedNumber, 1)
  .option('--threads <number>', 'threads that compute (default: all cores)', positiveInteger)
  .option('--limit <number>', 'use only the first images, for a quick run', positiveInteger)
  .option('--out <folder>', 'where the network and the report go', 'results/digits')
  .action(async (given: Arguments) => {
    try {
      await main(given)
    } catch (error) {
      const isExpected = error instanceof DlnetError || (error instanceof Error && 'syscall' in error)
      if (!isExpected) throw error
      console.error(error.message)
      process.exitCode = 1
    }
  })

await command.parseAsync()
