import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { displayArray, displayObject, displaySize, displayTable } from '../../src/array/display.js'
import { formatShort, formatShortG, shortLayout } from '../../src/array/number-display.js'

/** The values of an unformatted double array below the header, as MATLAB's `disp` shows a plain matrix. */
function page(rows: readonly (readonly number[])[]): string {
  const columns = rows[0]?.length ?? 0
  const values = Array.from({ length: columns }, (_, column) => rows.map((row) => row[column]!)).flat()
  const text = displayArray({ size: [rows.length, columns], dims: '', underlyingType: 'double', values })
  return text.split('\n').slice(2).join('\n')
}

/** Lines joined; a template literal would be re-indented and lose blanks at the ends. */
const lines = (...text: string[]) => text.join('\n')

describe('format short, as printed by MATLAB', () => {
  test.each([
    { rows: [[1, 2, 3]], text: '     1     2     3' },
    { rows: [[1, -10, 10]], text: '     1   -10    10' },
    { rows: [[1, 10, 100]], text: '     1    10   100' },
    { rows: [[1, 10, 1000]], text: '           1          10        1000' },
    { rows: [[1, 10, 1e7]], text: '           1          10    10000000' },
    { rows: [[-1, -1000, -1e8]], text: '          -1       -1000  -100000000' },
    { rows: [[1, 1000, 1e9]], text: '   1.0e+09 *\n\n    0.0000    0.0000    1.0000' },
    { rows: [[5]], text: '     5' },
    { rows: [[1000]], text: '        1000' },
    { rows: [[1e9]], text: '   1.0000e+09' },
    { rows: [[0]], text: '     0' },
    { rows: [[-0]], text: '     0' },
    { rows: [[Number.NaN, 1, Number.POSITIVE_INFINITY]], text: '   NaN     1   Inf' },
    { rows: [[Number.NaN]], text: '   NaN' },
  ])('whole numbers: $rows', ({ rows, text }) => {
    expect(page(rows)).toBe(text)
  })

  test.each([
    { value: 0.3697, text: '    0.3697' },
    { value: 12.3456789, text: '   12.3457' },
    { value: -578.9036, text: ' -578.9036' },
    { value: 1234.56789, text: '   1.2346e+03' },
    { value: 5219, text: '        5219' },
    { value: 5219.02, text: '   5.2190e+03' },
    { value: -1.6667e8 + 0.5, text: '  -1.6667e+08' },
    { value: 0.00125, text: '    0.0013' },
    { value: 0.001, text: '   1.0000e-03' },
    { value: 8e-4, text: '   8.0000e-04' },
    { value: 1 / 32, text: '    0.0313' },
  ])('one value has an exponent instead of a factor: $value', ({ value, text }) => {
    expect(page([[value]])).toBe(text)
  })

  test('four decimals, zeros plain, NaN and Inf at the right', () => {
    expect(
      page([
        [0.5377, 0.8622],
        [-2.2588, 0],
        [Number.NaN, Number.NEGATIVE_INFINITY],
      ]),
    ).toBe(lines('    0.5377    0.8622', '   -2.2588         0', '       NaN      -Inf'))
    expect(page([[157.6053, 1.5836, 0.6552]])).toBe('  157.6053    1.5836    0.6552')
    expect(page([[1, -0.00001, 0.5]])).toBe('    1.0000   -0.0000    0.5000')
  })

  test('the factor brings the largest value to 1 ... 10 from above and to 0.1 ... 1 from below', () => {
    expect(page([[0.4], [6516.6]])).toBe(lines('   1.0e+03 *', '', '    0.0004', '    6.5166'))
    expect(page([[1211300.5, 0, 1935600]])).toBe(lines('   1.0e+06 *', '', '    1.2113         0    1.9356'))
    expect(page([[-100.02, -228, 2967, 1500.6]])).toBe(
      lines('   1.0e+03 *', '', '   -0.1000   -0.2280    2.9670    1.5006'),
    )
    expect(
      page([
        [0.0002041, 0.0001589],
        [0.0001589, 0.0002025],
      ]),
    ).toBe(lines('   1.0e-03 *', '', '    0.2041    0.1589', '    0.1589    0.2025'))
    expect(page([[-0.0005136], [-0.0000326], [0.0004701]])).toBe(
      lines('   1.0e-03 *', '', '   -0.5136', '   -0.0326', '    0.4701'),
    )
    expect(page([[0.001, 0.001]])).toBe(lines('   1.0e-03 *', '', '    1.0000    1.0000'))
    expect(page([[0.0028, 0.0012]])).toBe('    0.0028    0.0012')
    expect(page([[2 ** -52, 0]])).toBe(lines('   1.0e-15 *', '', '    0.2220         0'))
  })

  test('columns that do not fit 80 characters go into blocks', () => {
    expect(page([[157.6053, 1.5836, 1.7889, 315.0541, 0.6552, 2.3107, 3.2413, 1.2383, 2.2902, 0.8961]])).toBe(
      lines(
        '  Columns 1 through 8',
        '',
        '  157.6053    1.5836    1.7889  315.0541    0.6552    2.3107    3.2413    1.2383',
        '',
        '  Columns 9 through 10',
        '',
        '    2.2902    0.8961',
      ),
    )
    const counted = page([Array.from({ length: 14 }, (_, index) => index + 1)])
    expect(counted).toBe(
      lines(
        '  Columns 1 through 13',
        '',
        '     1     2     3     4     5     6     7     8     9    10    11    12    13',
        '',
        '  Column 14',
        '',
        '    14',
      ),
    )
    expect(page([Array.from({ length: 9 }, (_, index) => 1000.5 + index)])).toMatch(
      /^ {3}1\.0e\+03 \*\n\n {2}Columns 1 through 8\n\n {4}1\.0005/,
    )
  })

  test('every cell of a layout has its width, whatever the values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.double(), fc.integer(), fc.float()), { minLength: 2, maxLength: 20 }),
        (values) => {
          const layout = shortLayout(values)
          for (const value of values) {
            const cell = layout.format(value)
            expect(cell.length).toBe(layout.width)
            expect(cell.startsWith(' ')).toBe(true)
          }
        },
      ),
    )
  })

  test('a cell read back, times the factor, is the value to half a unit of the last printed place', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e12, max: 1e12, noNaN: true }), { minLength: 2, maxLength: 8 }),
        (values) => {
          const layout = shortLayout(values)
          const factor = layout.factorLine === undefined ? 1 : Number(layout.factorLine.replace('*', ''))
          for (const value of values) {
            expect(Math.abs(Number(layout.format(value)) - value / factor)).toBeLessThanOrEqual(0.5001e-4)
          }
        },
      ),
    )
  })
})

