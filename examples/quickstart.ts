// Learns to tell pictures with stripes across from pictures with stripes down, through noise, in a few seconds.
import {
  convolution2dLayer,
  dlarray,
  fullyConnectedLayer,
  imageInputLayer,
  instanceNormalizationLayer,
  layerArray,
  maxPooling2dLayer,
  rand,
  reluLayer,
  rng,
  softmaxLayer,
  testnet,
  trainingOptions,
  trainnet,
} from '../src/index.js'

/** 16-by-16 pictures, column-major; every second one has its stripes across. */
function pictures(count: number) {
  const values = rand([16, 16, 1, count]).values()
  const stripes = values.map((noise, i) => {
    const [row, column, picture] = [i % 16, Math.floor(i / 16) % 16, Math.floor(i / 256)]
    return 4 * noise + Math.sin(1.5 * (picture % 2 === 0 ? row : column))
  })
  const labels = Array.from({ length: count }, (_, picture) => (picture % 2 === 0 ? 'across' : 'down'))
  return { X: dlarray(stripes, [16, 16, 1, count], 'SSCB'), labels }
}

rng(1)
const train = pictures(800)
const layers = layerArray([
  imageInputLayer([16, 16, 1]),
  convolution2dLayer(5, 8),
  instanceNormalizationLayer(),
  reluLayer(),
  maxPooling2dLayer(2, { stride: 2 }),
  fullyConnectedLayer(2),
  softmaxLayer(),
])
console.log(layers)

const options = trainingOptions('adam', { initialLearnRate: 0.003, maxEpochs: 5, verboseFrequency: 5 })
const { net } = await trainnet(train.X, train.labels, layers, 'crossentropy', options)

const test = pictures(200)
console.log(`Accuracy: ${await testnet(net, test.X, test.labels, 'accuracy')} %`)
