// A change of a rule that is tried over history.
import { useState } from 'preact/hooks';
import { asApiError, type ApiError, postJson } from '../../api/client';
import type { Backtest, Rule } from '../../api/types';
import { Card } from '../../components/Card';
import { Failure } from '../../components/Loadable';
import { range } from '../../store/range';
import { mayChange } from '../../store/session';
import { Outcome } from './Outcome';
import { fieldsOf, withField } from './yaml';

interface Props {
  rule: Rule;
  /** The rule as it is configured. */
  yaml: string;
  /** The rule as it is changed. */
  draft: string;
  setDraft: (draft: string) => void;
  result: Backtest | null;
  setResult: (result: Backtest | null) => void;
}

export function Change({ rule, yaml, draft, setDraft, result, setResult }: Props) {
  const [error, setError] = useState<ApiError>();
  const [running, setRunning] = useState(false);
  const run = async (event: Event) => {
    event.preventDefault();
    setRunning(true);
    const { start, end } = range.value;
    const time = (seconds: number) => new Date(seconds * 1000).toISOString();
    try {
      setResult(await postJson<Backtest>('api/v1/backtest', { rule: draft, from: time(start), to: time(end) }));
      setError(undefined);
    } catch (cause) {
      setError(asApiError(cause));
    }
    setRunning(false);
  };
  const reset = () => {
    setDraft(yaml);
    setResult(null);
    setError(undefined);
  };
  return (
    <Card title="Try a change">
      <form class="rule-form" onSubmit={run}>
        <Fields draft={draft} setDraft={setDraft} />
        <details>
          <summary>YAML</summary>
          <textarea class="code" rows={Math.min(18, draft.split('\n').length + 1)} aria-label="YAML of the changed rule" spellcheck={false} value={draft} onInput={(event) => setDraft(event.currentTarget.value)} />
        </details>
        <div class="actions">
          <button type="submit" class="primary" disabled={running || !mayChange.value}>
            Backtest over this range
          </button>
          <button type="button" onClick={reset} disabled={draft === yaml && !result}>
            Reset
          </button>
          {!mayChange.value && <span class="muted">Backtests are for operators.</span>}
        </div>
      </form>
      {error && <Failure error={error} />}
      {result && <Outcome name={rule.name} result={result} />}
    </Card>
  );
}

const CONDITIONS = ['>', '>=', '<', '<=', '==', '!='];

function Fields({ draft, setDraft }: Pick<Props, 'draft' | 'setDraft'>) {
  return (
    <div class="fields">
      {fieldsOf(draft).map((field) => (
        <label key={field.name}>
          {field.name.replace('_', ' ')}{' '}
          {field.name === 'condition' && CONDITIONS.includes(field.value) ? (
            <select value={field.value} onChange={(event) => setDraft(withField(draft, field, event.currentTarget.value))}>
              {CONDITIONS.map((condition) => (
                <option key={condition}>{condition}</option>
              ))}
            </select>
          ) : (
            <input required value={field.value} onInput={(event) => setDraft(withField(draft, field, event.currentTarget.value))} />
          )}
        </label>
      ))}
    </div>
  );
}