describe('displayArray', () => {
  const normal = [0.5377, 1.8339, -2.2588, 0.8622, 0.3188, -1.3077, -0.4336, 0.3426, 3.5784, 2.7694, -1.3499, 3.0349]

  test('a formatted array with pages, and the same without its format', () => {
    const values = lines(
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
    )
    const array = { size: [3, 2, 1, 2], underlyingType: 'double', values: normal } as const
    expect(displayArray({ ...array, name: 'dlX', dims: 'SSTU' })).toBe(
      lines('dlX =', '  3(S) × 2(S) × 1(T) × 2(U) dlarray', values),
    )
    expect(displayArray({ ...array, dims: '' })).toBe(lines('  3×2×1×2 dlarray', values))
  })

  test('a logical array: rand(4,3) > 0.5', () => {
    const values = [1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1]
    expect(displayArray({ size: [4, 3], dims: 'SS', underlyingType: 'logical', values })).toBe(
      lines('  4(S) × 3(S) logical dlarray', '', '   1   1   1', '   1   0   1', '   0   0   0', '   1   1   1'),
    )
  })

  test('a single scalar, a vector of one dimension and an empty array', () => {
    expect(displayArray({ size: [1, 1], dims: '', underlyingType: 'single', values: [Math.fround(0.1)] })).toBe(
      lines('  1×1 single dlarray', '', '    0.1000'),
    )
    expect(displayArray({ size: [2], dims: 'C', underlyingType: 'double', values: [1, 2] })).toBe(
      lines('  2(C) dlarray', '', '     1', '     2'),
    )
    expect(displayArray({ size: [0, 3], dims: 'CB', underlyingType: 'single', values: [] })).toBe(
      lines('  0(C) × 3(B) single dlarray', '', '     []'),
    )
  })

  test('each page has its own layout and factor', () => {
    const values = [3560.3, 0, 0, 7733.9, 1, 2, 3, 4]
    expect(displayArray({ size: [2, 2, 2], dims: '', underlyingType: 'double', values })).toBe(
      lines(
        '  2×2×2 dlarray',
        '',
        '(:,:,1) =',
        '',
        '   1.0e+03 *',
        '',
        '    3.5603         0',
        '         0    7.7339',
        '',
        '',
        '(:,:,2) =',
        '',
        '     1     3',
        '     2     4',
      ),
    )
  })

  test('a long column keeps its first and last rows and says how many are left out', () => {
    const values = Array.from({ length: 1001 }, (_, index) => index)
    const text = displayArray({ size: [1001, 1], dims: '', underlyingType: 'double', values })
    expect(text.split('\n')).toEqual([
      '  1001×1 dlarray',
      '',
      ...Array.from({ length: 10 }, (_, index) => String(index).padStart(12)),
      '  ... 981 rows left out ...',
      ...Array.from({ length: 10 }, (_, index) => String(991 + index).padStart(12)),
    ])
    expect(displayArray({ size: [1001, 1], dims: '', underlyingType: 'double', values, limit: 1001 })).not.toContain(
      '...',
    )
  })

  test('a wide matrix and many pages are abbreviated too', () => {
    const wide = displayArray({ size: [1, 2000], dims: '', underlyingType: 'double', values: new Float64Array(2000) })
    expect(wide.split('\n').slice(2)).toEqual([
      '  Columns 1 through 8',
      '',
      '     0     0     0     0     0     0     0     0',
      '',
      '  ... 1984 columns left out ...',
      '',
      '  Columns 1993 through 2000',
      '',
      '     0     0     0     0     0     0     0     0',
    ])
    const pages = displayArray({
      size: [1, 1, 3, 500],
      dims: 'SSCB',
      underlyingType: 'single',
      values: new Float32Array(1500),
    })
    expect(pages.match(/^\(:,:.*$/gm)).toEqual([
      '(:,:,1,1) =',
      '(:,:,2,1) =',
      '(:,:,3,1) =',
      '(:,:,1,2) =',
      '(:,:,3,499) =',
      '(:,:,1,500) =',
      '(:,:,2,500) =',
      '(:,:,3,500) =',
    ])
    expect(pages).toContain('     0\n\n\n  ... 1492 pages left out ...\n\n\n(:,:,3,499) =')
  })

  test('reads only what it shows, and stays short for any size', () => {
    const size = [224, 224, 3, 4096]
    let reads = 0
    const values = new Proxy({ length: size.reduce((product, extent) => product * extent) } as ArrayLike<number>, {
      get: (target, key) => {
        if (key === 'length') return target.length
        reads++
        return Number(key)
      },
    })
    const text = displayArray({ size, dims: 'SSCB', underlyingType: 'single', values })
    expect(reads).toBeLessThanOrEqual(1000)
    expect(text.length).toBeLessThan(20_000)
    expect(text).toContain('... 204 rows left out ...')
    expect(text).toContain('... 208 columns left out ...')
  })

  test('any size is printed with all its header numbers and no line over 80 characters', () => {
    const extents = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(extents, fc.integer({ min: 0, max: 2000 }), (size, limit) => {
        const length = size.reduce((product, extent) => product * extent, 1)
        const values = Array.from({ length: Math.min(length, 5000) }, (_, index) => Math.sin(index) * 10 ** (index % 7))
        const repeated = new Proxy(values, { get: (target, key) => target[Number(key) % target.length] })
        const text = displayArray({ size, dims: '', underlyingType: 'double', values: repeated, limit })
        expect(text).toContain(displaySize(size, ''))
        for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
        expect(text).not.toMatch(/undefined|\n$/)
      }),
      { numRuns: 60 },
    )
  })
})

