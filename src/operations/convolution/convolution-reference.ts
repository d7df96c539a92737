import type { Elements } from '../../array/storage.js'
import { type ConvolutionGeometry, product } from './convolution-geometry.js'

// Convolution and its gradients as plain loops: the oracle for every other kernel. Totals are kept in float64.

/** Calls `visit(output, image, weights)`, indices of elements, for every product of the convolution. */
function eachProduct(g: ConvolutionGeometry, visit: (output: number, image: number, weights: number) => void): void {
  const [heightX, widthX, depthX] = g.image
  const [heightY, widthY, depthY] = g.output
  const [tapsH, tapsW, tapsD] = g.taps
  const total = g.observations * g.groups
  for (let i = 0; i < total; i++)
    for (let f = 0; f < g.filters; f++)
      for (let d = 0; d < depthY; d++)
        for (let w = 0; w < widthY; w++)
          for (let h = 0; h < heightY; h++) {
            const output = h + heightY * (w + widthY * (d + depthY * (f + g.filters * i)))
            const filter = f + g.filters * (i % g.groups)
            for (let c = 0; c < g.channels; c++)
              for (let td = 0; td < tapsD; td++) {
                const z = d * g.stride[2] + td * g.dilation[2] - g.before[2]
                if (z < 0 || z >= depthX) continue
                for (let tw = 0; tw < tapsW; tw++) {
                  const y = w * g.stride[1] + tw * g.dilation[1] - g.before[1]
                  if (y < 0 || y >= widthX) continue
                  for (let th = 0; th < tapsH; th++) {
                    const x = h * g.stride[0] + th * g.dilation[0] - g.before[0]
                    if (x < 0 || x >= heightX) continue
                    visit(
                      output,
                      x + heightX * (y + widthX * (z + depthX * (c + g.channels * i))),
                      th + tapsH * (tw + tapsW * (td + tapsD * (c + g.channels * filter))),
                    )
                  }
                }
              }
          }
}

/** Y = convolution of X with the weights, plus the bias of each channel. */
export function referenceConvolve(
  g: ConvolutionGeometry,
  X: Elements,
  weights: Elements,
  bias: Elements | undefined,
  Y: Elements,
): void {
  const totals = new Float64Array(Y.length)
  eachProduct(g, (output, image, weight) => {
    totals[output]! += X[image]! * weights[weight]!
  })
  store(totals, bias, product(g.output), Y)
}

/** The adjoint of the convolution applied to X (of the convolution's output size), plus the bias of each channel. */
export function referenceConvolveTransposed(
  g: ConvolutionGeometry,
  X: Elements,
  weights: Elements,
  bias: Elements | undefined,
  Y: Elements,
): void {
  const totals = new Float64Array(Y.length)
  eachProduct(g, (output, image, weight) => {
    totals[image]! += X[output]! * weights[weight]!
  })
  store(totals, bias, product(g.image), Y)
}

/** The gradient of the convolution for its weights. */
export function referenceFilterGradient(g: ConvolutionGeometry, X: Elements, dY: Elements, dWeights: Elements): void {
  const totals = new Float64Array(dWeights.length)
  eachProduct(g, (output, image, weight) => {
    totals[weight]! += X[image]! * dY[output]!
  })
  dWeights.set(totals)
}

function store(totals: Float64Array, bias: Elements | undefined, plane: number, Y: Elements): void {
  if (bias) for (let i = 0; i < totals.length; i++) totals[i]! += bias[Math.floor(i / plane) % bias.length]!
  Y.set(totals)
}
