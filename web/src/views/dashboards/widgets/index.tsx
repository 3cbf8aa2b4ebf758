// The content of a widget by its type. A type is one file and one row.
import type { FunctionComponent } from 'preact';
import type { Widget, WidgetType } from '../model';
import { AlertListWidget } from './AlertListWidget';
import { BarWidget, GaugeWidget, PieWidget, StatWidget } from './InstantWidgets';
import { HeatmapWidget } from './HeatmapWidget';
import { TableWidget } from './TableWidget';
import { TextWidget } from './TextWidget';
import { TimeWidget } from './TimeWidget';

export interface WidgetProps {
  title: string;
  widget: Widget;
  /** False while it is outside of the viewport: nothing is asked then. */
  seen: boolean;
}

export const CONTENTS: Record<WidgetType, FunctionComponent<WidgetProps>> = {
  line: TimeWidget,
  area: TimeWidget,
  bar: BarWidget,
  pie: PieWidget,
  gauge: GaugeWidget,
  stat: StatWidget,
  table: TableWidget,
  heatmap: HeatmapWidget,
  text: TextWidget,
  alert_list: AlertListWidget,
};