describe('numbers inside other text', () => {
  test.each([
    [1e-5, '1.0000e-05'],
    [1e-4, '1.0000e-04'],
    [0.9, '0.9000'],
    [0.01, '0.0100'],
    [0.001, '1.0000e-03'],
    [30, '30'],
    [128, '128'],
    [100000, '100000'],
    [-2.5, '-2.5000'],
    [1e10, '1.0000e+10'],
    [12345.6, '1.2346e+04'],
    [Number.POSITIVE_INFINITY, 'Inf'],
    [Number.NaN, 'NaN'],
    [-0, '0'],
    [true, '1'],
    [false, '0'],
    ['auto', "'auto'"],
    ['', "''"],
    [[2, 2], '[2 2]'],
    [[0, 0.447, 0.741], '[0 0.4470 0.7410]'],
    [
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
      '[3×2 double]',
    ],
    [new Float32Array(20), '[1×20 single]'],
    [['in'], "{'in'}"],
    [['in1', 'in2'], "{'in1'  'in2'}"],
    [[], '[]'],
    [null, '[]'],
    [undefined, '[]'],
    [function he() {}, '@he'],
  ] as const)('formatShort(%s) is %s', (value, text) => {
    expect(formatShort(value)).toBe(text)
  })

  test.each([
    [0.045, '0.045'],
    [0.0092651, '0.0092651'],
    [0.05 * 0.9 ** 16, '0.0092651'],
    [2765.5, '2765.5'],
    [0.00058742, '0.00058742'],
    [0.0605, '0.0605'],
    [6.4292, '6.4292'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.00001234567, '1.2346e-05'],
    [12345, '12345'],
    [99999.6, '1e+05'],
    [123456, '1.2346e+05'],
    [0, '0'],
    [100, '100'],
    [98.75, '98.75'],
    [-0.000123, '-0.000123'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ])('formatShortG(%d) is %s', (value, text) => {
    expect(formatShortG(value)).toBe(text)
  })

  test('formatShortG keeps five significant digits of any number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e200, max: 1e200 }), (value) => {
        fc.pre(Math.abs(value) > 1e-200)
        const text = formatShortG(value)
        expect(Number(text)).toBe(Number(value.toPrecision(5)))
        expect(text).not.toMatch(/\.$|\.\d*0(e|$)/)
      }),
    )
  })
})

