// Shapes of the dashboards' endpoints.
import type { Threshold } from '../../charts';

export const WIDGET_TYPES = ['line', 'area', 'bar', 'pie', 'gauge', 'stat', 'table', 'heatmap', 'text', 'alert_list'] as const;
export type WidgetType = (typeof WIDGET_TYPES)[number];

export const UNITS = [
  'none',
  'percent',
  'ratio',
  'bytes',
  'bytes/s',
  'seconds',
  'milliseconds',
  '1/s',
  'requests/s',
  'packets/s',
  'io/s',
  'hertz',
  'celsius',
];

export interface WidgetQuery {
  query: string;
  legend: string | null;
}

/** Threshold as it is set, in place of those of rules. */
export interface OwnThreshold {
  above?: number | null;
  below?: number | null;
  severity: Threshold['severity'];
}

export interface Widget {
  type: WidgetType;
  description: string | null;
  queries: WidgetQuery[];
  unit: string;
  min: number | null;
  max: number | null;
  thresholds: (Omit<Threshold, 'rule'> & { rule: string | null })[];
  ownThresholds: OwnThreshold[] | null;
  words: Record<string, string>;
  overlays: string[];
  text: string | null;
}

/** Columns of the grid. */
export const COLUMNS = 24;

export interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Widget at its place, or the title of a row. */
export interface Item {
  id: string;
  title: string;
  place: Place;
  custom: boolean;
  widget?: Widget;
}

export interface Dashboard {
  name: string;
  title: string;
  columns: number;
  changed: boolean;
  changedAt: string | null;
  changedBy: string | null;
  removed: string[];
  items: Item[];
}

/** What people may change of a dashboard. */
export type Draft = Pick<Dashboard, 'items' | 'removed'>;

/** Body of the request that saves a layout. */
export interface Layout {
  items: (Place & { id: string; title?: string; widget?: object })[];
  removed: string[];
}

/** Returns the layout of a draft: places of all, and the settings of what is not as configured. */
export function layoutOf({ items, removed }: Draft): Layout {
  return {
    items: items.map(({ id, title, place, custom, widget }) => ({
      id,
      ...place,
      ...(!widget && { title }),
      ...(widget && custom && { widget: settingsOf(title, widget) }),
    })),
    removed,
  };
}

/** Returns the settings of a widget, as the configuration has them. */
export function settingsOf(title: string, widget: Widget): object {
  const { type, description, queries, unit, min, max, ownThresholds, words, overlays, text } = widget;
  const optional = { description, min, max, thresholds: ownThresholds?.map(withoutNull), text };
  const set = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null && value !== undefined && value !== ''));
  return { title, type, unit, queries: queries.map(withoutNull), words, overlays, ...set };
}

function withoutNull<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null && one !== '')) as Partial<T>;
}

/** Returns the first free place below all items. */
export function below(items: Item[], size: { w: number; h: number }): Place {
  return { x: 0, y: items.reduce((end, { place }) => Math.max(end, place.y + place.h), 0), ...size };
}

/** Returns items from top to bottom, then from left to right. */
export function ordered(items: Item[]): Item[] {
  return [...items].sort((a, b) => a.place.y - b.place.y || a.place.x - b.place.x);
}

export function unitText(unit: string): string {
  return unit === 'none' ? '' : unit;
}
