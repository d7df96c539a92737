import {
  convolution2dLayer,
  fullyConnectedLayer,
  imageInputLayer,
  instanceNormalizationLayer,
  layerArray,
  maxPooling2dLayer,
  reluLayer,
  softmaxLayer,
} from '../../src/index.js'

/** The network of MATLAB's page "instanceNormalizationLayer", for ten classes. */
export function digitLayers() {
  return layerArray([
    imageInputLayer([28, 28, 3]),
    convolution2dLayer(5, 20),
    instanceNormalizationLayer(),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
    fullyConnectedLayer(10),
    softmaxLayer(),
  ])
}
