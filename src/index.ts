// The public surface of dlnet, by name, folder by folder. Nothing inside the library imports this file.

export type { ArrayInfo, ArrayJSON, DlArray, Nested, UnderlyingType } from './array/dlarray.js'
export { isdlarray, trackCreation } from './array/dlarray.js'
export type { Canonical, Combined, Known, Label, ValidFormat } from './array/format.js'
export { dlfeval } from './autodiff/dlfeval.js'
export type { GradientOptions } from './autodiff/dlgradient.js'
export { dlgradient } from './autodiff/dlgradient.js'
export type { BackendInfo, BackendMemory } from './backends/backend.js'
export { backendInfo, setBackend, setThreads } from './backends/current.js'
export type { MemoryReport } from './backends/memory.js'
export { memory } from './backends/memory.js'
export type { Picture, PictureOptions, PictureRowOptions } from './cli/picture.js'
export { displayPicture, displayPictureRow } from './cli/picture.js'
export type { Labels } from './data/categorical.js'
export { Categorical, categorical, categories } from './data/categorical.js'
export type { ArrayDatastoreOptions } from './data/datastore.js'
export { ArrayDatastore, arrayDatastore, CombinedDatastore, combine } from './data/datastore.js'
export type { IDXArray, Images } from './data/idx.js'
export { imagesFromIDX, labelsFromIDX, parseIDX } from './data/idx.js'
export type {
  BatchSource,
  BatchSourceState,
  BatchStream,
  LabelCodes,
  LabelData,
  MiniBatch,
  NumericData,
  PredictorData,
  SequenceList,
  SizedValues,
  TargetData,
} from './data/minibatch.js'
export type { MiniBatchVariable, MinibatchqueueOptions } from './data/minibatchqueue.js'
export { MiniBatchQueue, minibatchqueue } from './data/minibatchqueue.js'
export type { OneHotOptions } from './data/onehot.js'
export { onehotdecode, onehotencode, scores2label } from './data/onehot.js'
export {
  BackendError,
  DimensionError,
  DlnetError,
  FileError,
  GradientError,
  MemoryError,
  NetworkError,
  OptionError,
  TrainingError,
} from './errors.js'
export type { ArrayFile } from './io/arrays.js'
export { deserializeArrays, loadArrays, saveArrays, serializeArrays } from './io/arrays.js'
export type {
  AveragePooling1dLayer,
  AveragePooling2dLayer,
  AveragePooling3dLayer,
  AveragePoolingOptions,
} from './layers/average-pooling.js'
export { averagePooling1dLayer, averagePooling2dLayer, averagePooling3dLayer } from './layers/average-pooling.js'
export type { BatchNormalizationLayer, BatchNormalizationOptions } from './layers/batch-normalization.js'
export { batchNormalizationLayer } from './layers/batch-normalization.js'
export type {
  Convolution1dLayer,
  Convolution2dLayer,
  Convolution3dLayer,
  ConvolutionOptions,
} from './layers/convolution.js'
export { convolution1dLayer, convolution2dLayer, convolution3dLayer } from './layers/convolution.js'
export type { FeatureInputLayer } from './layers/feature-input.js'
export { featureInputLayer } from './layers/feature-input.js'
export type { FullyConnectedLayer, FullyConnectedOptions } from './layers/fully-connected.js'
export { fullyConnectedLayer } from './layers/fully-connected.js'
export type { GlobalPoolingLayer } from './layers/global-pooling.js'
export {
  globalAveragePooling1dLayer,
  globalAveragePooling2dLayer,
  globalAveragePooling3dLayer,
  globalMaxPooling1dLayer,
  globalMaxPooling2dLayer,
  globalMaxPooling3dLayer,
} from './layers/global-pooling.js'
export type { GroupNormalizationLayer, GroupNormalizationOptions } from './layers/group-normalization.js'
export { groupNormalizationLayer } from './layers/group-normalization.js'
export type { Image3dInputLayer, ImageInputLayer } from './layers/image-input.js'
export { image3dInputLayer, imageInputLayer } from './layers/image-input.js'
export type { InitializerFunction, VectorInitializerName, WeightsInitializerName } from './layers/initializers.js'
export type { InputLayer } from './layers/input.js'
export { inputLayer } from './layers/input.js'
export type {
  InputNormalizationOptions,
  Normalization,
  NormalizationDimension,
  NormalizationFunction,
} from './layers/input-normalization.js'
export type { InstanceNormalizationLayer, InstanceNormalizationOptions } from './layers/instance-normalization.js'
export { instanceNormalizationLayer } from './layers/instance-normalization.js'
export type { Layer, LayerOptions } from './layers/layer.js'
export { isLayer, properties } from './layers/layer.js'
export type { LayerArray } from './layers/layer-array.js'
export { layerArray } from './layers/layer-array.js'
export type { LayerNormalizationLayer, LayerNormalizationOptions } from './layers/layer-normalization.js'
export { layerNormalizationLayer } from './layers/layer-normalization.js'
export type { LeakyReluLayer } from './layers/leaky-relu.js'
export { leakyReluLayer } from './layers/leaky-relu.js'
export type {
  MaxPooling1dLayer,
  MaxPooling2dLayer,
  MaxPooling3dLayer,
  MaxPoolingOptions,
} from './layers/max-pooling.js'
export { maxPooling1dLayer, maxPooling2dLayer, maxPooling3dLayer } from './layers/max-pooling.js'
export type { NameValuePairs, NumericInput } from './layers/property.js'
export type { ReluLayer } from './layers/relu.js'
export { reluLayer } from './layers/relu.js'
export type { SequenceInputLayer, SequenceInputOptions } from './layers/sequence-input.js'
export { sequenceInputLayer } from './layers/sequence-input.js'
export type { SoftmaxLayer } from './layers/softmax.js'
export { softmaxLayer } from './layers/softmax.js'
export type { PaddingMode, PaddingSize, WindowPadding, WindowSize } from './layers/windows.js'
export type { LiveArray } from './memory/live.js'
export type { NoPromise, OpenScope } from './memory/scope.js'
export { keep, openScope, scope } from './memory/scope.js'
export type { DlNetwork, RunContext } from './network/dlnetwork.js'
export { getL2Factor, getLearnRateFactor, setL2Factor, setLearnRateFactor } from './network/factors.js'
export { setFusion } from './network/fusion.js'
export type { ExampleInput, InitializeOptions } from './network/initialization.js'
export type { Connection } from './network/layer-graph.js'
export type { PredictOptions } from './network/network-arguments.js'
export type { NetworkDataLayout } from './network/network-data-layout.js'
export { networkDataLayout } from './network/network-data-layout.js'
export type { ParameterRow } from './network/network-display.js'
export { summary } from './network/network-display.js'
export { deserializeNetwork, loadNetwork, saveNetwork, serializeNetwork } from './network/network-file.js'
export type { NetworkInput, SizedData } from './network/network-input.js'
export type { NetworkOptions } from './network/network-making.js'
export { dlnetwork } from './network/network-making.js'
export type { Parameter } from './network/network-parameters.js'
export type { FlatData } from './operations/arrays/array-data.js'
export { cast } from './operations/arrays/cast.js'
export { cat, horzcat, vertcat } from './operations/arrays/concatenation.js'
export type { ArrayData, CanvasImage, DlArrayOptions } from './operations/arrays/dlarray.js'
export { dims, dlarray, extractdata, finddim, underlyingType } from './operations/arrays/dlarray.js'
export type { PaddingValue } from './operations/arrays/pad.js'
export { permute, transpose } from './operations/arrays/permute.js'
export type { RandomOptions, RandomState } from './operations/arrays/random.js'
export { RandomStream, rand, randi, randn, rng } from './operations/arrays/random.js'
export { circshift, flip, repmat } from './operations/arrays/rearrangement.js'
export { reshape, squeeze, stripdims } from './operations/arrays/relabel.js'
export type { Colon, Indexed, Subscript } from './operations/arrays/subscripts.js'
export { colon, index } from './operations/arrays/subscripts.js'
export type { DataFormatOption, Numbers, Operand } from './operations/call.js'
export type { Padding, PerDimension } from './operations/convolution/convolution-geometry.js'
export type { DlconvOptions } from './operations/convolution/dlconv.js'
export { dlconv } from './operations/convolution/dlconv.js'
export type { DltranspconvOptions } from './operations/convolution/dltranspconv.js'
export { dltranspconv } from './operations/convolution/dltranspconv.js'
export { minus, plus, rdivide, times, uminus } from './operations/elementwise/arithmetic.js'
export { eq, ge, gt, le, lt, ne } from './operations/elementwise/comparison.js'
export { exp, expm1, log, log1p } from './operations/elementwise/exponential.js'
export type { GeluOptions } from './operations/elementwise/gelu.js'
export { gelu } from './operations/elementwise/gelu.js'
export { clippedrelu, elu, leakyrelu } from './operations/elementwise/leakyrelu.js'
export { power } from './operations/elementwise/power.js'
export { relu } from './operations/elementwise/relu.js'
export { abs, ceil, fix, floor, round, sign } from './operations/elementwise/rounding.js'
export { sigmoid, softplus, swish, tanh } from './operations/elementwise/sigmoid.js'
export { sqrt } from './operations/elementwise/sqrt.js'
export { cos, sin, tan } from './operations/elementwise/trigonometric.js'
export type { CrossentropyOptions, IndexCrossentropyOptions } from './operations/losses/crossentropy.js'
export { crossentropy, indexcrossentropy } from './operations/losses/crossentropy.js'
export type { HuberOptions } from './operations/losses/huber.js'
export { huber } from './operations/losses/huber.js'
export { l1loss } from './operations/losses/l1loss.js'
export { l2loss } from './operations/losses/l2loss.js'
export type { LossOptions } from './operations/losses/loss-options.js'
export { mse } from './operations/losses/mse.js'
export type { BatchNormalized, BatchnormOptions, BatchnormUpdateOptions } from './operations/normalization/batchnorm.js'
export { batchnorm, batchnormWithStatistics } from './operations/normalization/batchnorm.js'
export type { NumGroups } from './operations/normalization/groupnorm.js'
export { groupnorm } from './operations/normalization/groupnorm.js'
export { instancenorm } from './operations/normalization/instancenorm.js'
export type { OperationDimension } from './operations/normalization/layernorm.js'
export { layernorm } from './operations/normalization/layernorm.js'
export type { AvgPoolOptions, PooledWithIndices, PoolOptions, PoolSize } from './operations/pooling/maxpool.js'
export { avgpool, maxpool, maxpoolWithIndices } from './operations/pooling/maxpool.js'
export type { FullyconnectOptions } from './operations/products/fullyconnect.js'
export { fullyconnect } from './operations/products/fullyconnect.js'
export { mtimes } from './operations/products/mtimes.js'
export type { PageTranspose } from './operations/products/pagemtimes.js'
export { pagemtimes } from './operations/products/pagemtimes.js'
export { max, min } from './operations/reductions/extremum.js'
export { mean, std, variance } from './operations/reductions/mean.js'
export { prod } from './operations/reductions/prod.js'
export { softmax } from './operations/reductions/softmax.js'
export { sum } from './operations/reductions/sum.js'
export type { Confusion } from './training/confusion.js'
export { accuracyOf, confusionmat, displayConfusion } from './training/confusion.js'
export type { Loss, LossFunction, LossName } from './training/losses.js'
export type { Metric, MetricArgument, MetricFunction, MetricName } from './training/metrics.js'
export type { MinibatchpredictOptions } from './training/minibatchpredict.js'
export { minibatchpredict } from './training/minibatchpredict.js'
export type { TrainingCurves, TrainingReport, ValidationCurves } from './training/report.js'
export { trainingReport } from './training/report.js'
export type {
  CosineSettings,
  CyclicalSettings,
  ExponentialSettings,
  LearnRateScheduleInstance,
  PiecewiseSettings,
  PolynomialSettings,
  WarmupSettings,
} from './training/schedules.js'
export {
  cosineLearnRate,
  cyclicalLearnRate,
  exponentialLearnRate,
  piecewiseLearnRate,
  polynomialLearnRate,
  warmupLearnRate,
} from './training/schedules.js'
export type { TestnetOptions } from './training/testnet.js'
export { testnet } from './training/testnet.js'
export { TrainingInterruptedError } from './training/training-error.js'
export type { StopReason, TrainingInfo } from './training/training-info.js'
export type {
  OutputFcn,
  OutputFcnInfo,
  TrainingOptions,
  TrainingOptionsADAM,
  TrainingOptionsRMSProp,
  TrainingOptionsSGDM,
  ValidationData,
} from './training/training-options.js'
export { trainingOptions } from './training/training-options.js'
export type { Trainable, TrainingResult } from './training/trainnet.js'
export { trainnet } from './training/trainnet.js'
export { adamupdate, dlupdate, rmspropupdate, sgdmupdate } from './training/update-functions.js'
