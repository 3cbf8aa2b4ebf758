import type { Alert } from '../../api/types';
import { now } from '../../store/clock';
import { formatDuration } from '../../components/format';

/** Progress of the oldest pending alert towards firing. */
export function Pending({ alerts, seconds }: { alerts: Alert[]; seconds: number }) {
  const oldest = Math.min(...alerts.filter((alert) => alert.state === 'pending').map((alert) => Date.parse(alert.activeAt)));
  const passed = (now.value - oldest) / 1000;
  if (!Number.isFinite(passed) || seconds <= 0) return null;
  const text = `fires in ${formatDuration(Math.max(0, seconds - passed))}`;
  return <progress max={seconds} value={Math.min(seconds, passed)} aria-label={text} title={text} />;
}
