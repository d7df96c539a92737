import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../src/backends/current.js'
import {
  averagePooling1dLayer,
  averagePooling2dLayer,
  averagePooling3dLayer,
} from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution1dLayer, convolution2dLayer, convolution3dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { globalAveragePooling1dLayer, globalMaxPooling2dLayer } from '../../src/layers/global-pooling.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { image3dInputLayer, imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { inputInfo, type Layer } from '../../src/layers/layer.js'
import { layerArray } from '../../src/layers/layer-array.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { inferLayer, initializeLayer } from '../../src/layers/layer-running.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling1dLayer, maxPooling2dLayer, maxPooling3dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

beforeAll(() => setBackend('reference'))

const pageNetwork = () =>
  layerArray([
    imageInputLayer([28, 28, 3]),
    convolution2dLayer(5, 20),
    instanceNormalizationLayer(),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
    fullyConnectedLayer(10),
    softmaxLayer(),
  ])

function initialize(layers: readonly Layer[]): void {
  let infos = [inputInfo(layers[0]!)!]
  for (const layer of layers) {
    initializeLayer(layer, infos, new RandomStream(1))
    infos = inferLayer(layer, infos)
  }
}

describe('a layer array', () => {
  it('prints the table of the documentation', () => {
    // Compared character for character with the table of MATLAB's page.
    expect(String(pageNetwork())).toBe(`  7×1 Layer array with layers:

     1   ''   Image Input              28×28×3 images with 'zerocenter' normalization
     2   ''   2-D Convolution          20 5×5 convolutions with stride [1  1] and padding [0  0  0  0]
     3   ''   Instance Normalization   Instance normalization
     4   ''   ReLU                     ReLU
     5   ''   2-D Max Pooling          2×2 max pooling with stride [2  2] and padding [0  0  0  0]
     6   ''   Fully Connected          10 fully connected layer
     7   ''   Softmax                  softmax`)
  })

  it('is what console.log shows', () => {
    const layers = pageNetwork()
    expect(inspect(layers)).toBe(String(layers))
  })

  it('names channels once they are known', () => {
    const layers = pageNetwork()
    initialize(layers)
    expect(String(layers)).toMatchInlineSnapshot(`
      "  7×1 Layer array with layers:

           1   ''   Image Input              28×28×3 images with 'zerocenter' normalization
           2   ''   2-D Convolution          20 5×5×3 convolutions with stride [1  1] and padding [0  0  0  0]
           3   ''   Instance Normalization   Instance normalization with 20 channels
           4   ''   ReLU                     ReLU
           5   ''   2-D Max Pooling          2×2 max pooling with stride [2  2] and padding [0  0  0  0]
           6   ''   Fully Connected          10 fully connected layer
           7   ''   Softmax                  softmax"
    `)
  })

  it('prints every type and description', () => {
    const layers = layerArray([
      imageInputLayer([416, 416, 3], { normalization: 'none', name: 'in' }),
      imageInputLayer([28, 28], { normalization: 'rescale-zero-one' }),
      imageInputLayer([28, 28, 1], { normalization: (X) => X }),
      image3dInputLayer([28, 28, 28, 3]),
      featureInputLayer(4),
      featureInputLayer(4, { normalization: 'zscore' }),
      sequenceInputLayer(12),
      sequenceInputLayer([28, 28, 3]),
      inputLayer([28, 28, 3, Number.NaN], 'SSCB'),
      inputLayer([28, 28]),
      convolution1dLayer(5, 20),
      convolution1dLayer(5, 20, { padding: 'causal' }),
      convolution1dLayer(5, 20, { padding: [1, 2], stride: 2, numChannels: 3 }),
      convolution2dLayer(5, 20, { padding: 'same', name: 'a_long_name' }),
      convolution2dLayer([3, 5], 8, { dilationFactor: 2, padding: 1 }),
      convolution2dLayer(7, 64, { stride: 2, padding: 3, numChannels: 3 }),
      convolution3dLayer(5, 20),
      maxPooling1dLayer(2),
      maxPooling2dLayer(3, { stride: 2, padding: 'same' }),
      maxPooling3dLayer(2, { stride: [1, 2, 2], padding: 1 }),
      instanceNormalizationLayer({ numChannels: 20 }),
      batchNormalizationLayer(),
      batchNormalizationLayer({ numChannels: 64 }),
      groupNormalizationLayer('all-channels'),
      layerNormalizationLayer(),
      leakyReluLayer(),
      averagePooling1dLayer(2),
      averagePooling2dLayer(2, { stride: 2 }),
      averagePooling3dLayer(2, { padding: 'same' }),
      globalAveragePooling1dLayer(),
      globalMaxPooling2dLayer(),
    ])
    expect(String(layers)).toMatchInlineSnapshot(`
      "  31×1 Layer array with layers:

           1   'in'            Image Input                  416×416×3 images
           2   ''              Image Input                  28×28×1 images with 'rescale-zero-one' normalization
           3   ''              Image Input                  28×28×1 images with custom normalization
           4   ''              3-D Image Input              28×28×28×3 images with 'zerocenter' normalization
           5   ''              Feature Input                4 features
           6   ''              Feature Input                4 features with 'zscore' normalization
           7   ''              Sequence Input               Sequence input with 12 dimensions
           8   ''              Sequence Input               Sequence input with 28×28×3 dimensions
           9   ''              Input                        28×28×3×NaN input with format 'SSCB'
          10   ''              Input                        28×28 unformatted input
          11   ''              1-D Convolution              20 5 convolutions with stride 1 and padding [0  0]
          12   ''              1-D Convolution              20 5 convolutions with stride 1 and padding 'causal'
          13   ''              1-D Convolution              20 5×3 convolutions with stride 2 and padding [1  2]
          14   'a_long_name'   2-D Convolution              20 5×5 convolutions with stride [1  1] and padding 'same'
          15   ''              2-D Convolution              8 3×5 convolutions with stride [1  1], dilation factor [2  2], and padding [1  1  1  1]
          16   ''              2-D Convolution              64 7×7×3 convolutions with stride [2  2] and padding [3  3  3  3]
          17   ''              3-D Convolution              20 5×5×5 convolutions with stride [1  1  1] and padding [0  0  0; 0  0  0]
          18   ''              1-D Max Pooling              2 max pooling with stride 1 and padding [0  0]
          19   ''              2-D Max Pooling              3×3 max pooling with stride [2  2] and padding 'same'
          20   ''              3-D Max Pooling              2×2×2 max pooling with stride [1  2  2] and padding [1  1  1; 1  1  1]
          21   ''              Instance Normalization       Instance normalization with 20 channels
          22   ''              Batch Normalization          Batch normalization
          23   ''              Batch Normalization          Batch normalization with 64 channels
          24   ''              Group Normalization          Group normalization
          25   ''              Layer Normalization          Layer normalization
          26   ''              Leaky ReLU                   Leaky ReLU with scale 0.01
          27   ''              1-D Average Pooling          2 average pooling with stride 1 and padding [0  0]
          28   ''              2-D Average Pooling          2×2 average pooling with stride [2  2] and padding [0  0  0  0]
          29   ''              3-D Average Pooling          2×2×2 average pooling with stride [1  1  1] and padding 'same'
          30   ''              1-D Global Average Pooling   1-D global average pooling
          31   ''              2-D Global Max Pooling       2-D global max pooling"
    `)
  })

  it('prints one layer and none', () => {
    expect(String(layerArray([reluLayer({ name: 'relu' })]))).toMatchInlineSnapshot(`
      "  1×1 Layer array with layers:

           1   'relu'   ReLU   ReLU"
    `)
    expect(String(layerArray([]))).toMatchInlineSnapshot(`"  0×1 empty Layer array"`)
  })

  it('is an array whose parts are plain arrays', () => {
    const layers = pageNetwork()
    expect(layers).toHaveLength(7)
    expect(layers.map((layer) => layer.typeName)[2]).toBe('Instance Normalization')
    expect(String(layerArray([layers, softmaxLayer()]))).toBe(String(layerArray([...layers, softmaxLayer()])))
  })

  it('says what is wrong with what it is given', () => {
    const thrown = (given: unknown) => {
      try {
        layerArray(given as Layer[])
      } catch (error) {
        return String(error)
      }
      return 'no error'
    }
    expect(thrown([reluLayer(), reluLayer])).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected layers, but got the function reluLayer at layers[1]. Call it: reluLayer(...)."`,
    )
    expect(thrown([reluLayer(), [softmaxLayer(), 'relu']])).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected layers, but got 'relu' at layers[1][1]. Give what layer functions return, such as reluLayer()."`,
    )
    expect(thrown(reluLayer())).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected a list of layers, but got a single layer (ReLU). Write layerArray([imageInputLayer([28, 28, 3]), convolution2dLayer(5, 20), reluLayer()])."`,
    )
    expect(thrown(undefined)).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected a list of layers, but got undefined. Write layerArray([imageInputLayer([28, 28, 3]), convolution2dLayer(5, 20), reluLayer()])."`,
    )
    expect(thrown([null])).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected layers, but got null at layers[0]. Give what layer functions return, such as reluLayer()."`,
    )
    expect(thrown([{ name: 'relu' }])).toMatchInlineSnapshot(
      `"OptionError: layerArray: expected layers, but got an object at layers[0]. Give what layer functions return, such as reluLayer()."`,
    )
  })
})

