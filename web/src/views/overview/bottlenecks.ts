// Bottlenecks of the agent: the worst of each kind is what the gauges show.
import type { Bottleneck, Bottlenecks, Labels } from '../../api/types';
import { useResource, type Resource } from '../../store/resource';

export const bottlenecksResource = (): Resource<Bottlenecks> => useResource<Bottlenecks>(() => 'api/v1/bottlenecks', { every: 2 });

export interface GaugeSource {
  /** One or two words. */
  label: string;
  /** Names of bottlenecks; the first with data is shown. */
  names: string[];
  unit: string;
}

/** Gauges in their order; the first eight with data are shown. */
export const GAUGES: GaugeSource[] = [
  { label: 'CPU', names: ['cpu_busy'], unit: 'percent' },
  { label: 'Memory', names: ['memory_used'], unit: 'percent' },
  { label: 'Disk space', names: ['disk_full'], unit: 'percent' },
  { label: 'I/O', names: ['io_pressure_some', 'io_wait', 'disk_busy'], unit: 'percent' },
  { label: 'Load per core', names: ['cpu_run_queue'], unit: '' },
  { label: 'CPU pressure', names: ['cpu_pressure'], unit: 'percent' },
  { label: 'Response p95', names: ['api_response', 'agent_response'], unit: 'seconds' },
  { label: 'Neo4j p95', names: ['neo4j_response'], unit: 'milliseconds' },
  { label: 'Network errors', names: ['network_errors_in', 'network_drops_in', 'network_errors_out'], unit: '/s' },
  { label: 'Memory pressure', names: ['memory_pressure_some', 'swap_in'], unit: 'percent' },
];

const SHOWN = 8;

export interface GaugeData {
  source: GaugeSource;
  worst: Bottleneck;
  /** Labels of the worst one that not all bottlenecks have in common, such as those of the host. */
  labels: Labels;
  /** Series beside the worst one. */
  others: number;
}

/** Returns the gauges that have data, each with its worst series. */
export function gaugesOf({ bottlenecks, clear }: Bottlenecks): GaugeData[] {
  const all = [...bottlenecks, ...clear];
  const gauges = GAUGES.flatMap((source) => {
    const name = source.names.find((name) => all.some((one) => one.name === name));
    const found = all.filter((one) => one.name === name).sort((a, b) => b.value - a.value);
    const [worst, ...others] = found;
    return worst ? [{ source, worst, labels: ownLabels(worst, all), others: others.length }] : [];
  });
  return gauges.slice(0, SHOWN);
}

function ownLabels({ labels }: Bottleneck, all: Bottleneck[]): Labels {
  const hosts = all.filter((one) => one.component === 'host' && one.resource !== 'network');
  const isCommon = (name: string, value: string) => hosts.length > 1 && hosts.every((one) => one.labels[name] === value);
  return Object.fromEntries(Object.entries(labels).filter(([name, value]) => !isCommon(name, value)));
}
