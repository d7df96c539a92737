// `npm run bench`: dlnet beside other libraries, measured in turns in one run. See docs/performance.md.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Clock } from './clock.js'
import { buildPackage, compile, compiledFile } from './compilation.js'
import { Contender, type ContenderName, contenderNames } from './contender-process.js'
import { type Footprint, footprints } from './footprint.js'
import { measureRow, type Results } from './measure.js'
import { installPeers } from './peers-installation.js'
import { rows } from './rows/all.js'
import type { Row } from './rows/row.js'
import { measureScaling, scalingChart } from './scaling.js'
import { type Line, rate, reasons, table, tableAsCalled, tableOfFootprints } from './table.js'

const list = (text: string) => text.split(',').map((part) => part.trim())

function threadCounts(text: string): number[] {
  const counts = list(text).map(Number)
  if (counts.some((count) => !Number.isInteger(count) || count < 1 || count > 256))
    throw new InvalidArgumentError('Give numbers from 1 to 256, as in 1,2.')
  return counts
}

/** What `--rows` chooses from. */
const measurable: readonly (Row | Footprint)[] = [...rows, ...footprints]

function chosenRows(text: string): (Row | Footprint)[] {
  return list(text).flatMap((part) => {
    const found = measurable.filter(({ name }) => name.startsWith(part))
    if (found.length === 0) throw new InvalidArgumentError(`No row begins with '${part}'; --help lists them.`)
    return found
  })
}

function chosenContenders(text: string): ContenderName[] {
  return list(text).map((part) => {
    const found = contenderNames.find((name) => name === part)
    if (!found) throw new InvalidArgumentError(`'${part}' is none of ${contenderNames.join(', ')}.`)
    return found
  })
}

function chosen<T>(flags: string, description: string, parse: (text: string) => T, value: T, shown: string): Option {
  return new Option(flags, description).default(value, shown).argParser(parse)
}

interface Options {
  rows: (Row | Footprint)[]
  threads: number[]
  with: ContenderName[]
  clock: Clock
  quick: boolean
  json?: string
  profile: boolean
  scaling: boolean
}

const available = availableParallelism() > 1 ? [1, 2] : [1]
const program = new Command('npm run bench --')
  .description(
    'Times dlnet beside other libraries: same work, same inputs, results compared first, turns taken in rounds.',
  )
  .addOption(
    chosen('--rows <names>', 'rows whose names begin so, separated by commas', chosenRows, [...measurable], 'all'),
  )
  .addOption(
    chosen('--threads <counts>', 'numbers of threads, separated by commas', threadCounts, available, available.join()),
  )
  .addOption(chosen('--with <names>', 'contenders, separated by commas', chosenContenders, [...contenderNames], 'all'))
  .addOption(
    new Option('--clock <name>', 'cpu: time that processors spend, steadier for one thread on a busy machine')
      .choices(['wall', 'cpu'])
      .default('wall'),
  )
  .option('--quick', 'few short rounds: to see that all works, not to quote', false)
  .option('--json <file>', 'also write every figure to this file')
  .option('--profile', "instead print where dlnet's own time goes, kernel by kernel", false)
  .option('--scaling', 'instead measure how cost grows, and draw docs/scaling.svg', false)
  .addHelpText('after', () => {
    const described = measurable.map(({ name, size }) => `  ${name.padEnd(36)} ${size}`)
    return `\nContenders: ${contenderNames.join(', ')}\n\nRows:\n${described.join('\n')}`
  })
  .parse()
const options = program.opts<Options>()
const chosenTimed = options.rows
  .filter((row): row is Row => 'task' in row)
  .map((row) => (options.quick && row.quick ? { ...row, ...row.quick } : row))
const chosenFootprints = options.rows.filter((row): row is Footprint => 'measure' in row)
const say = (line: string) => process.stderr.write(`${line}\n`)

compile(say)
if (options.profile) {
  const milliseconds = options.quick ? 300 : 2000
  const runs = options.threads.flatMap((threads) =>
    chosenTimed.map(({ name }) => [name, threads, milliseconds, options.clock]),
  )
  const ended = runs.map((given) =>
    spawnSync(process.execPath, [compiledFile('profile'), ...given.map(String)], { stdio: 'inherit' }),
  )
  process.exit(ended.every(({ status }) => status === 0) ? 0 : 1)
}

