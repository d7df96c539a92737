import { inflateSync } from 'node:zlib'

export interface Picture {
  readonly width: number
  readonly height: number
  /** Row by row, red, green, blue of each pixel. */
  readonly bytes: Uint8Array
}

const CHANNELS = 3

/** An 8-bit RGB picture that is not interlaced. Source: PNG specification, third edition, sections 5 and 9. */
export function readPng(file: Uint8Array): Picture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const parts: Uint8Array[] = []
  let width = 0
  let height = 0
  for (let at = 8; at < file.length; ) {
    const length = view.getUint32(at)
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8))
    const content = at + 8
    if (type === 'IHDR') {
      width = view.getUint32(content)
      height = view.getUint32(content + 4)
      const [depth, color, , , interlace] = file.subarray(content + 8, content + 13)
      if (depth !== 8 || color !== 2 || interlace !== 0) throw new Error('not an 8-bit RGB picture without interlace')
    }
    if (type === 'IDAT') parts.push(file.subarray(content, content + length))
    at = content + length + 4
  }
  return { width, height, bytes: unfiltered(inflateSync(Buffer.concat(parts)), CHANNELS * width, height) }
}

function unfiltered(data: Uint8Array, stride: number, height: number): Uint8Array {
  const result = new Uint8Array(stride * height)
  for (let row = 0; row < height; row++) {
    const filter = data[row * (stride + 1)]
    for (let i = 0; i < stride; i++) {
      const at = row * stride + i
      const left = i < CHANNELS ? 0 : result[at - CHANNELS]!
      const up = row === 0 ? 0 : result[at - stride]!
      const corner = i < CHANNELS || row === 0 ? 0 : result[at - stride - CHANNELS]!
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter!]
      if (predicted === undefined) throw new Error(`no PNG filter ${filter}`)
      result[at] = data[row * (stride + 1) + 1 + i]! + predicted
    }
  }
  return result
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)]
  return a <= b && a <= c ? left : b <= c ? up : corner
}
