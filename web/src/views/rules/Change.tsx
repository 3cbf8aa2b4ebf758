// A change of a rule that is tried over history: how often it would have fired beside the rule of today, and its tests.
import { useState } from 'preact/hooks';
import { ApiError, postJson } from '../../api/client';
import type { Backtest, Episode, Rule } from '../../api/types';
import { Card } from '../../components/Card';
import { formatDuration, formatLabels, formatTime } from '../../components/format';
import { Failure } from '../../components/Loadable';
import { range } from '../../store/range';
import { mayChange } from '../../store/session';
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
      setError(cause instanceof ApiError ? cause : new ApiError('failed', String(cause)));
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
      {result && <Result name={rule.name} result={result} />}
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

const MOST_CHANGES = 50;

function Result({ name, result: { before, after, changes } }: { name: string; result: Backtest }) {
  const [today, changed] = [before?.rules[0], after.rules[0]];
  const differences = changes?.[name] ?? [];
  const rows = [{ title: 'today', outcome: today }, { title: 'changed', outcome: changed }];
  return (
    <div class="backtest" role="status">
      <p>{sentence(today?.fired, changed?.fired ?? 0, differences.length)}</p>
      <div class="scroll">
        <table class="rows">
          <thead>
            <tr>
              <th>Rule</th>
              <th>Condition</th>
              <th class="right">Fired</th>
              <th class="right">A week</th>
              <th class="right">In all</th>
              <th class="right">Averted</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ title, outcome }) => outcome && (
              <tr key={title}>
                <th scope="row">{title}</th>
                <td class="mono">
                  {outcome.condition}
                  {outcome.error && <p class="tone-critical small">{outcome.error}</p>}
                </td>
                <td class="right num" data-label="fired">{outcome.fired}</td>
                <td class="right num" data-label="a week">{outcome.perWeek.toFixed(1)}</td>
                <td class="right num" data-label="in all">{formatDuration(outcome.episodes.reduce((sum, one) => sum + secondsOf(one, after.to), 0))}</td>
                <td class="right num" data-label="averted">{outcome.averted}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ol class="differences">
        {differences.slice(0, MOST_CHANGES).map(({ before, after }, index) => (
          <li key={index}>
            <span class={`sign ${before && after ? '' : before ? 'removed' : 'added'}`} aria-label={before && after ? 'moved' : before ? 'gone' : 'new'}>
              {before && after ? '~' : before ? '−' : '+'}
            </span>
            <span>
              {before && <Span episode={before} old={!!after} />}
              {before && after && ' → '}
              {after && <Span episode={after} />}
            </span>
          </li>
        ))}
      </ol>
      {differences.length > MOST_CHANGES && <p class="muted">{differences.length - MOST_CHANGES} more</p>}
      {after.warnings.map((warning) => (
        <p key={warning} class="muted small">
          {warning}
        </p>
      ))}
    </div>
  );
}

function Span({ episode, old = false }: { episode: Episode; old?: boolean }) {
  const { firedAt, resolvedAt, severity, labels, reason } = episode;
  return (
    <>
      <span class="num">
        {formatTime(firedAt)} to {resolvedAt ? formatTime(resolvedAt) : 'now'}
      </span>
      {!old && (
        <>
          {' '}
          {severity} <span class="mono muted">{formatLabels(labels)}</span> <span class="muted">{reason}</span>
        </>
      )}
    </>
  );
}

function sentence(today: number | undefined, changed: number, differences: number): string {
  const times = (count: number) => ['never', 'once', 'twice'][count] ?? `${count} times`;
  if (today === undefined) return `The rule would have fired ${times(changed)} in this range; no rule of its name is in force.`;
  if (differences === 0) return `No difference: both fire ${times(changed)} in this range.`;
  return `Today's rule fires ${times(today)} in this range, the changed one ${times(changed)}.`;
}

function secondsOf({ firedAt, resolvedAt }: Episode, to: string): number {
  return (Date.parse(resolvedAt ?? to) - Date.parse(firedAt)) / 1000;
}
