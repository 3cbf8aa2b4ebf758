// A rule's expression in parts: what it compares, and with which threshold.
import type { Labels } from '../api/types';

export interface Comparison {
  /** PromQL of the value. */
  value: string;
  operator: '>' | '<' | '>=' | '<=' | '==' | '!=';
  threshold: number;
}

/** Splits `expr > 90` at its last comparison outside of parentheses and quotes; null if it is none with a number. */
export function comparisonOf(query: string): Comparison | null {
  const found = query.match(/^([\s\S]+?)\s*(>=|<=|==|!=|>|<)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$/);
  if (!found) return null;
  const [, value = '', operator, number] = found;
  if (!isBalanced(value) || /\b(and|or|unless)\b/.test(value)) return null;
  return { value: value.replace(/\s+bool$/, ''), operator: operator as Comparison['operator'], threshold: Number(number) };
}

/** Returns the thresholds of a condition with several levels: `disk_percent > 85 (warning), 94 (critical)`. */
export function levelsOf(condition: string): { threshold: number; severity: string }[] {
  const levels = condition.match(/(-?[\d.]+(?:e[-+]?\d+)? \(\w+\)(?:, )?)+$/)?.[0] ?? '';
  return [...levels.matchAll(/(\S+) \((\w+)\)/g)].map(([, threshold, severity = '']) => ({ threshold: Number(threshold), severity }));
}

/** Returns the metric and the target of a condition without PromQL: `cpu_percent is anomalous`, `x reaches 95 within 4h`. */
export function subjectOf(condition: string): { metric: string; target: number | null } | null {
  const found = condition.match(/^(?:\w+ of )?(\w+)(?:\{[^}]*\})?(?: over \w+)? (?:is anomalous|reaches (\S+) within )/);
  return found ? { metric: found[1] ?? '', target: found[2] === undefined ? null : Number(found[2]) } : null;
}

/** Returns true if a series has all labels that it shares with an alert equal: it is the alert's series. */
export function isSeriesOf(series: Labels, alert: Labels): boolean {
  return Object.entries(series).every(([name, value]) => name === '__name__' || alert[name] === undefined || alert[name] === value);
}

/** Returns the name of the first metric of an expression, for its unit; empty if none is found. */
export function metricOf(query: string): string {
  const bare = query.replace(/"(\\.|[^"])*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ');
  return bare.match(/[a-zA-Z_:][\w:]*_[\w:]*(?![\w:]*\s*\()/)?.[0] ?? '';
}

function isBalanced(text: string): boolean {
  const bare = text.replace(/"(\\.|[^"])*"|'(\\.|[^'])*'/g, '');
  return bare.split('(').length === bare.split(')').length;
}
