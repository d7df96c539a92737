// Learns to tell pictures with stripes across from pictures with stripes down, through noise, in a few seconds.
import * as dl from '../src/index.js'

function pictures(count: number) {
  const values = dl
    .rand([16, 16, 1, count])
    .values()
    .map((noise, i) => {
      const [row, column, picture] = [i % 16, Math.floor(i / 16) % 16, Math.floor(i / 256)]
      return 4 * noise + Math.sin(1.5 * (picture % 2 === 0 ? row : column))
    })
  const labels = Array.from({ length: count }, (_, picture) => (picture % 2 === 0 ? 'across' : 'down'))
  return { X: dl.dlarray(values, [16, 16, 1, count], 'SSCB'), labels }
}

dl.rng(1)
const [train, test] = [pictures(800), pictures(200)]
const layers = dl.layerArray([
  dl.imageInputLayer([16, 16, 1]),
  dl.convolution2dLayer(5, 8),
  dl.instanceNormalizationLayer(),
  dl.reluLayer(),
  dl.maxPooling2dLayer(2, { stride: 2 }),
  dl.fullyConnectedLayer(2),
  dl.softmaxLayer(),
])
console.log(layers)
const options = dl.trainingOptions('adam', { initialLearnRate: 0.003, maxEpochs: 5, verboseFrequency: 5 })
const { net } = await dl.trainnet(train.X, train.labels, layers, 'crossentropy', options)
console.log(`Accuracy: ${await dl.testnet(net, test.X, test.labels, 'accuracy')} %`)
