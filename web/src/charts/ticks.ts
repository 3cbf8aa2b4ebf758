// Texts of an axis: one unit and one number of decimals for all of its ticks.

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'];
const TIMES: [number, string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [0, 'µs'],
];

interface Scale {
  factor: number;
  suffix: string;
}

export function formatTicks(ticks: number[], unit = ''): string[] {
  const largest = ticks.reduce((most, tick) => Math.max(most, Math.abs(tick)), 0);
  const { factor, suffix } = scaleOf(largest, unit);
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) * factor : 1;
  const decimals = decimalsOf(step);
  return ticks.map((tick) => `${tick === 0 ? '0' : (tick * factor).toFixed(decimals).replace('-', '−')}${suffix && ` ${suffix}`}`);
}

/** Returns the number of decimals that tell multiples of `step` apart. */
function decimalsOf(step: number): number {
  for (let decimals = 0; decimals < 8; decimals++) {
    const shifted = step * 10 ** decimals;
    if (Math.abs(shifted - Math.round(shifted)) < 1e-6 * shifted) return decimals;
  }
  return 2;
}

function scaleOf(size: number, unit: string): Scale {
  switch (unit) {
    case 'bytes':
    case 'bytes/s': {
      const power = powerOf(size, 1024, BINARY.length);
      return { factor: 1024 ** -power, suffix: `${BINARY[power]}${unit.slice(5)}` };
    }
    case 'seconds':
      return timeScale(size);
    case 'milliseconds': {
      const { factor, suffix } = timeScale(size / 1000);
      return { factor: factor / 1000, suffix };
    }
    case 'ratio':
      return { factor: 100, suffix: '%' };
    case 'percent':
      return { factor: 1, suffix: '%' };
    default: {
      const power = size < 10_000 ? 0 : powerOf(size, 1000, DECIMAL.length);
      return { factor: 1000 ** -power, suffix: [DECIMAL[power], unit].filter(Boolean).join(' ') };
    }
  }
}

function powerOf(size: number, base: number, count: number): number {
  return size < base ? 0 : Math.min(count - 1, Math.floor(Math.log(size) / Math.log(base) + 1e-9));
}

function timeScale(seconds: number): Scale {
  const [length, suffix] = TIMES.find(([length]) => seconds >= length) ?? TIMES[3]!;
  if (seconds === 0) return { factor: 1, suffix: 's' };
  return { factor: length === 0 ? 1e6 : 1 / length, suffix };
}
