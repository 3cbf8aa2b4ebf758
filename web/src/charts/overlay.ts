// What is drawn on the canvas beside series: thresholds, and the times of alerts.

import type uPlot from 'uplot';
import { formatValue } from '../components/format';
import type { Mark, Severity, Threshold, TimeRange } from './model';
import { token } from './theme';

const DASHES: Record<Severity, number[]> = { info: [2, 4], warning: [6, 4], critical: [10, 4], emergency: [14, 3] };

/** Draws dashed lines with the name of their rule; one above the scale is an arrow at its edge. */
export function drawThresholds(u: uPlot, thresholds: Threshold[], unit: string): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const lines = thresholds.map(({ value }) => u.valToPos(value, 'y', true)).filter((y) => y >= bbox.top && y <= bbox.top + bbox.height);
  const texts: { left: number[]; right: number[] } = { left: [], right: [] };
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  thresholds.forEach(({ value, severity, rule, above }, index) => {
    const y = u.valToPos(value, 'y', true);
    const [low, high] = [y > bbox.top + bbox.height, y < bbox.top];
    ctx.strokeStyle = ctx.fillStyle = token(severity);
    if (!low && !high) {
      ctx.lineWidth = ratio;
      ctx.setLineDash(DASHES[severity].map((length) => length * ratio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, Math.round(y) + 0.5);
      ctx.lineTo(bbox.left + bbox.width, Math.round(y) + 0.5);
      ctx.stroke();
    }
    if (bbox.height < 90 * ratio) return;
    // Texts of neighbours are at different ends.
    const isRight = index % 2 === 0;
    const others = isRight ? texts.right : texts.left;
    const base = placeOf(Math.max(y, bbox.top), lines, others, bbox.top, ratio);
    if (low || (high && thresholds.length > 2) || base === undefined) return;
    others.push(base);
    const name = bbox.width > 420 * ratio ? `${rule}: ` : '';
    const text = `${name}${high ? '↑ ' : ''}${severity} ${above ? '>' : '<'} ${formatValue(value, unit)}`;
    ctx.textAlign = isRight ? 'right' : 'left';
    ctx.fillText(text, isRight ? bbox.left + bbox.width - 4 * ratio : bbox.left + 4 * ratio, base);
  });
  ctx.restore();
}

/** Returns the base line of a text, as close to its line as no line and no other text is; undefined if there is none. */
function placeOf(y: number, lines: number[], texts: number[], top: number, ratio: number): number | undefined {
  const isFree = (base: number) =>
    base - 11 * ratio >= top &&
    !lines.some((line) => line > base - 10 * ratio && line < base + 4 * ratio) &&
    !texts.some((text) => Math.abs(text - base) < 13 * ratio);
  const places = [y, ...lines].flatMap((line) => [line - 5 * ratio, line + 13 * ratio]);
  return places.filter(isFree).sort((a, b) => Math.abs(a - y) - Math.abs(b - y))[0];
}

/** Shades the time in which each alert fired. */
export function drawMarks(u: uPlot, marks: Mark[], until: number): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const mark of marks) {
    const left = u.valToPos(mark.time, 'x', true);
    const right = u.valToPos(mark.until ?? until, 'x', true);
    ctx.fillStyle = token(mark.severity);
    ctx.globalAlpha = 0.07;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.7;
    ctx.fillRect(Math.round(left), bbox.top, devicePixelRatio, bbox.height);
  }
  ctx.restore();
}

/** Places a link on the time axis at each mark. */
export function placeMarks(u: uPlot, marks: Mark[], range: TimeRange): void {
  u.over.querySelectorAll('.chart-mark').forEach((link) => link.remove());
  const { from, to } = range;
  for (const mark of marks) {
    const at = Math.max(mark.time, from);
    if (at > to || (mark.until ?? Infinity) < from) continue;
    const link = document.createElement(mark.href ? 'a' : 'span');
    if (mark.href) link.setAttribute('href', mark.href);
    else link.setAttribute('role', 'img'); // so that it may have a name
    link.className = `chart-mark ${mark.severity}`;
    link.title = mark.label;
    link.setAttribute('aria-label', mark.label);
    link.style.left = `${u.valToPos(at, 'x')}px`;
    u.over.append(link);
  }
}
