import { describe, expect, expectTypeOf, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import type { Canonical, Combined, Known, ValidFormat } from '../../src/array/format.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { inputLayer } from '../../src/layers/input.js'
import { reluLayer } from '../../src/layers/relu.js'
import { scope } from '../../src/memory/scope.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { cast } from '../../src/operations/arrays/cast.js'
import { cat, horzcat } from '../../src/operations/arrays/concatenation.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { permute } from '../../src/operations/arrays/permute.js'
import { flip, repmat } from '../../src/operations/arrays/rearrangement.js'
import { reshape, stripdims } from '../../src/operations/arrays/relabel.js'
import { index } from '../../src/operations/arrays/subscripts.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { gt } from '../../src/operations/elementwise/comparison.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { crossentropy } from '../../src/operations/losses/crossentropy.js'
import { huber } from '../../src/operations/losses/huber.js'
import { mse } from '../../src/operations/losses/mse.js'
import { mean } from '../../src/operations/reductions/mean.js'
import { type SumOver, sum } from '../../src/operations/reductions/sum.js'
import { minibatchpredict } from '../../src/training/minibatchpredict.js'

// What the compiler knows of formats. `tsc` proves these (npm run check:types); running them shows that the claims are true
// of the arrays themselves.

/** Compiles only when the type is exactly that; fails when the array's format is another. */
function expectFormat<F extends string>(X: DlArray<F>, format: F): void {
  expect(X.dims).toBe(format)
}

const x24 = Float32Array.from({ length: 24 }, (_, i) => i)
const runtime: string = 'SCB'

describe('the compiler follows formats', () => {
  it('brings labels to their order', () => {
    const X = dlarray(x24, [2, 3, 4], 'TCB')
    expectTypeOf(X).toEqualTypeOf<DlArray<'CBT'>>()
    expectFormat(X, 'CBT')
    const Y = dlarray([[1, 2]], 'BC')
    expectTypeOf(Y).toEqualTypeOf<DlArray<'CB'>>()
    expectFormat(Y, 'CB')
    const v = dlarray([1, 2, 3], 'C')
    expectTypeOf(v).toEqualTypeOf<DlArray<'CU'>>()
    expectFormat(v, 'CU')
    expectTypeOf<Canonical<'USBSU'>>().toEqualTypeOf<'SSBUU'>()
    expectTypeOf<Canonical<'UTBCSS'>>().toEqualTypeOf<'SSCBTU'>()
  })

  it('knows arrays without a format, and those labelled again', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    expectTypeOf(stripdims(X)).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(stripdims(X, 'BCS')).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(reshape(X, [6, 4])).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(dlarray(x24, [2, 12])).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(dlarray([1, 2])).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(dlarray(3)).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(dlarray(X)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(dlarray(X, { type: 'double' })).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(dlarray(X, 'SSS')).toEqualTypeOf<DlArray<'SSS'>>()
    expectFormat(stripdims(X), '')
    expectFormat(dlarray(X), 'SCB')
    expectFormat(dlarray(X, 'SSS'), 'SSS')
  })

  it('leaves formats of run time alone', () => {
    const X = dlarray(x24, [2, 3, 4], runtime)
    expectTypeOf(X).toEqualTypeOf<DlArray<string>>()
    expectTypeOf(X).toEqualTypeOf<DlArray>()
    expectTypeOf(plus(X, dlarray([1], 'T'))).toEqualTypeOf<DlArray<string>>()
    expect(sum(X, 'C').dims).toBe('SCB')
    expect(plus(X, dlarray([1, 2], 'T')).dims).toBe('SCBT')
    // A known format is also an array of any format.
    const any: DlArray = dlarray([1], 'C')
    expect(any.dims).toBe('CU')
  })

  it('keeps formats through operations', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    expectTypeOf(relu(X)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(sum(X, 'C')).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(mean(X, 'SB')).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(sum(X, 'all')).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(flip(X, 'B')).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(repmat(X, [1, 2])).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(permute(X, [1, 2, 3])).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(cast(X, 'double')).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(times(X, 2)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(times(2, X)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(gt(X, 0)).toEqualTypeOf<DlArray<'SCB'>>()
    for (const Y of [relu(X), sum(X, 'C'), mean(X, 'SB'), flip(X), times(2, X), gt(X, 0)]) expectFormat(Y, 'SCB')
  })

  it('knows that a loss is a number, unless it is asked for one of each prediction', () => {
    const Y = dlarray([[0.5], [0.5]], 'CB')
    for (const loss of [crossentropy(Y, Y), mse(Y, Y), huber(Y, Y, { reduction: 'sum' })]) {
      expectTypeOf(loss).toEqualTypeOf<DlArray<''>>()
      expectFormat(loss, '')
    }
    const each = crossentropy(Y, Y, { reduction: 'none' })
    expectTypeOf(each).toEqualTypeOf<DlArray<string>>()
    expect(each.dims).toBe('CB')
    expectTypeOf(plus(Y, [1, 2])).toEqualTypeOf<DlArray<'CB'>>()
    expectFormat(plus(Y, [1, 2]), 'CB')
  })

  it('unites the formats of two arrays', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    const Y = plus(X, dlarray([[1, 2], [3, 4]], 'ST')) // biome-ignore format: short
    expectTypeOf(Y).toEqualTypeOf<DlArray<'SCBT'>>()
    expectFormat(Y, 'SCBT')
    const Z = times(X, dlarray([1, 2, 3], 'C'))
    expectTypeOf(Z).toEqualTypeOf<DlArray<'SCB'>>()
    expectFormat(Z, 'SCB')
    expectTypeOf(plus(X, dlarray([1, 2]))).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(plus(dlarray([1, 2]), X)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf<Combined<'S', 'SSC'>>().toEqualTypeOf<'SSC'>()
    expectTypeOf<Combined<'', ''>>().toEqualTypeOf<''>()
    expectTypeOf<Combined<'CB', 'SST'>>().toEqualTypeOf<'SSCBT'>()
    expectTypeOf<Combined<string, 'CB'>>().toEqualTypeOf<string>()
  })

  it('knows what indexing and joining do', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    expectTypeOf(index(X, 1, ':', [2, 3])).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(index(X, ':', 1)).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(index(X, ':')).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(index(stripdims(X), 1)).toEqualTypeOf<DlArray<''>>()
    expectFormat(index(X, 1, ':', [2, 3]), 'SCB')
    expectFormat(index(X, ':', 1), '')
    const list = [1, 1, 1]
    expectTypeOf(index(X, ...list)).toEqualTypeOf<DlArray<string>>()
    expectTypeOf(cat(1, X, X)).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(cat('B', X, stripdims(X))).toEqualTypeOf<DlArray<'SCB'>>()
    expectTypeOf(horzcat(stripdims(X), stripdims(X))).toEqualTypeOf<DlArray<''>>()
    expectFormat(cat('B', X, stripdims(X)), 'SCB')
  })

  it('keeps them through dlfeval, dlgradient and scope', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    const gradient = dlfeval((x: DlArray<'SCB'>) => dlgradient(sum(times(x, x), 'all'), x), X)
    expectTypeOf(gradient).toEqualTypeOf<DlArray<'SCB'>>()
    expectFormat(gradient, 'SCB')
    const record = dlfeval((p: { w: DlArray<'SCB'> }) => dlgradient(sum(p.w, 'all'), p), { w: X })
    expectTypeOf(record).toEqualTypeOf<{ w: DlArray<'SCB'> }>()
    expectTypeOf(scope(() => relu(X))).toEqualTypeOf<DlArray<'SCB'>>()
  })
})

describe('the editor marks', () => {
  it('what is no format, with a sentence', () => {
    expectTypeOf<ValidFormat<'SSX'>>().toEqualTypeOf<"'X' is not a label: use S, C, B, T or U">()
    expectTypeOf<ValidFormat<'CC'>>().toEqualTypeOf<"'C' may occur only once in a format">()
    expectTypeOf<ValidFormat<'BSTB'>>().toEqualTypeOf<"'B' may occur only once in a format">()
    expectTypeOf<ValidFormat<'SSCBTUU'>>().toEqualTypeOf<'SSCBTUU'>()
    expectTypeOf<ValidFormat<string>>().toEqualTypeOf<string>()
    // @ts-expect-error 'X' is not a label: use S, C, B, T or U
    expect(() => dlarray([1, 2], 'SSX')).toThrow("'SSX' with 'X'")
    // @ts-expect-error 'C' may occur only once in a format
    expect(() => dlarray([1, 2], 'CC')).toThrow('the label C at most once')
    // @ts-expect-error 'T' may occur only once in a format
    expect(() => dlarray(x24, [2, 3, 4], 'TCT')).toThrow('the label T at most once')
    // @ts-expect-error a list of lists has no size
    expect(() => dlarray([[1, 2]], [1, 2])).toThrow('a list')
  })

  it('labels that are not there, with a sentence', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    expectTypeOf<Known<'SCB', 'T'>>().toEqualTypeOf<"'T' is not a dimension of 'SCB'">()
    expectTypeOf<
      Known<'', 'S'>
    >().toEqualTypeOf<"an unformatted array has no labels: give dimension numbers instead of 'S'">()
    expectTypeOf<Known<'SCB', 'BS'>>().toEqualTypeOf<'BS'>()
    // @ts-expect-error 'T' is not a dimension of 'SCB'
    expect(() => sum(X, 'T')).toThrow("labels among 'SCB'")
    // @ts-expect-error 'T' is not a dimension of 'SCB'
    expect(() => mean(X, 'ST')).toThrow("labels among 'SCB'")
    // @ts-expect-error an unformatted array has no labels
    expect(() => sum(stripdims(X), 'C')).toThrow('the array has no labels')
    expect(sum(X, 'SC').size).toEqual([1, 1, 4])
    // A singleton U that was dropped is still known to the compiler, and summed over at run time.
    expect(sum(dlarray(x24, [4, 6, 1], 'CBU'), 'U').dims).toBe('CB')
  })

  it('labels and formats with sentences of their own', () => {
    const X = dlarray(x24, [2, 3, 4], 'SCB')
    expectTypeOf<SumOver<'CB', 'S'>>().toEqualTypeOf<"'S' is not a dimension of 'CB'">()
    expectTypeOf<SumOver<'', 'S'>>().toEqualTypeOf<"an unformatted array has no labels: give dimension numbers instead of 'S'">() // biome-ignore format: one line
    type InOneText = "labels go in one text, such as 'SC', and numbers in a list"
    expectTypeOf<SumOver<'CB', readonly ['C', 'B']>>().toEqualTypeOf<InOneText>()
    expectTypeOf<SumOver<'CB', readonly number[]>>().toEqualTypeOf<readonly number[]>()
    expectTypeOf<SumOver<'CB', 'all' | 'C' | 2>>().toEqualTypeOf<'all' | 'C' | 2>()
    // @ts-expect-error labels go in one text
    expect(() => mean(X, ['C', 'S'])).toThrow()
    // @ts-expect-error 'T' is not a dimension of 'SCB'
    expect(() => mean(X, 'T')).toThrow("'T' labels no dimension of it")
    // Compilers show the last overload's text: there the format stands, as its sentence.
    const second: Parameters<typeof dlarray>[1] = 'SC'
    expect(dlarray([[1]], second).dims).toBe('SC')
    // @ts-expect-error no option of a layer, and no name with a value
    expect(() => inputLayer([1, 1], 'SS', { nam: 'x' })).toThrow("'nam'")
    // @ts-expect-error no option of a layer
    expect(() => reluLayer({ nam: 'x' })).toThrow("'nam'")
    // @ts-expect-error no option of a layer
    expect(() => convolution2dLayer(3, 8, { strid: 2 })).toThrow("'strid'")
  })

  it('arrays of another format', () => {
    const takes = (image: DlArray<'SSCB'>) => image.dims
    // @ts-expect-error 'SCB' is not 'SSCB'
    expect(takes(dlarray(x24, [2, 3, 4], 'SCB'))).toBe('SCB')
    expect(takes(dlarray(x24, [2, 3, 4, 1], 'SSCB'))).toBe('SSCB')
  })

  it('promises in scopes', () => {
    // @ts-expect-error a scope frees its arrays when the function returns: await outside of it
    expect(() => scope(async () => 1)).toThrow('a function that returned a promise')
    // @ts-expect-error the same
    expect(() => dlfeval(async (x: DlArray) => x, dlarray(1))).toThrow(/^dlfeval: .*a function that returned a promise/)
  })
})

