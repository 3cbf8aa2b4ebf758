// How often a changed rule would have fired, beside the rule of today, and each alert that differs.
import type { Backtest, Episode } from '../../api/types';
import { formatDuration, formatLabels, formatTime } from '../../components/format';

const MOST_CHANGES = 50;

export function Outcome({ name, result: { before, after, changes } }: { name: string; result: Backtest }) {
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
