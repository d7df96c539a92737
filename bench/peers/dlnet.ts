import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { backendInfo, setThreads, wasmBackend } from '../../src/backends/current.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { channelLayout } from '../../src/operations/arrays/layout.js'
import {
  convolutionFilterGradientOperation,
  dlconvOperation,
  dltranspconvOperation,
} from '../../src/operations/convolution/convolution.js'
import { dlconv } from '../../src/operations/convolution/dlconv.js'
import { dltranspconv } from '../../src/operations/convolution/dltranspconv.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { instancenorm, instancenormOperation } from '../../src/operations/normalization/instancenorm.js'
import { normalizationGradientOperation } from '../../src/operations/normalization/normalization-operation.js'
import { mtimes } from '../../src/operations/products/mtimes.js'
import { sum } from '../../src/operations/reductions/sum.js'
import type { Peer, Prepared } from '../peer.js'
import { channelsOf, convolutionSizes, EPSILON, inputsOf, type Task, transposed } from '../task.js'

type Named = Record<string, DlArray>

export async function start(threads: number): Promise<Peer> {
  setThreads(threads)
  await wasmBackend().ready()
  const { version } = (await import('../../package.json', { with: { type: 'json' } })).default
  return { version: `dlnet ${version}`, threads: backendInfo().threads, prepare }
}

async function prepare(task: Task): Promise<Prepared> {
  switch (task.kind) {
    case 'instancenorm':
      return prepareInstancenorm(task)
    case 'matmul':
      return prepareMatmul(task)
    case 'convolution':
      return prepareConvolution(task)
    case 'style':
      return (await import('./dlnet-style.js')).prepareStyle(task)
    case 'epoch':
      return (await import('./dlnet-epoch.js')).prepareEpoch(task)
    case 'network':
      return (await import('./dlnet-network.js')).prepareNetwork(task)
  }
}

/** Work that gives arrays; freed blocks serve the next call, so outputs are reused without another call. */
function repeated(
  arrays: Named,
  compute: () => Named,
  read: (outputs: Named) => Record<string, Float32Array>,
): Prepared {
  return {
    run: () =>
      scope(() => {
        compute()
      }),
    outputs: () => scope(() => read(compute())),
    release() {
      for (const array of Object.values(arrays)) array.dispose()
    },
  }
}

function valuesOf(outputs: Named): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(outputs).map(([name, array]) => [name, new Float32Array(array.values())]))
}

function prepareInstancenorm(task: Task & { kind: 'instancenorm' }): Prepared {
  const inputs = inputsOf(task)
  const { size, format } = task
  const channels = channelsOf(task)
  // Labels of one dimension are written as users may: canonical order is the order of memory.
  const labelled = (values: Float32Array): DlArray => dlarray(values, size, format as 'SSCB')
  const X = labelled(inputs.x!)
  const scale: DlArray = dlarray(inputs.scale!, [channels], 'C')
  const offset: DlArray = dlarray(inputs.offset!, [channels], 'C')
  if (task.pass === 'forward') {
    const compute = () => ({ y: instancenorm(X, offset, scale, { epsilon: EPSILON }) as DlArray })
    return repeated({ X, scale, offset }, compute, valuesOf)
  }
  const dY = labelled(inputs.dy!)
  if (task.pass === 'both') {
    const loss = (x: DlArray, o: DlArray, s: DlArray) => {
      const value = sum(times(instancenorm(x, o, s, { epsilon: EPSILON }), dY), 'all')
      return dlgradient(value, { dx: x, doffset: o, dscale: s })
    }
    return repeated({ X, scale, offset, dY }, () => dlfeval(loss, X, offset, scale), valuesOf)
  }
  const { Y, statistics } = instancenormOperation.runAll({ X, offset, scale }, { epsilon: EPSILON })
  const layout = channelLayout({ size: X.size, dims: X.dims, type: X.underlyingType }, 'instancenorm')
  const plan = { ...layout, groupChannels: 1, positions: 1, epsilon: EPSILON }
  const compute = () => {
    const { dX, dOffset, dScale } = normalizationGradientOperation.runAll({ dY, X, scale, statistics }, { plan })
    return { dx: dX, doffset: dOffset, dscale: dScale }
  }
  return repeated({ X, scale, offset, dY, Y, statistics }, compute, valuesOf)
}

function prepareMatmul(task: Task & { kind: 'matmul' }): Prepared {
  const { extent } = task
  const { a, b } = inputsOf(task)
  const A: DlArray = dlarray(transposed(a!, extent, extent), [extent, extent])
  const B: DlArray = dlarray(transposed(b!, extent, extent), [extent, extent])
  return repeated(
    { A, B },
    () => ({ c: mtimes(A, B) }),
    ({ c }) => ({ c: transposed(new Float32Array(c!.values()), extent, extent) }),
  )
}

function prepareConvolution(task: Task & { kind: 'convolution' }): Prepared {
  const inputs = inputsOf(task)
  const { groups, transposed: adjoint, ...sizes } = convolutionSizes(task)
  const [stride, padding] = [sizes.stride, sizes.padding]
  // Column-major with columns first is row-major with columns last: no element moves.
  const format = `${'S'.repeat(stride.length)}CB` as 'SSCB'
  const image = sizes.x.toReversed()
  const X: DlArray = dlarray(inputs.x!, image, format)
  const [taps, inner, outer] = [sizes.weights.slice(2), sizes.weights[1]!, sizes.weights[0]! / groups]
  const size = [...taps, inner, outer, groups]
  const weights: DlArray = dlarray(inputs.weights!, size)
  const bias: DlArray = dlarray(inputs.bias!, [task.filters])
  if (task.pass === 'forward') {
    const compute = adjoint
      ? () => ({ y: dltranspconv(X, weights, bias, { stride, cropping: padding }) as DlArray })
      : () => ({ y: dlconv(X, weights, bias, { stride, padding }) as DlArray })
    return repeated({ X, weights, bias }, compute, valuesOf)
  }
  const dY: DlArray = dlarray(inputs.dy!, sizes.y.toReversed(), format)
  const options = { stride, padding }
  // The adjoint of a convolution exchanges the roles of image and result.
  const filterGradient = { ...options, size, dims: '' }
  const filterInputs = adjoint ? { X: dY, dY: X } : { X, dY }
  const compute =
    task.pass === 'filterGradient'
      ? () => ({ dweights: convolutionFilterGradientOperation.run(filterInputs, filterGradient) })
      : adjoint
        ? () => ({ dx: dlconvOperation.run({ X: dY, weights }, options) })
        : () => ({
            dx: dltranspconvOperation.run(
              { X: dY, weights },
              { stride, cropping: padding, outputSize: image.slice(0, stride.length) },
            ),
          })
  return repeated({ X, weights, bias, dY }, compute, valuesOf)
}
