// Text of numbers, durations and times. Missing values are a dash, never 0.

export const MISSING = '–';

/** Returns a number with its unit: bytes as IEC, seconds as s/ms/µs, ratios and percentages as %, else SI above 10,000. */
export function formatValue(value: number | null | undefined, unit = ''): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (!Number.isFinite(value)) return value > 0 ? '+∞' : '−∞';
  switch (unit) {
    case 'bytes':
      return formatBytes(value);
    case 'bytes/s':
      return `${formatBytes(value)}/s`;
    case 'seconds':
      return formatSeconds(value);
    case 'milliseconds':
      return formatSeconds(value / 1000);
    case 'timestamp':
      return value > 0 ? formatTime(value * 1000) : MISSING;
    case 'ratio':
      return `${significant(value * 100)} %`;
    case 'percent':
      return `${significant(value)} %`;
    case '':
      return short(value);
    default:
      return `${short(value)} ${unit}`;
  }
}

/** Guesses the unit of a metric by the ending of its name, as Prometheus's naming has it. */
export function unitOf(metric: string): string {
  if (/_bytes_(total|per_second)$/.test(metric)) return metric.endsWith('_total') ? 'bytes' : 'bytes/s';
  if (/_timestamp(_seconds)?$/.test(metric)) return 'timestamp';
  if (/_bytes$/.test(metric)) return 'bytes';
  if (/_seconds(_total|_sum)?$/.test(metric)) return 'seconds';
  if (/_(percent|percentage)$/.test(metric)) return 'percent';
  if (/_ratio$/.test(metric)) return 'ratio';
  return '';
}

export function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = Math.abs(value);
  let index = 0;
  while (size >= 1024 && index < units.length - 1) {
    size /= 1024;
    index += 1;
  }
  return `${significant(Math.sign(value) * size)} ${units[index]}`;
}

export function formatSeconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 1e-3) return `${significant(value * 1e6)} µs`;
  if (size < 1) return `${significant(value * 1e3)} ms`;
  if (size < 120) return `${significant(value)} s`;
  return formatDuration(value);
}

/** Returns two units at most: `3 h 10 min`, `45 s`, `12 d`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** Returns the local time; the day too unless it is the day of `reference`, both in milliseconds. */
export function formatTime(at: number | string, reference = Date.now()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return MISSING;
  const time = date.toTimeString().slice(0, 8);
  return date.toDateString() === new Date(reference).toDateString() ? time : `${formatDay(date)} ${time.slice(0, 5)}`;
}

export function formatDay(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Returns labels as a selector: `{device="sda"}`; empty without any. */
export function formatLabels(labels: Record<string, string>, without: string[] = ['__name__']): string {
  const pairs = Object.entries(labels).filter(([name]) => !without.includes(name));
  return pairs.length === 0 ? '' : `{${pairs.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

/** Returns the value of a sample; NaN for `NaN`, infinities for `+Inf` and `-Inf`. */
export function sampleValue(text: string | number): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return significant(value);
  const units = ['', 'k', 'M', 'G', 'T', 'P'];
  const index = Math.min(units.length - 1, Math.floor(Math.log10(size) / 3));
  return `${significant(value / 1000 ** index)} ${units[index]}`.trim();
}

/** Returns at most four significant digits, without a floating-point tail. */
function significant(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return String(Math.round(value));
  const digits = size >= 100 ? 1 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = size < 1e-4 ? value.toExponential(2) : size >= 1 ? value.toFixed(digits) : value.toPrecision(digits);
  return text.includes('e') ? text : text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

/** Says which of some parts fail, or `good` if none does. */
export function failures(failing: string[], good: string): string {
  return failing.length === 0 ? good : `${failing.join(', ')} ${failing.length === 1 ? 'fails' : 'fail'}`;
}