describe('the compiler knows what minibatchpredict gives', () => {
  const net = dlnetwork([featureInputLayer(2, { normalization: 'none' }), fullyConnectedLayer(3)], { seed: 1 })
  const X = { values: [1, 2, 3, 4], size: [2, 2] }

  it('one array, also inside another call', async () => {
    expectTypeOf(await minibatchpredict(net, X)).toEqualTypeOf<DlArray<''>>()
    expectTypeOf(await minibatchpredict(net, X, { outputs: 'fc' })).toEqualTypeOf<DlArray<''>>()
    // compiles only for one array
    expectFormat(await minibatchpredict(net, X, { miniBatchSize: 1 }), '')
    expect(sum(await minibatchpredict(net, X), 1).size).toEqual([1, 3])
  })

  it('a list for a list of outputs, and what is asked for', async () => {
    const list = await minibatchpredict(net, X, { outputs: ['fc', 'featureinput'] })
    expectTypeOf(list).toEqualTypeOf<DlArray<''>[]>()
    expect(list.map(({ size }) => size)).toEqual([
      [2, 3],
      [2, 2],
    ])
    const asked = minibatchpredict<DlArray<''>[]>(net, X)
    expectTypeOf(await asked).toEqualTypeOf<DlArray<''>[]>()
  })
})
