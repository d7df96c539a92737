import { expect, test } from 'vitest'
import { formatDuration, VerboseTable } from '../../src/training/verbose-table.js'

test('the table without validation data', () => {
  const table = new VerboseTable({ validation: false, metrics: [] })
  const text = [
    table.header(),
    table.row({ iteration: 1, epoch: 1, timeElapsed: 0.7, learnRate: 0.05, trainingLoss: 0.26302 }),
    table.row({ iteration: 50, epoch: 50, timeElapsed: 7, learnRate: 0.05 * 0.9, trainingLoss: 0.127811 }),
    table.row({ iteration: 100, epoch: 100, timeElapsed: 11.99, learnRate: 0.05 * 0.9 ** 3, trainingLoss: 0.122618 }),
    table.row({ iteration: 500, epoch: 500, timeElapsed: 39, learnRate: 0.05 * 0.9 ** 16, trainingLoss: 2765.5 }),
    table.footer('Max epochs completed'),
  ]
  expect(text.join('\n')).toBe(
    [
      '    Iteration    Epoch    TimeElapsed    LearnRate    TrainingLoss',
      '    _________    _____    ___________    _________    ____________',
      '            1        1       00:00:00         0.05         0.26302',
      '           50       50       00:00:07        0.045         0.12781',
      '          100      100       00:00:11      0.03645         0.12262',
      '          500      500       00:00:39    0.0092651          2765.5',
      'Training stopped: Max epochs completed',
    ].join('\n'),
  )
})

test('blank cells where there is no value, to the end of the line', () => {
  const table = new VerboseTable({ validation: true, metrics: [] })
  expect(table.header()).toBe(
    '    Iteration    Epoch    TimeElapsed    LearnRate    TrainingLoss    ValidationLoss\n' +
      '    _________    _____    ___________    _________    ____________    ______________',
  )
  expect(table.row({ iteration: 0, epoch: 0, timeElapsed: 8, learnRate: 1e-4, validationLoss: 4.3566 })).toBe(
    '            0        0       00:00:08       0.0001                            4.3566',
  )
  expect(table.row({ iteration: 1, epoch: 1, timeElapsed: 8, learnRate: 1e-4, trainingLoss: 6.4292 })).toBe(
    '            1        1       00:00:08       0.0001          6.4292                  ',
  )
})

test('a column for each metric, training before validation', () => {
  const table = new VerboseTable({ validation: true, metrics: ['accuracy', 'rmse', 'myScore'] })
  const [headings = '', rule = ''] = table.header().split('\n')
  expect(headings.trim().split(/ +/).slice(4)).toEqual([
    'TrainingLoss',
    'ValidationLoss',
    'TrainingAccuracy',
    'ValidationAccuracy',
    'TrainingRMSE',
    'ValidationRMSE',
    'TrainingMyScore',
    'ValidationMyScore',
  ])
  expect(rule).toBe(headings.replaceAll(/\w/g, '_'))
  const row = table.row({
    iteration: 469,
    epoch: 1,
    timeElapsed: 3725,
    learnRate: 0.01,
    trainingLoss: 0.05,
    validationLoss: 0.06,
    trainingMetrics: { accuracy: 98.4375, myScore: 1 },
    validationMetrics: { accuracy: 98.3, rmse: 0.25 },
  })
  expect(row.length).toBe(headings.length)
  expect(row.trim().split(/ +/)).toEqual([
    '469',
    '1',
    '01:02:05',
    '0.01',
    '0.05',
    '0.06',
    '98.438',
    '98.3',
    '0.25',
    '1',
  ])
  expect(row.endsWith(' '.repeat('    ValidationMyScore'.length))).toBe(true)
})

test('a number wider than its heading takes the blanks before it and keeps one', () => {
  const table = new VerboseTable({ validation: false, metrics: [] })
  const row = table.row({
    iteration: 12345678901,
    epoch: 1234567,
    timeElapsed: 0,
    learnRate: 0.000364423,
    trainingLoss: 1,
  })
  expect(row).toBe('  12345678901  1234567       00:00:00   0.00036442               1')
  expect(table.row({ iteration: 1e15, epoch: 1, timeElapsed: 0, learnRate: 1, trainingLoss: 1 })).toMatch(
    /^ 1000000000000000 /,
  )
})

test('durations', () => {
  expect([0, 59.999, 60, 3599, 3600, 360000].map(formatDuration)).toEqual([
    '00:00:00',
    '00:00:59',
    '00:01:00',
    '00:59:59',
    '01:00:00',
    '100:00:00',
  ])
})
