import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type DlArray, isdlarray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { cast } from '../../../src/operations/arrays/cast.js'
import { dims, dlarray, extractdata, finddim, underlyingType } from '../../../src/operations/arrays/dlarray.js'
import { rand, randn, rng } from '../../../src/operations/arrays/random.js'
import { stripdims } from '../../../src/operations/arrays/relabel.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { gt } from '../../../src/operations/elementwise/comparison.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { message } from '../../support/message.js'

function counted(...size: number[]): { values: Float32Array; size: number[] } {
  return { values: Float32Array.from({ length: size.reduce((a, b) => a * b, 1) }, (_, i) => i + 1), size }
}

describe('from nested arrays and numbers', () => {
  it('reads element (i, j) from nested[i][j] and stores column by column', () => {
    const X = dlarray([
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect(X.size).toEqual([2, 3])
    expect(X.dims).toBe('')
    expect(X.values()).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6))
    expect(X.toNested()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
  })

  it('makes a number 1-by-1 and a list a column', () => {
    expect(dlarray(7).size).toEqual([1, 1])
    expect(dlarray(7).item()).toBe(7)
    expect(dlarray([1, 2, 3]).size).toEqual([3, 1])
  })

  it('takes deeper nesting, typed arrays as rows, booleans, and nothing', () => {
    expect(dlarray([[[1], [2]]]).size).toEqual([1, 2])
    expect(dlarray([[[1, 2]], [[3, 4]], [[5, 6]]]).size).toEqual([3, 1, 2])
    expect(dlarray([Float32Array.of(1, 2), Float32Array.of(3, 4)] as never).toNested()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(dlarray([[true, false]], { type: 'logical' }).toNested()).toEqual([[true, false]])
    expect(dlarray([]).size).toEqual([0, 1])
    expect(dlarray([[], []]).size).toEqual([2, 0])
  })

  it('is single unless another class is asked for', () => {
    expect(underlyingType(dlarray([0.1]))).toBe('single')
    expect(dlarray([0.1]).item()).toBe(Math.fround(0.1))
    expect(dlarray([0.1], { type: 'double' }).item()).toBe(0.1)
    expect(dlarray(Float64Array.of(0.1), [1, 1]).underlyingType).toBe('single')
    expect(dlarray([[0, 2, -1]], { type: 'logical' }).values()).toEqual(Float32Array.of(0, 1, 1))
  })
})

describe('from flat elements and a size', () => {
  it('reads them column by column, or row by row when told', () => {
    const values = [1, 2, 3, 4, 5, 6]
    expect(dlarray(values, [2, 3]).toNested()).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ])
    expect(dlarray(values, [2, 3], { order: 'row' }).toNested()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect(dlarray(Uint8Array.from(values), [2, 3], 'CB', { order: 'row', type: 'double' }).toNested()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
  })

  it.each([
    [[6], 'C', 'CU', [6, 1]],
    [[1, 6], 'C', 'CU', [6, 1]],
    [[1, 1, 6], '', '', [1, 1, 6]],
    [[6, 1, 1], 'SSC', 'SSC', [6, 1, 1]],
    [[2, 1, 3, 1], 'BTSS', 'SSBT', [3, 1, 2, 1]],
    [[0, 3], 'CB', 'CB', [0, 3]],
  ])('reads %j as %s row by row', (size, format: string, expectedDims, expectedSize) => {
    const { values } = counted(...size)
    const X = dlarray(values, size, format, { order: 'row', type: 'double' })
    expect(X.dims).toBe(expectedDims)
    expect(X.size).toEqual(expectedSize)
    // With at most two extents that are not 1, in this order or the reverse, rows are easily counted.
    expect(Array.from(X.values())).toEqual(size.length === 4 ? [1, 2, 3, 4, 5, 6] : Array.from(values))
  })

  it('takes rows of an image in the usual memory order', () => {
    const { values } = counted(2, 3, 4)
    const X = dlarray(values, [2, 3, 4], 'SSC', { order: 'row' }).toNested() as number[][][]
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) expect(X[i]![j]![k]).toBe(1 + k + 4 * (j + 3 * i))
  })

  it('moves dimensions to the order of the labels', () => {
    const { values, size } = counted(2, 3, 4)
    const X = dlarray(values, size, 'TCB')
    expect(X.dims).toBe('CBT')
    expect(X.size).toEqual([3, 4, 2])
    const nested = X.toNested() as number[][][]
    for (let t = 0; t < 2; t++)
      for (let c = 0; c < 3; c++) for (let b = 0; b < 4; b++) expect(nested[c]![b]![t]).toBe(1 + t + 2 * (c + 3 * b))
  })

  it('does not keep the memory it was given', () => {
    const values = Float32Array.of(1, 2)
    const X = dlarray(values, [2, 1])
    values[0] = 9
    expect(X.values()[0]).toBe(1)
    const out = X.values()
    out[0] = 8
    expect(X.values()[0]).toBe(1)
  })
})

describe('formats', () => {
  it.each([
    // Examples 2 to 4 of the documentation's.
    ['TS', [3, 4], 'ST', [4, 3]],
    ['CB', [3, 10], 'CB', [3, 10]],
    ['BC', [3, 10], 'CB', [10, 3]],
    ['SSCB', [3, 3, 10, 7], 'SSCB', [3, 3, 10, 7]],
    ['SSBC', [3, 3, 10, 7], 'SSCB', [3, 3, 7, 10]],
    // Equal labels keep their order.
    ['USUS', [2, 3, 4, 5], 'SSUU', [3, 5, 2, 4]],
    // Extra labels make singleton dimensions, which all labels but U keep.
    ['SSCB', [28, 28], 'SSCB', [28, 28, 1, 1]],
    ['SCBT', [2], 'SCBT', [2, 1, 1, 1]],
    // Singleton U at the end goes, down to two dimensions.
    ['CBU', [3, 2, 1], 'CB', [3, 2]],
    ['UUU', [3, 1, 1], 'UU', [3, 1]],
    ['CUU', [3, 1, 2], 'CUU', [3, 1, 2]],
    ['SSTU', [3, 2, 1, 2], 'SSTU', [3, 2, 1, 2]],
    // Singletons of the data beyond the labels do not count.
    ['CB', [3, 2, 1, 1], 'CB', [3, 2]],
    // One label: a column, whichever way the vector lies.
    ['C', [3], 'CU', [3, 1]],
    ['C', [1, 3], 'CU', [3, 1]],
    ['C', [3, 1], 'CU', [3, 1]],
    ['T', [1, 3], 'TU', [3, 1]],
    ['U', [1, 3], 'UU', [3, 1]],
    ['B', [1, 1], 'BU', [1, 1]],
    ['', [1, 3], '', [1, 3]],
  ])('%s over %j is %s, %j', (format: string, size, expectedDims, expectedSize) => {
    const { values } = counted(...size)
    const X = dlarray(values, size, format)
    expect(dims(X)).toBe(expectedDims)
    expect(X.size).toEqual(expectedSize)
    expect(X.ndims).toBe(expectedSize.length)
    expect(X.numel).toBe(values.length)
    expect(Array.from(X.values()).sort((a, b) => a - b)).toEqual(Array.from(values))
    // The same by the other roads.
    const plain = dlarray(values, size)
    expect(dlarray(plain, format).values()).toEqual(X.values())
    expect(dlarray(plain, format).size).toEqual(expectedSize)
  })

  it('are replaced, not combined, when a formatted array is labelled again', () => {
    const { values } = counted(2, 3)
    const X = dlarray(values, [2, 3], 'CB')
    const Y = dlarray(X, 'BC')
    expect(Y.dims).toBe('CB')
    expect(Y.size).toEqual([3, 2])
    expect(Y.toNested()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    expect(dlarray(X, 'SS').dims).toBe('SS')
    expect(dlarray(X, '').dims).toBe('')
  })

  it('stay when a DlArray is given without one; the result is another array', () => {
    const X = dlarray([[1, 2]], 'CB')
    const Y = dlarray(X)
    expect(Y.dims).toBe('CB')
    Y.dispose()
    expect(X.values()).toEqual(Float32Array.of(1, 2))
  })

  it('tell where their labels are', () => {
    const X = dlarray(new Float32Array(24), [2, 3, 1, 4], 'SSCB')
    expect(finddim(X, 'S')).toEqual([1, 2])
    expect(finddim(X, 'C')).toEqual([3])
    expect(finddim(X, 'T')).toEqual([])
    expect(finddim(stripdims(X), 'S')).toEqual([])
    expect(X.size[finddim(X, 'B')[0]! - 1]).toBe(4)
  })
})

describe('reading back', () => {
  it('gives values, data, nested arrays and single elements', async () => {
    const X = dlarray([[1, 2, 3]], 'BC', { type: 'double' })
    expect(X.values()).toEqual(Float64Array.of(1, 2, 3))
    expect(await X.data()).toEqual(Float64Array.of(1, 2, 3))
    expect(extractdata(X)).toEqual(Float64Array.of(1, 2, 3))
    expect(X.toNested()).toEqual([[1], [2], [3]])
    expect(sum(X, 'all').item()).toBe(6)
    expect(isdlarray(X)).toBe(true)
    expect(isdlarray([1])).toBe(false)
  })

  it('gives values in memory of their own, which can be sent to other threads', () => {
    expect(dlarray([1, 2]).values().buffer).toBeInstanceOf(ArrayBuffer)
  })
})

describe('cast', () => {
  it('changes the class and keeps the format', () => {
    const X = dlarray([[0, 0.1, -2]], 'CB', { type: 'double' })
    const single = cast(X, 'single')
    expect(single.underlyingType).toBe('single')
    expect(single.dims).toBe('CB')
    expect(single.values()).toEqual(Float32Array.of(0, 0.1, -2))
    expect(cast(single, 'double').values()).toEqual(Float64Array.of(0, Math.fround(0.1), -2))
    expect(cast(X, 'logical').values()).toEqual(Float32Array.of(0, 1, 1))
    expect(dlarray(X, 'BC', { type: 'single' }).underlyingType).toBe('single')
    expect(dlarray(X).underlyingType).toBe('double')
  })

  it('lets gradients through, in the class of the variable', () => {
    const X = dlarray([1, 2], { type: 'double' })
    const gradient = dlfeval((x: DlArray) => {
      const s = cast(x, 'single')
      return dlgradient(sum(times(s, s), 'all'), x)
    }, X)
    expect(gradient.underlyingType).toBe('double')
    expect(gradient.values()).toEqual(Float64Array.of(2, 4))
  })
})

describe('printing', () => {
  it('shows the array of the documentation, through String, console.log and inspect', () => {
    const values = [0.5377, 1.8339, -2.2588, 0.8622, 0.3188, -1.3077, -0.4336, 0.3426, 3.5784, 2.7694, -1.3499, 3.0349]
    const X = dlarray(values, [3, 2, 1, 2], 'SSTU', { type: 'double' })
    const text = [
      '  3(S) × 2(S) × 1(T) × 2(U) dlarray',
      '',
      '(:,:,1,1) =',
      '',
      '    0.5377    0.8622',
      '    1.8339    0.3188',
      '   -2.2588   -1.3077',
      '',
      '',
      '(:,:,1,2) =',
      '',
      '   -0.4336    2.7694',
      '    0.3426   -1.3499',
      '    3.5784    3.0349',
    ].join('\n')
    expect(String(X)).toBe(text)
    expect(`${X}`).toBe(text)
    expect(inspect(X)).toBe(text)
    expect(String(stripdims(X)).split('\n')[0]).toBe('  3×2×1×2 dlarray')
    expect(dims(stripdims(X))).toBe('')
  })

  it('shows a comparison of random numbers as MATLAB does', () => {
    rng('default')
    const X = gt(dlarray(rand([4, 3], { type: 'double' }), 'SS'), 0.5)
    const text = ['  4(S) × 3(S) logical dlarray', '', '   1   1   1', '   1   0   1', '   0   0   0', '   1   1   1']
    expect(String(X)).toBe(text.join('\n'))
    const made = dlarray(X.toNested(), 'SS', { type: 'logical' })
    expect(String(made)).toBe(text.join('\n'))
  })

  it('names single, scalars without labels, and freed arrays', () => {
    expect(String(dlarray(new Float32Array(768), [768, 1], 'CT')).split('\n')[0]).toBe('  768(C) × 1(T) single dlarray')
    expect(String(dlarray(104, { type: 'double' }))).toBe('  1×1 dlarray\n\n   104')
    const X = dlarray([[1, 2]], 'CB')
    X.dispose()
    expect(String(X)).toBe('1(C) × 2(B) dlarray (freed)')
  })

  it('shortens long arrays quickly', () => {
    const X = randn([1000, 1000])
    expect(String(X).split('\n').length).toBeLessThan(60)
  })
})

describe('errors', () => {
  const X = dlarray([[1, 2]], 'CB')
  const cases: Record<string, () => unknown> = {
    'ragged rows': () => dlarray([[1, 2], [3]]),
    'a number among lists': () => dlarray([[1, 2], 3]),
    'a list among numbers': () => dlarray([1, [2]]),
    'text inside': () => dlarray([[1, 'two' as never]]),
    text: () => dlarray('1 2' as never),
    null: () => dlarray(null as never),
    object: () => dlarray({ a: 1 } as never),
    bigint: () => dlarray(new BigInt64Array(2) as never, [2, 1]),
    'a size that does not fit': () => dlarray(new Float32Array(5), [2, 3]),
    'a negative size': () => dlarray(new Float32Array(6), [-2, -3]),
    'a size for a DlArray': () => dlarray(X as never, [2, 1]),
    'too few labels': () => dlarray(new Float32Array(24), [2, 3, 4], 'CB' as string),
    'one label for a matrix': () => dlarray([[1, 2], [3, 4]], 'C' as string), // biome-ignore format: short
    'an unknown label': () => dlarray([1], 'SX' as string),
    'small letters': () => dlarray([1], 'cb' as string),
    'a label twice': () => dlarray([1], 'CBC' as string),
    'a number as format': () => dlarray([1], 3 as never),
    'an unknown option': () => dlarray([1], { typ: 'double' } as never),
    'an unknown class': () => dlarray([1], { type: 'int8' as never }),
    'an order for nested lists': () => dlarray([[1, 2]], 'CB', { order: 'row' }),
    'an order for a DlArray': () => dlarray(X, 'CB', { order: 'column' }),
    'an unknown label in finddim': () => finddim(X, 'X'),
    'more than one element': () => X.item(),
    'cast to an integer class': () => cast(X, 'uint8' as never),
  }
  it.each(Object.keys(cases))('%s', (name) => {
    expect(message(cases[name]!)).toMatchSnapshot()
  })
})

describe('size, format and class', () => {
  it('cannot be changed: they say how much memory belongs to the array', () => {
    const X = dlarray([1, 2], 'C')
    expect(() => {
      ;(X.size as number[])[0] = 1024
    }).toThrow(TypeError)
    for (const [name, value] of Object.entries({ size: [1024, 1], dims: 'CB', underlyingType: 'double' }))
      expect(() => Object.assign(X, { [name]: value }), name).toThrow(TypeError)
    expect([X.size, X.dims, X.underlyingType]).toEqual([[2, 1], 'CU', 'single'])
  })

  it('leave the size that was given to its owner', () => {
    const size = [3, 1]
    const X = rand(size)
    const Y = dlarray([1, 2, 3], size)
    size[0] = 1024
    expect([X.size, Y.size]).toEqual([
      [3, 1],
      [3, 1],
    ])
  })
})

describe('a misplaced argument', () => {
  const nothing = null as never

  it('is named as what it is', () => {
    expect(message(() => dlarray([1, 2], nothing))).toContain('but got null where the format belongs')
    expect(message(() => dlarray([1], 'C', nothing))).toContain('but got null where the options belong')
    expect(message(() => dlarray([1], 'C', 'S' as never))).toContain('but got a string where the options belong')
    expect(message(() => dlarray([1], 5 as never))).toContain('but got a number where the format belongs')
  })
})
