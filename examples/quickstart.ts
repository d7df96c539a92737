// Learns to tell points inside a circle from points outside, in a few seconds.
import {
  featureInputLayer,
  fullyConnectedLayer,
  layerArray,
  reluLayer,
  softmaxLayer,
  testnet,
  trainingOptions,
  trainnet,
} from '../src/index.js'

const points = Array.from({ length: 1000 }, (_, i) => [Math.sin(i * 12.9898), Math.sin(i * 78.233)])
const labels = points.map(([x, y]) => (Math.hypot(x!, y!) < 0.75 ? 'inside' : 'outside'))

const layers = layerArray([
  featureInputLayer(2),
  fullyConnectedLayer(32),
  reluLayer(),
  fullyConnectedLayer(2),
  softmaxLayer(),
])
console.log(String(layers))

const options = trainingOptions('adam', { initialLearnRate: 0.01, maxEpochs: 30, seed: 1 })
const { net } = await trainnet(points, labels, layers, 'crossentropy', options)
console.log(`Accuracy: ${await testnet(net, points, labels, 'accuracy')} %`)
