// Charts of the page. Views take them from here, and pass data; charts ask for none.

export { Bars } from './Bars';
export { Gauge } from './Gauge';
export { Heatmap } from './Heatmap';
export { levelOf } from './level';
export type { Band, Mark, Series, Severity, Threshold, TimeRange } from './model';
export { forgetColors } from './palette';
export { Pie } from './Pie';
export { Sparkline } from './Sparkline';
export { Stat } from './Stat';
export { TimeChart, type TimeChartProps } from './TimeChart';
