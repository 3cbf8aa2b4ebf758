// Data that charts draw. Times are Unix seconds, ascending.

export type Severity = 'info' | 'warning' | 'critical' | 'emergency';

export interface Series {
  /** Text of the legend. Series with one name have one colour on a page. */
  name: string;
  times: ArrayLike<number>;
  /** One finite value per time; null is a gap. */
  values: ArrayLike<number | null>;
  /** Dotted, for predicted values. */
  predicted?: boolean;
}

/** Range of values over time: expected values, or the prediction interval of a forecast. */
export interface Band {
  name: string;
  times: ArrayLike<number>;
  low: ArrayLike<number | null>;
  high: ArrayLike<number | null>;
}

/** Threshold of a rule. */
export interface Threshold {
  value: number;
  severity: Severity;
  rule: string;
  /** True if values above it are bad. */
  above: boolean;
}

/** Time of an alert, as a tick on the time axis. */
export interface Mark {
  time: number;
  until?: number;
  severity: Severity;
  label: string;
  href?: string;
}

export interface TimeRange {
  from: number;
  to: number;
}