describe('objects and tables', () => {
  test('the instance normalization layer', () => {
    const text = displayObject({
      name: 'layer',
      className: 'InstanceNormalizationLayer',
      groups: [
        {
          rows: [
            ['Name', formatShort('instancenorm')],
            ['NumChannels', formatShort('auto')],
          ],
        },
        { title: 'Hyperparameters', rows: [['Epsilon', formatShort(1e-5)]] },
        {
          title: 'Learnable Parameters',
          rows: [
            ['Offset', formatShort(undefined)],
            ['Scale', formatShort(undefined)],
          ],
        },
      ],
      footer: 'Use properties method to see a list of all properties.',
    })
    expect(text).toBe(
      lines(
        'layer =',
        '  InstanceNormalizationLayer with properties:',
        '',
        "           Name: 'instancenorm'",
        "    NumChannels: 'auto'",
        '',
        '   Hyperparameters',
        '        Epsilon: 1.0000e-05',
        '',
        '   Learnable Parameters',
        '         Offset: []',
        '          Scale: []',
        '',
        '  Use properties method to see a list of all properties.',
      ),
    )
  })

  test('a network, and a value of several lines', () => {
    expect(
      displayObject({
        className: 'dlnetwork',
        groups: [
          {
            rows: [
              ['Layers', '[10×1 nnet.cnn.layer.Layer]'],
              ['Connections', '[9×2 table]'],
              ['Initialized', formatShort(true)],
              ['Note', 'first\nsecond'],
            ],
          },
        ],
        footer: 'View summary with summary.',
      }),
    ).toBe(
      lines(
        '  dlnetwork with properties:',
        '',
        '         Layers: [10×1 nnet.cnn.layer.Layer]',
        '    Connections: [9×2 table]',
        '    Initialized: 1',
        '           Note: first',
        '                 second',
        '',
        '  View summary with summary.',
      ),
    )
  })

  test('the table of learnables', () => {
    const rows = [
      ['"conv"', '"Weights"', '{0x0 double}'],
      ['"conv"', '"Bias"', '{0x0 double}'],
      ['"batchnorm"', '"Offset"', '{0x0 double}'],
      ['"batchnorm"', '"Scale"', '{0x0 double}'],
      ['"fc"', '"Weights"', '{0x0 double}'],
      ['"fc"', '"Bias"', '{0x0 double}'],
    ]
    expect(displayTable(['Layer', 'Parameter', 'Value'], rows, { name: 'ans' })).toBe(
      lines(
        'ans=6×3 table',
        '       Layer       Parameter       Value',
        '    ___________    _________    ____________',
        '',
        '    "conv"         "Weights"    {0x0 double}',
        '    "conv"         "Bias"       {0x0 double}',
        '    "batchnorm"    "Offset"     {0x0 double}',
        '    "batchnorm"    "Scale"      {0x0 double}',
        '    "fc"           "Weights"    {0x0 double}',
        '    "fc"           "Bias"       {0x0 double}',
      ),
    )
  })

  test('numbers at the right, and a table without rows', () => {
    expect(
      displayTable(
        ['Label', { name: 'Count', align: 'right' }],
        [
          ['cat', '5'],
          ['elephant', '1264'],
        ],
      ),
    ).toBe(
      lines(
        '  2×2 table',
        '',
        '     Label      Count',
        '    ________    _____',
        '',
        '    cat             5',
        '    elephant     1264',
      ),
    )
    expect(displayTable(['Layer', 'Parameter', 'Value'], [])).toBe(
      lines('  0×3 empty table', '', '    Layer    Parameter    Value', '    _____    _________    _____'),
    )
  })
})
