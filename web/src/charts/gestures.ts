// Zoom and pan of a time chart: drag, double-click, shift-drag, Ctrl-wheel, a horizontal drag on touch,
// and keys.

import type uPlot from 'uplot';
import type { TimeRange } from './model';

/** Sets a range; null is the one before all zooming. */
export type OnRange = (range: TimeRange | null) => void;

const LEAST_PIXELS = 6;

export interface Gestures {
  range: () => TimeRange;
  onRange: () => OnRange | undefined;
}

/** Returns the options of the cursor for mouse zoom and pan. */
export function cursorOptions({ range, onRange }: Gestures): Pick<uPlot.Cursor, 'bind' | 'drag'> {
  return {
    drag: { x: true, y: false, setScale: false, dist: LEAST_PIXELS },
    bind: {
      dblclick: () => () => {
        onRange()?.(null);
        return null;
      },
      mousedown: (u, _, handle) => (event: MouseEvent) => {
        if (event.shiftKey) pan(u, event, range(), onRange());
        else handle(event);
        return null;
      },
    },
  };
}

/** Sets the range that was selected by a drag. */
export function zoomToSelection(u: uPlot, onRange?: OnRange): void {
  const { left, width } = u.select;
  if (width < LEAST_PIXELS) return;
  const [from, to] = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onRange?.({ from, to });
}

function pan(u: uPlot, down: MouseEvent, range: TimeRange, onRange?: OnRange): void {
  const perPixel = (range.to - range.from) / u.over.clientWidth;
  const moved = (event: MouseEvent) => (down.clientX - event.clientX) * perPixel;
  const move = (event: MouseEvent) => u.setScale('x', { min: range.from + moved(event), max: range.to + moved(event) });
  const up = (event: MouseEvent) => {
    removeEventListener('mousemove', move);
    removeEventListener('mouseup', up);
    if (event.clientX !== down.clientX) onRange?.({ from: range.from + moved(event), to: range.to + moved(event) });
  };
  addEventListener('mousemove', move);
  addEventListener('mouseup', up);
}

/** Adds zoom by Ctrl-wheel and by touch, and keys: arrows move the cursor, `+`, `-`, `0` zoom. */
export function addGestures(u: uPlot, gestures: Gestures): void {
  const { over } = u;
  over.addEventListener('wheel', (event) => wheel(u, event, gestures), { passive: false });
  addTouch(u, gestures);
  over.tabIndex = 0;
  over.addEventListener('keydown', (event) => key(u, event, gestures));
}

function wheel(u: uPlot, event: WheelEvent, { range, onRange }: Gestures): void {
  if (!event.ctrlKey) return;
  event.preventDefault();
  onRange()?.(zoomed(range(), event.deltaY < 0 ? 0.75 : 1 / 0.75, u.posToVal(event.offsetX, 'x')));
}

/** Returns `range` with its length times `factor`; the time `at` stays in its place. */
export function zoomed({ from, to }: TimeRange, factor: number, at: number): TimeRange {
  return { from: at - (at - from) * factor, to: at + (to - at) * factor };
}

function addTouch(u: uPlot, { onRange }: Gestures): void {
  const { over } = u;
  let start: number | undefined;
  const select = (event: PointerEvent): number => {
    const at = Math.min(over.clientWidth, Math.max(0, event.clientX - over.getBoundingClientRect().left));
    const [left, width] = [Math.min(start!, at), Math.abs(at - start!)];
    u.setSelect({ left, top: 0, width, height: over.clientHeight }, false);
    return width;
  };
  over.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch') start = event.clientX - over.getBoundingClientRect().left;
  });
  over.addEventListener('pointermove', (event) => {
    if (start !== undefined) select(event);
  });
  over.addEventListener('pointerup', (event) => {
    if (start === undefined) return;
    const width = select(event);
    start = undefined;
    if (width > 3 * LEAST_PIXELS) zoomToSelection(u, onRange());
    else u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  });
  over.addEventListener('pointercancel', () => {
    start = undefined;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  });
}

function key(u: uPlot, event: KeyboardEvent, { range, onRange }: Gestures): void {
  const { from, to } = range();
  const middle = (from + to) / 2;
  switch (event.key) {
    case 'ArrowLeft':
    case 'ArrowRight':
      moveCursor(u, event.key === 'ArrowLeft' ? -1 : 1);
      break;
    case '+':
      onRange()?.(zoomed({ from, to }, 0.5, middle));
      break;
    case '-':
      onRange()?.(zoomed({ from, to }, 2, middle));
      break;
    case '0':
      onRange()?.(null);
      break;
    default:
      return;
  }
  event.preventDefault();
  event.stopPropagation();
}

function moveCursor(u: uPlot, by: number): void {
  const times = u.data[0];
  const last = u.valToIdx(u.scales.x?.max ?? 0);
  const index = Math.max(0, Math.min(times.length - 1, (u.cursor.idx ?? last) + by));
  u.setCursor({ left: u.valToPos(times[index] ?? 0, 'x'), top: u.over.clientHeight / 2 });
}
