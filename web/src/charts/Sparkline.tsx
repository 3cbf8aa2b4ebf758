// A small line without axes, for the trend beside a figure.

interface SparklineProps {
  /** Values at equal distances; null is a gap. */
  values: ArrayLike<number | null>;
  /** Name for screen readers; without one it is decoration. */
  label?: string;
  width?: number;
  height?: number;
  /** CSS class of the colour: a tone, or `series-N`. */
  tone?: string;
}

export function Sparkline({ values, label, width = 120, height = 28, tone = 'series-1' }: SparklineProps) {
  const { line, area } = paths(values, width, height);
  return (
    <svg
      class={`sparkline ${tone}`}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      <path class="fill" d={area} />
      <path class="line" d={line} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

/** Paths of the line and of the area below it, in boxes of `width` by `height`. */
export function paths(values: ArrayLike<number | null>, width: number, height: number): { line: string; area: string } {
  const known = Array.from(values).filter((value): value is number => value !== null && Number.isFinite(value));
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const x = (index: number) => (index / Math.max(1, values.length - 1)) * width;
  const y = (value: number) => height - 1.5 - ((value - low) / span) * (height - 3);
  const at = (index: number) => `${x(index).toFixed(1)},${y(values[index] as number).toFixed(1)}`;
  let [line, area] = ['', ''];
  for (const [first, last] of runs(values)) {
    const points = Array.from({ length: last - first + 1 }, (_, i) => at(first + i)).join('L');
    line += `M${points}${first === last ? 'h0.1' : ''}`;
    area += `M${x(first).toFixed(1)},${height}L${points}L${x(last).toFixed(1)},${height}Z`;
  }
  return { line, area };
}

/** Returns the first and the last index of each part without a gap. */
function runs(values: ArrayLike<number | null>): [number, number][] {
  const found: [number, number][] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    const last = found[found.length - 1];
    if (last && last[1] === i - 1) last[1] = i;
    else found.push([i, i]);
  }
  return found;
}