const { clock } = options
const effort = options.quick
  ? { warmUp: 200, rounds: 3, turn: 20, clock }
  : { warmUp: 1000, rounds: 9, turn: 100, clock }
const machine = { processor: cpus()[0]?.model ?? 'unknown', processors: availableParallelism(), node: process.version }
const [load] = loadavg()
if (load! > 0.5 * machine.processors)
  say(`This machine is busy (load ${load!.toFixed(1)}): times below are worth little, ratios a little more.`)

if (options.scaling) {
  const brief = {
    ...effort,
    warmUp: options.quick ? 50 : 400,
    rounds: options.quick ? 2 : 5,
    turn: options.quick ? 10 : 60,
  }
  const { figures, peaks } = await measureScaling(options.threads, brief, say)
  writeFileSync(new URL('../docs/scaling.svg', import.meta.url), scalingChart(figures, peaks, load!))
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, load, peaks, figures }, undefined, 2)}\n`)
  say('Drawn: docs/scaling.svg')
  process.exit(0)
}

if (options.with.some((name) => name !== 'dlnet' && name !== 'copy')) installPeers(say)

const lines: Line[] = []
const versions: Partial<Record<ContenderName, string>> = {}
for (const threads of chosenTimed.length > 0 ? options.threads : []) {
  const running = new Map<ContenderName, Contender>()
  const absent: Results = {}
  // In the order of the columns: what the others compute is compared with the first.
  const wanted = contenderNames.filter((name) => options.with.includes(name))
  const startMissing = async () => {
    for (const name of wanted) {
      if (absent[name] || running.get(name)?.running) continue
      const started = await Contender.start(name, threads)
      if (typeof started === 'string') {
        absent[name] = { outcome: started.startsWith('not installed') ? 'not installed' : 'failed', because: started }
        say(`${name}: ${started}`)
      } else {
        running.set(name, started)
        versions[name] = started.hello.version
      }
    }
    return wanted.flatMap((name) => running.get(name) ?? [])
  }
  try {
    for (const row of chosenTimed) {
      const contenders = await startMissing()
      const results = { ...absent, ...(await measureRow(row, contenders, effort)) }
      lines.push({ row, threads, results })
      const own = results.dlnet
      say(
        `${row.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}: ${
          own?.outcome === 'timed' ? rate(row, own.asCalled.median) : (own?.outcome ?? 'without dlnet')
        }`,
      )
    }
  } finally {
    await Promise.all([...running.values()].map((contender) => contender.stop()))
  }
}

console.log(`\n${machine.processor}, ${machine.processors} processors, Node ${machine.node}`)
console.log(`${Object.values(versions).join(', ')}`)
console.log(
  `Medians in ms${clock === 'cpu' ? ' of processor time' : ''}; x: time as a multiple of dlnet's in the same rounds${options.quick ? '; quick' : ''}\n`,
)
if (lines.length > 0) console.log(table(lines))
const asCalled = tableAsCalled(lines)
if (asCalled) console.log(`\nOutputs are reused above. As a user calls it, where that is another call:\n\n${asCalled}`)
for (const reason of reasons(lines)) console.log(`- ${reason}`)

const measured = []
if (chosenFootprints.length > 0 && options.with.includes('dlnet')) buildPackage(say)
for (const { name, size, goal, measure } of chosenFootprints)
  measured.push({ name, size, goal, cells: await measure(options.with, options.quick) })
if (measured.length > 0) console.log(`\n${tableOfFootprints(measured)}`)

if (options.json !== undefined) {
  const content = { machine, load, versions, effort, lines, footprints: measured }
  writeFileSync(options.json, `${JSON.stringify(content, undefined, 2)}\n`)
}

const wrong = lines.filter(({ results }) => Object.values(results).some(({ outcome }) => outcome === 'differs'))
const failed = lines.filter(({ results }) => results.dlnet?.outcome === 'failed')
for (const { row, threads } of wrong) say(`${row.name}, ${threads} threads: results differ between libraries`)
for (const { row, threads, results } of failed) {
  const own = results.dlnet
  if (own?.outcome === 'failed') say(`${row.name}, ${threads} threads: dlnet failed: ${own.because}`)
}
process.exit(wrong.length + failed.length > 0 ? 1 : 0)
