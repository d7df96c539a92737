// The parameters of the kernels in block.ts.
import { Windows } from '../pooling/windows';

/** Each group of an observation by its own statistics. */
export const WITHIN: i32 = 1;
/** Each channel across all observations, by statistics that are known. */
export const ACROSS: i32 = 2;

@unmanaged
export class Block extends Windows {
  x: usize;
  /** Forward: the result; without pooling it may be x itself. */
  y: usize;
  /** Backward: the gradient with respect to y and x. */
  dy: usize;
  dx: usize;
  /** One number per channel each; 0 stands for ones and zeros. */
  scale: usize;
  offset: usize;
  /** [3, groups], or [3, channels] across observations, as in normalization.ts: written forward, read backward. */
  statistics: usize;
  /** Backward: [2, planes]: with normalization the sums of the gradient and of it times xhat, else the sum and 0. */
  planeSums: usize;
  /** Across observations. Forward: float64 [2, planes], mean and sum of squared deviations of each. */
  partials: usize;
  /** blockJoin: mean and variance of each channel; and what they were before, 0 where nothing was. */
  mu: usize;
  sigmaSq: usize;
  datasetMu: usize;
  datasetSigmaSq: usize;
  /** Across observations, backward: the sums of planeSums over observations; 0 where the statistics are constants. */
  dscale: usize;
  doffset: usize;
  /** Backward: unless 0, [2, planes] as planeSums, of the gradient with respect to x: what is added to all x of a plane. */
  biasSums: usize;
  inner: i32;
  channels: i32;
  observations: i32;
  outer: i32; // 1
  groupChannels: i32; // 1 without normalization and across observations
  epsilon: f32;
  /** blockJoin: the new value's part of mean and variance; the old one has the rest. */
  meanDecay: f32;
  varianceDecay: f32;
  normalized: i32; // 0 no normalization, 1 within observations, 2 across them
  activation: i32; // 0 none, 1 ReLU, 2 leaky ReLU
  leak: f32; // factor of negative elements, 0 or more
  pooling: i32; // 0 none, 1 maximum, 2 average
}
