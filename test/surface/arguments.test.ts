import { expect, it } from 'vitest'
import * as dlnet from '../../src/index.js'

// Every function of the public surface with arguments that make no sense: each failure is an error of dlnet's own in four parts,
// and nothing crashes, hangs or takes much memory. A function that is new is covered by being exported.

type AnyFunction = (...given: unknown[]) => unknown

/** What stands for anything but what is meant. The text is no path that could be written to. */
function nonsense(): readonly unknown[] {
  const disposed = dlnet.dlarray([[1, 2]], 'CB')
  disposed.dispose()
  const image = dlnet.dlarray(new Float32Array(24), [2, 3, 4], 'SCB')
  const plain = dlnet.dlarray([1, 2, 3])
  return [
    undefined,
    null,
    Number.NaN,
    '',
    {},
    [],
    -1,
    1e9,
    0.5,
    'no/such/thing',
    () => 1,
    disposed,
    image,
    plain,
    Symbol('nothing'),
    Object.create(null),
    [[1, 2], [3]],
    10n,
    true,
    new Float32Array(3),
  ]
}

/** Classes whose instances the library makes; those of errors among them. */
const isMade = (value: unknown) => /^class\b/.test(String(value)) && value !== dlnet.RandomStream
const functions = Object.entries(dlnet as Readonly<Record<string, unknown>>).filter(
  (entry): entry is [string, AnyFunction] => typeof entry[1] === 'function' && !isMade(entry[1]),
)
const construct =
  (Class: new (...given: never[]) => object): AnyFunction =>
  (...given) =>
    new Class(...(given as never[]))

/** What is wrong with a failure; undefined when it is an error in four parts. */
function complaint(error: unknown): string | undefined {
  if (!(error instanceof dlnet.DlnetError)) return `${error instanceof Error ? error.stack : String(error)}`
  const { call, expects, got, remedy } = error.problem
  for (const part of [call, expects, got, remedy])
    if (typeof part !== 'string' || part.trim() === '' || part.includes('[object')) return error.message
  return undefined
}

/** Calls a function with every list of arguments; what is wrong, by arguments. */
async function complaintsOf(call: AnyFunction, lists: readonly (readonly unknown[])[]): Promise<string[]> {
  const found: string[] = []
  for (const list of lists) {
    try {
      await call(...list)
    } catch (error) {
      const text = complaint(error)
      if (text !== undefined) found.push(`(${list.map(describeArgument).join(', ')}): ${text}`)
    }
  }
  return found
}

function describeArgument(value: unknown): string {
  if (dlnet.isdlarray(value)) return `dlarray ${value.size.join('x')}`
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function argumentLists(): unknown[][] {
  const values = nonsense()
  const arrays = values.filter((value) => dlnet.isdlarray(value)).slice(1)
  return [
    [],
    ...values.map((first) => [first]),
    ...values.flatMap((first) => values.map((second) => [first, second])),
    ...arrays.flatMap((first) => arrays.flatMap((second) => values.map((third) => [first, second, third]))),
    ...arrays.flatMap((first) => values.map((last) => [first, first, first, last])),
  ]
}

it('covers the public surface', () => {
  expect(functions.length).toBeGreaterThan(140)
})

it.each(functions)('%s fails with words', async (name, call) => {
  const run = name === 'RandomStream' ? construct(dlnet.RandomStream) : call
  const before = dlnet.memory().bytesReserved
  expect(await complaintsOf(run, argumentLists())).toEqual([])
  expect(dlnet.memory().bytesReserved - before).toBeLessThan(2 ** 27)
})

/** What takes anything, or nothing. */
const takesAnything = ['isdlarray', 'isLayer', 'memory', 'backendInfo', 'openScope']

it.each(functions.filter(([name]) => !takesAnything.includes(name)))('%s does not take null', async (name, call) => {
  const run = name === 'RandomStream' ? construct(dlnet.RandomStream) : call
  await expect((async () => run(null, null, null))()).rejects.toThrow(dlnet.DlnetError)
})

/** Every method of an object, bound to it. */
function methodsOf(object: object): [string, AnyFunction][] {
  const prototype: object = Object.getPrototypeOf(object)
  return Object.getOwnPropertyNames(prototype).flatMap((name) => {
    const { value } = Object.getOwnPropertyDescriptor(prototype, name)!
    return typeof value === 'function' && name !== 'constructor' ? [[name, value.bind(object)]] : []
  })
}

it.each([
  ['a network', () => dlnet.dlnetwork([dlnet.featureInputLayer(2), dlnet.fullyConnectedLayer(3)], { seed: 1 })],
  ['a queue', () => dlnet.minibatchqueue(dlnet.arrayDatastore([[1], [2]]))],
  ['a scope', () => dlnet.openScope()],
  ['an array', () => dlnet.dlarray([1, 2])],
])('the methods of %s fail with words', async (_, make) => {
  // Those are for the library itself, or take nothing.
  const internal = ['outputsFor', 'restore', 'withParameters', 'replaceParameters', 'run', 'dispose', 'close']
  for (const [name] of methodsOf(make())) {
    if (internal.includes(name)) continue
    const lists = [[], ...nonsense().map((first) => [first]), ...nonsense().map((second) => [1, second])]
    const call: AnyFunction = (...given) => methodsOf(make()).find(([each]) => each === name)![1](...given)
    expect(await complaintsOf(call, lists), name).toEqual([])
  }
})
