// Thresholds of a widget: those of rules, or its own.
import { Icon } from '../../components/Icon';
import type { Severity } from '../../charts';
import type { OwnThreshold, Widget } from './model';

interface Props {
  /** Null: those of rules. */
  own: OwnThreshold[] | null;
  set: (own: OwnThreshold[] | null, thresholds: Widget['thresholds']) => void;
}

const SEVERITIES: Severity[] = ['info', 'warning', 'critical', 'emergency'];

export function ThresholdsEditor({ own, set }: Props) {
  const change = (next: OwnThreshold[] | null) => set(next, (next ?? []).map(resolved));
  const replace = (at: number, one: OwnThreshold) => change((own ?? []).map((before, index) => (index === at ? one : before)));
  return (
    <fieldset class="thresholds">
      <legend>Thresholds</legend>
      <label>
        <input type="checkbox" checked={own === null} onChange={(event) => change(event.currentTarget.checked ? null : [])} /> of the rules on the same metric
      </label>
      {own?.map((one, at) => {
        const above = one.below === null || one.below === undefined;
        const value = (above ? one.above : one.below) ?? 0;
        const make = (value: number, above: boolean, severity = one.severity): OwnThreshold => (above ? { above: value, severity } : { below: value, severity });
        return (
          <div key={at}>
            <select aria-label="Side" value={above ? 'above' : 'below'} onChange={(event) => replace(at, make(value, event.currentTarget.value === 'above'))}>
              <option>above</option>
              <option>below</option>
            </select>
            <input aria-label="Value" type="number" step="any" required value={value} onInput={(event) => replace(at, make(Number(event.currentTarget.value), above))} />
            <select aria-label="Severity" value={one.severity} onChange={(event) => replace(at, make(value, above, event.currentTarget.value as Severity))}>
              {SEVERITIES.map((severity) => (
                <option key={severity}>{severity}</option>
              ))}
            </select>
            <button type="button" class="plain" aria-label="Remove threshold" onClick={() => change(own.filter((_, index) => index !== at))}>
              <Icon name="trash" size={14} />
            </button>
          </div>
        );
      })}
      {own && (
        <button type="button" onClick={() => change([...own, { above: 0, severity: 'warning' }])}>
          <Icon name="add" size={14} /> Threshold
        </button>
      )}
    </fieldset>
  );
}

function resolved({ above, below, severity }: OwnThreshold): Widget['thresholds'][number] {
  const isAbove = below === null || below === undefined;
  return { value: (isAbove ? above : below) ?? 0, above: isAbove, severity, rule: null };
}
