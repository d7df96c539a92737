// Batch normalization: between the statistics that normalization.ts works with, [3, channels] (mean, its rest,
// 1 / sqrt(variance + epsilon)), and one mean and one variance per channel. In float64.

@unmanaged
class BatchStatistics {
  statistics: usize;
  /** One number per channel each. batchMoments writes them, batchStatistics reads them. */
  mu: usize;
  sigmaSq: usize;
  /** batchMoments: what they were before; 0 where nothing was. */
  datasetMu: usize;
  datasetSigmaSq: usize;
  epsilon: f32;
  /** batchMoments: the new value's part of what is written; the old one has the rest. */
  meanDecay: f32;
  varianceDecay: f32;
}

/** Joins a new value to an old one, if there is any. */
@inline
function joined(value: f64, dataset: usize, at: usize, decay: f32): f32 {
  if (!dataset) return <f32>value;
  const old = <f64>load<f32>(dataset + at);
  return <f32>(old + <f64>decay * (value - old));
}

/** Mean and variance from statistics. Work item: one channel. */
export function batchMoments(b: BatchStatistics, begin: i32, end: i32): void {
  for (let c = begin; c < end; ++c) {
    const from = b.statistics + <usize>c * 12;
    const at = <usize>c << 2;
    const inverse = <f64>load<f32>(from, 8);
    // what rounding of the inverse leaves of a variance far below epsilon may be negative
    const variance = max<f64>(1.0 / (inverse * inverse) - <f64>b.epsilon, 0.0);
    store<f32>(b.mu + at, joined(<f64>load<f32>(from) + <f64>load<f32>(from, 4), b.datasetMu, at, b.meanDecay));
    store<f32>(b.sigmaSq + at, joined(variance, b.datasetSigmaSq, at, b.varianceDecay));
  }
}

/** Statistics from mean and variance. Work item: one channel. */
export function batchStatistics(b: BatchStatistics, begin: i32, end: i32): void {
  for (let c = begin; c < end; ++c) {
    const to = b.statistics + <usize>c * 12;
    const at = <usize>c << 2;
    store<f32>(to, load<f32>(b.mu + at));
    store<f32>(to, 0, 4);
    store<f32>(to, <f32>(1.0 / sqrt<f64>(<f64>load<f32>(b.sigmaSq + at) + <f64>b.epsilon)), 8);
  }
}
