// A training loop of one's own: fits y = sin(3x) with a small network, gradients by dlfeval, steps by adamupdate.
import {
  adamupdate,
  dlarray,
  dlfeval,
  dlgradient,
  dlnetwork,
  featureInputLayer,
  fullyConnectedLayer,
  l2loss,
  reluLayer,
  scope,
} from '../src/index.js'

const x = Array.from({ length: 200 }, (_, i) => i / 100 - 1)
const X = dlarray([x], 'CB')
const T = dlarray([x.map((value) => Math.sin(3 * value))], 'CB')
const net = dlnetwork([featureInputLayer(1), fullyConnectedLayer(32), reluLayer(), fullyConnectedLayer(1)], { seed: 1 })

let averageGrad: typeof net.learnables | undefined
let averageSqGrad: typeof net.learnables | undefined
for (let iteration = 1; iteration <= 500; iteration++)
  // scope frees what a step made; adamupdate changes the network itself and keeps its averages.
  scope(() => {
    const { loss, gradients } = dlfeval((net) => {
      const loss = l2loss(net.forward(X).outputs[0]!, T)
      return { loss, gradients: dlgradient(loss, net.learnables) }
    }, net)
    ;[, averageGrad, averageSqGrad] = adamupdate(net, gradients, averageGrad, averageSqGrad, iteration, 0.01)
    if (iteration % 100 === 0) console.log(`iteration ${iteration}, loss ${loss.item().toPrecision(4)}`)
  })
