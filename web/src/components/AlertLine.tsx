import type { Alert } from '../api/types';
import { toneOf } from '../store/agent';
import { formatLabels } from './format';
import { Dot } from './Severity';

/** An alert in one line: severity, name, labels. */
export function AlertLine({ alert }: { alert: Alert }) {
  const { alertname, severity, ...rest } = alert.labels;
  return (
    <li class="alert-line">
      <Dot tone={toneOf(alert.severity)} label={severity ?? alert.severity} />
      <span>{alertname ?? alert.rule}</span> <span class="muted mono">{formatLabels(rest)}</span>
    </li>
  );
}
