// Compiles kernels/**/*.ts (AssemblyScript) to one WebAssembly module and writes it, with the types of every kernel's
// parameter block, to src/backends/wasm/kernels.generated.ts. The block classes in kernels/ are the only declaration
// of a kernel's parameters.
//
//   node scripts/build-kernels.mjs                          the module the library embeds
//   node scripts/build-kernels.mjs --only a,b --out FILE    some families alone, as .wasm, for trying things out
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import asc from 'assemblyscript/asc'
import { packKernels } from './pack-kernels.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values: flags } = parseArgs({ options: { only: { type: 'string' }, out: { type: 'string' } } })

const files = readdirSync(join(root, 'kernels'), { recursive: true })
  .filter((file) => file.endsWith('.ts') && !file.startsWith('unpacking'))
  .filter((file) => !flags.only || ['scratch', 'pool', ...flags.only.split(',')].includes(basename(file, '.ts')))
  .sort((a, b) => (basename(a) < basename(b) ? -1 : 1))

/** What follows a field's name in the list of a block's fields. */
const MARKS = { usize: '*', i32: '', f32: '.' }

/** The block classes of all files by name: own fields, and the class that these follow. */
const blocks = new Map()
/** One kernel per `export function name(block: Block, begin: i32, end: i32): void`; one block per `@unmanaged class`. */
function readDeclarations(source, file) {
  for (const [, name, base, body] of source.matchAll(
    /@unmanaged\s+(?:export\s+)?class\s+(\w+)(?:\s+extends\s+(\w+))?\s*\{([^}]*)\}/g,
  )) {
    const fields = [...body.replace(/\/\/.*$|\/\*[\s\S]*?\*\//gm, '').matchAll(/(\w+)\s*:\s*(\w+)\s*;/g)]
    for (const [, field, type] of fields)
      if (!['usize', 'i32', 'f32'].includes(type))
        throw new Error(`${file}: block ${name}.${field} has type ${type}; a block holds usize, i32 and f32 only`)
    if (blocks.has(name)) throw new Error(`${file}: there are two blocks named ${name}`)
    blocks.set(name, { base, fields: fields.map(([, field, type]) => [field, type]) })
  }
  const declared = source.matchAll(/export function (\w+)\(\s*\w+: (\w+),\s*begin: i32,\s*end: i32,?\s*\): void/g)
  return [...declared].map(([, name, block]) => ({ name, block, file }))
}

const declarations = []
/** Files compiled as entries; a file with functions for other families alone would export every one of them. */
const entries = []
for (const file of files) {
  const declared = readDeclarations(readFileSync(join(root, 'kernels', file), 'utf8'), `kernels/${file}`)
  if (declared.length > 0 || ['scratch.ts', 'pool.ts'].includes(file)) entries.push(file)
  declarations.push(...declared)
}

function fieldsOf(name, user) {
  const block = blocks.get(name)
  if (!block) throw new Error(`${user}: there is no block ${name}`)
  return block.base ? [...fieldsOf(block.base, user), ...block.fields] : block.fields
}

const kernels = new Map()
for (const { name, block, file } of declarations) {
  if (kernels.has(name)) throw new Error(`${file}: there are two kernels named ${name}`)
  kernels.set(name, fieldsOf(block, file))
}

const folder = mkdtempSync(join(tmpdir(), 'dlnet-kernels-'))
const output = flags.out ?? join(folder, 'kernels.wasm')

async function compile(files, output, options) {
  const common = [
    '--runtime',
    'stub',
    '--noAssert',
    '--converge',
    '--uncheckedBehavior',
    'always',
    '--enable',
    'bulk-memory',
  ]
  // A module that the last of many rounds of optimizing made some bytes longer is no news.
  const write = (text) => String(text).startsWith('Last converge was suboptimal') || process.stderr.write(text)
  const streams = { stdout: process.stdout, stderr: { write } }
  const { error } = await asc.main([...files, '--outFile', output, ...common, ...options], streams)
  if (!error) return readFileSync(output)
  process.stderr.write(`build-kernels: ${files.at(-1)} did not compile. ${error.message}\n`)
  process.exit(1)
}

const bytes = await compile(
  entries.map((file) => join(root, 'kernels', file)),
  output,
  [
    '-O3',
    // Functions that one file of kernels has for others are exports of the module too, which nobody outside calls: a generic
    // one without its types is none, and one of vectors is not for every host.
    '--disableWarning',
    '235',
    '--disableWarning',
    '112',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '16',
    '--maximumMemory',
    '65536',
    '--enable',
    'simd',
    '--enable',
    'threads',
  ],
)
if (!flags.out) {
  const unpacking = [join(root, 'kernels/unpacking/unpack.ts')]
  const memory = ['--initialMemory', '144']
  const unpacker = await compile(unpacking, join(folder, 'unpack.wasm'), ['-Oz', ...memory])
  const packer = await compile(unpacking, join(folder, 'pack.wasm'), ['-Oz', ...memory, '--use', 'ENCODING=1'])
  const { packed, module } = packKernels(bytes, { packer, unpacker })
  const text = (bytes) => Buffer.from(bytes).toString('base64')
  const sorted = [...kernels].sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(
    join(root, 'src/backends/wasm/kernels.generated.ts'),
    [
      '// Written by scripts/build-kernels.mjs from kernels/**/*.ts. Not edited by hand, not committed.',
      "/** The fields of every kernel's parameter block. */",
      'export interface KernelFields {',
      ...sorted.map(([name, fields]) => `  ${name}: ${fields.map(([field]) => `'${field}'`).join(' | ')}`),
      '}',
      '',
      '/** The same in the order of the block in memory, separated by blanks; floats end with a point, addresses with a star. */',
      'export const kernelBlocks: Readonly<Record<keyof KernelFields, string>> = {',
      ...sorted.map(
        ([name, fields]) => `  ${name}: '${fields.map(([field, type]) => field + MARKS[type]).join(' ')}',`,
      ),
      '}',
      '',
      '/** The compiled module, packed, and the module that unpacks it (kernels/unpacking), in base 64. */',
      `export const packedKernels = '${text(packed)}'`,
      `export const unpacker = '${text(unpacker)}'`,
      '',
    ].join('\n'),
  )
  console.log(`kernels: ${kernels.size} kernels, ${module.length} bytes, ${packed.length} packed`)
}
rmSync(folder, { recursive: true, force: true })
