import type { WasmBackend } from '../../backends/wasm/backend.js'

/** A region of elements and how far apart they lie on both sides; steps are in elements, 0 repeats (x only). */
export interface StridedRegion {
  readonly size: readonly number[]
  readonly xSteps: readonly number[]
  readonly ySteps: readonly number[]
}

/** Dimensions that the kernel copies in one launch. */
const KERNEL_DIMENSIONS = 8
/** Elements that a thread takes at once. */
const GRAIN = 16384

/** y[i . ySteps] = x[i . xSteps] over a region, or += with `add`; float32 in the heap. */
export function launchCopy(wasm: WasmBackend, x: number, y: number, region: StridedRegion, add = false): void {
  const { size, xSteps, ySteps } = region
  if (size.length > KERNEL_DIMENSIONS) {
    const last = size.length - 1
    const inner = { size: size.slice(0, last), xSteps: xSteps.slice(0, last), ySteps: ySteps.slice(0, last) }
    for (let i = 0; i < size[last]!; i++)
      launchCopy(wasm, x + 4 * i * xSteps[last]!, y + 4 * i * ySteps[last]!, inner, add)
    return
  }
  const extent = (d: number) => size[d] ?? 1
  const xs = (d: number) => xSteps[d] ?? 0
  const ys = (d: number) => ySteps[d] ?? 0
  const lines = size.slice(1).reduce((product, n) => product * n, 1)
  if (extent(0) === 0 || lines === 0) return
  wasm.launch(
    'copyStrided',
    {
      x,
      y,
      add: add ? 1 : 0,
      size0: extent(0),
      size1: extent(1),
      size2: extent(2),
      size3: extent(3),
      size4: extent(4),
      size5: extent(5),
      size6: extent(6),
      size7: extent(7),
      xStride0: xs(0),
      xStride1: xs(1),
      xStride2: xs(2),
      xStride3: xs(3),
      xStride4: xs(4),
      xStride5: xs(5),
      xStride6: xs(6),
      xStride7: xs(7),
      yStride0: ys(0),
      yStride1: ys(1),
      yStride2: ys(2),
      yStride3: ys(3),
      yStride4: ys(4),
      yStride5: ys(5),
      yStride6: ys(6),
      yStride7: ys(7),
    },
    { items: lines, grain: Math.max(1, Math.ceil(GRAIN / extent(0))) },
  )
}

/** The same in plain TypeScript, between views that begin at the given elements; += with `add`. */
export function copyRegion(
  x: ArrayLike<number>,
  xStart: number,
  y: { [index: number]: number },
  yStart: number,
  { size, xSteps, ySteps }: StridedRegion,
  add = false,
): void {
  const index = size.map(() => 0)
  let from = xStart
  let to = yStart
  let total = 1
  for (const extent of size) total *= extent
  for (let i = 0; i < total; i++) {
    y[to] = add ? y[to]! + x[from]! : x[from]!
    for (let d = 0; d < size.length; d++) {
      from += xSteps[d]!
      to += ySteps[d]!
      if (++index[d]! < size[d]!) break
      from -= xSteps[d]! * size[d]!
      to -= ySteps[d]! * size[d]!
      index[d] = 0
    }
  }
}

/** A region without dimensions of extent 1 and with neighbours merged where both sides allow it. */
export function merged({ size, xSteps, ySteps }: StridedRegion): StridedRegion {
  const result = { size: [] as number[], xSteps: [] as number[], ySteps: [] as number[] }
  size.forEach((extent, d) => {
    if (extent === 1) return
    const last = result.size.length - 1
    const joins =
      last >= 0 &&
      xSteps[d] === result.xSteps[last]! * result.size[last]! &&
      ySteps[d] === result.ySteps[last]! * result.size[last]!
    if (joins) result.size[last]! *= extent
    else {
      result.size.push(extent)
      result.xSteps.push(xSteps[d]!)
      result.ySteps.push(ySteps[d]!)
    }
  })
  return result.size.length > 0 ? result : { size: [1], xSteps: [1], ySteps: [1] }
}
