// The longest interval of the collectors, for the range of rates.
import { computed } from '@preact/signals';
import { resource } from './resource';

const metrics = resource<{ metrics: { intervalSeconds: number }[] }>(() => 'api/v1/metrics?limit=0', { every: 60 });

/** Seconds between two collections of the slowest collector. */
export const interval = computed(() => Math.max(1, ...(metrics.state.value.data?.metrics ?? []).map((metric) => metric.intervalSeconds)));
