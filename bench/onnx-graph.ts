// Reads what a graph of float operators needs of an ONNX file. Source of field numbers: onnx.proto of ONNX 1.16.

type Field = readonly [field: number, value: number | Uint8Array]

export interface OnnxNode {
  readonly type: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes: Readonly<Record<string, readonly number[]>>
}

export interface OnnxConstant {
  /** Last index fastest. */
  readonly size: readonly number[]
  readonly values: Float32Array
}

export interface OnnxGraph {
  /** In an order in which they can be computed. */
  readonly nodes: readonly OnnxNode[]
  readonly constants: Readonly<Record<string, OnnxConstant>>
  readonly input: string
  readonly output: string
}

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5
const FLOAT = 1

function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = view.getUint8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const field = Math.floor(key / 8)
    switch (key % 8) {
      case VARINT:
        yield [field, varint()]
        break
      case FIXED64:
        at += 8
        break
      case BYTES: {
        const length = varint()
        yield [field, bytes.subarray(at, at + length)]
        at += length
        break
      }
      case FIXED32:
        yield [field, view.getFloat32(at, true)]
        at += 4
        break
      default:
        throw new Error(`no ONNX file: wire type ${key % 8} at byte ${at}`)
    }
  }
}

const textOf = (value: Field[1] | undefined) => new TextDecoder().decode(value as Uint8Array)

/** The values of one field, in their order. */
function all(fields: readonly Field[], wanted: number): readonly Field[1][] {
  return fields.flatMap(([field, value]) => (field === wanted ? [value] : []))
}

const messages = (fields: readonly Field[], wanted: number) =>
  all(fields, wanted).map((value) => [...fieldsOf(value as Uint8Array)])

function nodeOf(fields: readonly Field[]): OnnxNode {
  const attributes = messages(fields, 5).map((attribute) => {
    // 2: a float, 3: an integer, 8: integers one by one.
    const numbers = attribute.flatMap(([field, value]) => ([2, 3, 8].includes(field) ? [value as number] : []))
    return [textOf(all(attribute, 1)[0]), numbers] as const
  })
  return {
    type: textOf(all(fields, 4)[0]),
    inputs: all(fields, 1).map(textOf),
    output: textOf(all(fields, 2)[0]),
    attributes: Object.fromEntries(attributes),
  }
}

function constantOf(fields: readonly Field[]): readonly [name: string, constant: OnnxConstant] {
  const name = textOf(all(fields, 8)[0])
  const raw = all(fields, 9)[0] as Uint8Array | undefined
  if (all(fields, 2)[0] !== FLOAT || !raw) throw new Error(`constant ${name}: only raw float32 is read`)
  return [name, { size: all(fields, 1) as number[], values: new Float32Array(Uint8Array.from(raw).buffer) }]
}

export function readOnnxGraph(bytes: Uint8Array): OnnxGraph {
  const [graph] = messages([...fieldsOf(bytes)], 7)
  if (!graph) throw new Error('no ONNX file: it has no graph')
  const port = (field: number) => textOf(all(messages(graph, field)[0] ?? [], 1)[0])
  return {
    nodes: messages(graph, 1).map(nodeOf),
    constants: Object.fromEntries(messages(graph, 5).map(constantOf)),
    input: port(11),
    output: port(12),
  }
}
