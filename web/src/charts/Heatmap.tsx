// Observations of a histogram over time: columns of times, rows of buckets, darker for more.

import { useEffect, useRef } from 'preact/hooks';
import { schedule, watch } from './draw';
import { formatTime, formatValue } from '../components/format';
import type { TimeRange } from './model';
import { colorOf } from './palette';
import { theme } from '../store/theme';
import { token } from './theme';

export interface HeatmapProps {
  title: string;
  /** Upper ends of the buckets, ascending. */
  bounds: number[];
  times: number[];
  /** Observations in each bucket (not cumulative): `counts[bucket][time]`. */
  counts: (number | null)[][];
  range: TimeRange;
  step: number;
  /** Unit of the bounds. */
  unit?: string;
}

const [LEFT, BOTTOM, GAP] = [64, 22, 1];

export function Heatmap(props: HeatmapProps) {
  const { title, bounds, counts, unit = '' } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const dark = theme.value;
  useEffect(() => {
    const element = canvas.current!;
    const end = watch(element);
    const again = () => schedule(element, () => draw(element, latest.current));
    const resized = new ResizeObserver(again);
    resized.observe(element);
    return () => {
      resized.disconnect();
      end();
    };
  }, []);
  useEffect(() => schedule(canvas.current!, () => draw(canvas.current!, latest.current)), [props, dark]);
  const describe = (event: MouseEvent) => (canvas.current!.title = under(event, latest.current));
  return (
    <figure class="heatmap">
      <canvas ref={canvas} role="img" aria-label={`${title}: ${sentence(bounds, counts, unit)}`} onMouseMove={describe} />
    </figure>
  );
}

function draw(canvas: HTMLCanvasElement, props: HeatmapProps): void {
  const { bounds, times, counts, range, step } = props;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const ctx = canvas.getContext('2d')!;
  ctx.scale(devicePixelRatio, devicePixelRatio);
  const x = (time: number) => LEFT + ((time - range.from) / (range.to - range.from)) * (width - LEFT);
  const row = (height - BOTTOM) / Math.max(1, bounds.length);
  const most = Math.max(1e-9, ...counts.map((line) => Math.max(0, ...line.map((count) => count ?? 0))));
  ctx.fillStyle = colorOf(1);
  counts.forEach((line, bucket) => {
    line.forEach((count, at) => {
      if (!count) return;
      ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / most);
      const [left, right] = [Math.max(LEFT, x(times[at]! - step)), x(times[at]!)];
      ctx.fillRect(left, height - BOTTOM - (bucket + 1) * row, Math.max(1, right - left - GAP), Math.max(1, row - GAP));
    });
  });
  ctx.globalAlpha = 1;
  labels(ctx, props, { width, height, row, x });
}

interface Geometry {
  width: number;
  height: number;
  row: number;
  x: (time: number) => number;
}

function labels(ctx: CanvasRenderingContext2D, { bounds, range, unit = '' }: HeatmapProps, { width, height, row, x }: Geometry): void {
  ctx.fillStyle = token('muted');
  ctx.font = '12px system-ui, sans-serif';
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  const every = Math.ceil(16 / row);
  bounds.forEach((bound, i) => {
    if (i % every === 0) ctx.fillText(`≤ ${formatValue(bound, unit)}`, LEFT - 6, height - BOTTOM - (i + 0.5) * row);
  });
  ctx.textAlign = 'center';
  const count = Math.max(2, Math.floor((width - LEFT) / 140));
  for (let i = 1; i < count; i++) {
    const time = range.from + ((range.to - range.from) * i) / count;
    ctx.fillText(formatTime(time * 1000), x(time), height - BOTTOM / 2 + 2);
  }
}

function under(event: MouseEvent, { bounds, times, counts, range, step, unit = '' }: HeatmapProps): string {
  const canvas = event.currentTarget as HTMLCanvasElement;
  const time = range.from + ((event.offsetX - LEFT) / (canvas.clientWidth - LEFT)) * (range.to - range.from);
  const bucket = Math.floor((1 - event.offsetY / (canvas.clientHeight - BOTTOM)) * bounds.length);
  const at = times.findIndex((end) => time <= end && time > end - step);
  const count = counts[bucket]?.[at];
  return count === undefined ? '' : `${formatTime(times[at]! * 1000)}, up to ${formatValue(bounds[bucket], unit)}: ${formatValue(count)}`;
}

function sentence(bounds: number[], counts: (number | null)[][], unit: string): string {
  const sums = counts.map((line) => line.reduce<number>((sum, count) => sum + (count ?? 0), 0));
  const total = sums.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 'no observations';
  const fullest = sums.indexOf(Math.max(...sums));
  return `most observations up to ${formatValue(bounds[fullest], unit)}`;
}
