import type { TrainingLoss } from './losses.js'
import type { TrainingOptions } from './training-options.js'

/**
 * The options that say what each iteration computes, apart from the learn rate: with others a resumed run would be neither the
 * one nor the other. Those that may change are the learn rate and its schedule, `maxEpochs`, and what only watches: validation,
 * output, checkpoints.
 */
const fixed = [
  'momentum',
  'gradientDecayFactor',
  'squaredGradientDecayFactor',
  'epsilon',
  'miniBatchSize',
  'shuffle',
  'l2Regularization',
  'gradientThreshold',
  'gradientThresholdMethod',
  'sequenceLength',
  'sequencePaddingValue',
  'sequencePaddingDirection',
  'inputDataFormats',
  'targetDataFormats',
  'resetInputNormalization',
  'objectiveMetricName',
]

/** The loss and the options that a resumed run must have like the one before, as text by name. */
export function fixedOptions(options: TrainingOptions, { name, isNamed }: TrainingLoss): Record<string, string> {
  const values = new Map<string, unknown>(Object.entries(options))
  const entries = fixed.filter((option) => values.has(option)).map((option) => [option, text(values.get(option))])
  // A function's name says little, and tools that make code smaller change it.
  return { loss: isNamed ? `'${name}'` : 'a function', ...Object.fromEntries(entries) }
}

function text(value: unknown): string {
  return [value]
    .flat()
    .map((entry) => (typeof entry === 'string' ? `'${entry}'` : String(entry)))
    .join(', ')
}
