// Errors and warnings of the check; each leads to its line.
import { Icon } from '../../components/Icon';
import type { Problem } from './language';

interface Props {
  problems: Problem[];
  warnings: Problem[];
  /** Path of the file that is shown. */
  shown: string;
  go: (problem: Problem) => void;
}

export function Problems({ problems, warnings, shown, go }: Props) {
  return (
    <section class="card" aria-live="polite">
      <h2>
        {problems.length > 0 ? `${problems.length} ${problems.length === 1 ? 'error' : 'errors'}` : 'No errors'}
        {warnings.length > 0 && `, ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}`}
      </h2>
      <ul class="problems">
        {[...problems.map((one) => ({ one, tone: 'critical' as const })), ...warnings.map((one) => ({ one, tone: 'warning' as const }))].map(({ one, tone }, index) => (
          <li key={index}>
            <button type="button" class="plain" onClick={() => go(one)}>
              <span class={`tone-${tone}`}>
                <Icon name={tone} size={14} />
              </span>
              <span>
                <b>
                  {one.file && one.file !== shown && `${one.file.split('/').at(-1)}:`}
                  {one.line}:{one.column}
                </b>{' '}
                {one.message}
                {one.hint && <small>{one.hint}</small>}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