describe('a layer', () => {
  const printed: [string, () => Layer][] = [
    ['instance normalization', () => instanceNormalizationLayer('Name', 'instancenorm')],
    [
      'instance normalization with values',
      () => instanceNormalizationLayer({ epsilon: 1e-3, numChannels: 1, scale: [2] }),
    ],
    ['image input', () => imageInputLayer([28, 28, 1])],
    ['image input with statistics', () => imageInputLayer([8, 8, 3], { normalization: 'zscore', mean: [1, 2, 3] })],
    ['image input rescaling', () => imageInputLayer([28, 28], { normalization: 'rescale-zero-one', min: 0, max: 255 })],
    ['3-D image input', () => image3dInputLayer([8, 8, 8, 2], { normalization: 'none' })],
    ['feature input', () => featureInputLayer(4, { normalization: 'rescale-symmetric' })],
    ['sequence input', () => sequenceInputLayer(12, { minLength: 5 })],
    ['input', () => inputLayer([28, 28, 3, Number.NaN], 'SSCB', { name: 'in' })],
    ['1-D convolution', () => convolution1dLayer(5, 20, { padding: 'causal', dilationFactor: 2 })],
    ['2-D convolution', () => convolution2dLayer(5, 20, { padding: 'same' })],
    ['3-D convolution', () => convolution3dLayer(5, 20, { paddingValue: 'replicate' })],
    ['1-D max pooling', () => maxPooling1dLayer(2)],
    ['2-D max pooling', () => maxPooling2dLayer(3, { stride: 2, padding: [1, 0, 2, 1] })],
    ['fully connected', () => fullyConnectedLayer(10, { name: 'fc' })],
    ['ReLU', () => reluLayer({ name: 'relu_1' })],
    ['softmax', () => softmaxLayer()],
    ['batch normalization', () => batchNormalizationLayer('Name', 'batchnorm')],
    ['group normalization', () => groupNormalizationLayer(3)],
    ['layer normalization', () => layerNormalizationLayer()],
    ['leaky ReLU', () => leakyReluLayer(0.1)],
    ['1-D average pooling', () => averagePooling1dLayer(2)],
    ['2-D average pooling', () => averagePooling2dLayer(2, { paddingValue: 'mean', padding: 'same', name: 'avg1' })],
    ['3-D average pooling', () => averagePooling3dLayer(2)],
    ['global average pooling', () => globalAveragePooling1dLayer()],
    ['global max pooling', () => globalMaxPooling2dLayer({ name: 'gmp' })],
  ]

  it.each(printed)('prints %s', (_, make) => {
    expect(`\n${make()}\n`).toMatchSnapshot()
    expect(inspect(make())).toBe(String(make()))
  })

  it('prints parameters by size, one element by value', () => {
    const layers = pageNetwork()
    initialize(layers)
    expect(String(layers[1])).toMatchInlineSnapshot(`
      "  Convolution2DLayer with properties:

                    Name: ''

         Hyperparameters
              FilterSize: [5 5]
             NumChannels: 3
              NumFilters: 20
                  Stride: [1 1]
          DilationFactor: [1 1]
             PaddingMode: 'manual'
             PaddingSize: [0 0 0 0]
            PaddingValue: 0

         Learnable Parameters
                 Weights: [5×5×3×20 single]
                    Bias: [1×1×20 single]

        Use properties method to see a list of all properties."
    `)
    expect(String(layers[2])).toMatchInlineSnapshot(`
      "  InstanceNormalizationLayer with properties:

                 Name: ''
          NumChannels: 20

         Hyperparameters
              Epsilon: 1.0000e-05

         Learnable Parameters
               Offset: [1×1×20 single]
                Scale: [1×1×20 single]

        Use properties method to see a list of all properties."
    `)
  })
})
