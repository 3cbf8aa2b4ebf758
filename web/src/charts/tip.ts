// Values under the cursor, beside it.

import type uPlot from 'uplot';
import { formatTime, formatValue } from '../components/format';

const MOST_ROWS = 12;

export interface TipRow {
  name: string;
  color: string;
  value: number;
}

/** Box that follows the cursor of one chart. */
export class Tip {
  private readonly box = document.createElement('div');

  constructor(private readonly unit: () => string) {
    this.box.className = 'chart-tip';
    this.box.hidden = true;
  }

  attach(u: uPlot): void {
    u.over.append(this.box);
    u.over.addEventListener('mouseleave', () => (this.box.hidden = true));
  }

  /** Shows the rows, largest value first; nothing if there is none. */
  show(u: uPlot, time: number, rows: TipRow[]): void {
    this.box.hidden = rows.length === 0;
    if (this.box.hidden) return;
    const sorted = rows.sort((a, b) => b.value - a.value);
    const lines = sorted.slice(0, MOST_ROWS).map((row) => this.line(row));
    const rest = sorted.length - lines.length;
    this.box.replaceChildren(element('time', formatTime(time * 1000)), ...lines, ...(rest > 0 ? [element('small', `${rest} more`)] : []));
    this.place(u);
  }

  private line({ name, color, value }: TipRow): HTMLElement {
    const line = document.createElement('div');
    const swatch = document.createElement('i');
    swatch.style.background = color;
    line.append(swatch, element('span', name), element('b', formatValue(value, this.unit())));
    return line;
  }

  private place(u: uPlot): void {
    const { left = 0, top = 0 } = u.cursor;
    const onLeft = left > u.over.clientWidth / 2;
    const width = this.box.offsetWidth;
    this.box.style.left = `${onLeft ? Math.max(-40, left - width - 12) : left + 12}px`;
    this.box.style.top = `${Math.max(-8, Math.min(u.over.clientHeight - this.box.offsetHeight, top - 20))}px`;
  }
}

function element(name: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
