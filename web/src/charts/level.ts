// The most severe threshold that a value is beyond.

import type { Severity, Threshold } from './model';

const ORDER: Severity[] = ['info', 'warning', 'critical', 'emergency'];

/** Returns the severity of `value` by the thresholds; `ok` within all of them, `unknown` without a value. */
export function levelOf(value: number | null | undefined, thresholds: Threshold[] = []): Severity | 'ok' | 'unknown' {
  if (value === null || value === undefined || Number.isNaN(value)) return 'unknown';
  const beyond = thresholds.filter((one) => (one.above ? value > one.value : value < one.value));
  return beyond.map((one) => one.severity).sort((a, b) => ORDER.indexOf(b) - ORDER.indexOf(a))[0] ?? 'ok';
}
