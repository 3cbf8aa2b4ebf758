// Latest values of all queries.
import { useState } from 'preact/hooks';
import { formatLabels, formatValue } from '../../components/format';
import { Note } from '../../components/Loadable';
import type { Answers } from '../../store/follower';
import type { SeriesData } from '../../store/series';

const MOST_ROWS = 1000;

export function Table({ queries, results }: { queries: string[]; results: Answers<SeriesData> }) {
  const [byValue, setByValue] = useState(false);
  const rows = queries.flatMap((query, at) =>
    (results.data[at] ?? []).flatMap(({ labels, times, values }) =>
      times.at(-1) === results.grid?.end ? [{ query: at + 1, labels, value: values.at(-1) ?? null, text: query }] : [],
    ),
  );
  if (rows.length === 0) return <Note icon="info">No series at the end of the time range.</Note>;
  const sorted = byValue ? [...rows].sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity)) : rows;
  return (
    <div class="card scroll" tabIndex={0} role="region" aria-label="Latest values">
      <table class="widget-table">
        <thead>
          <tr>
            {queries.length > 1 && <th scope="col">query</th>}
            <th scope="col">series</th>
            <th scope="col" aria-sort={byValue ? 'descending' : 'none'}>
              <button type="button" class="plain" onClick={() => setByValue(!byValue)}>
                value
              </button>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, MOST_ROWS).map(({ query, labels, value, text }) => (
            <tr key={`${query} ${JSON.stringify(labels)}`}>
              {queries.length > 1 && <td>{query}</td>}
              <td>
                <code>{`${labels['__name__'] ?? ''}${formatLabels(labels)}` || text}</code>
              </td>
              <td class="num" title={String(value)}>
                {formatValue(value)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST_ROWS && <p class="muted">{rows.length - MOST_ROWS} more</p>}
    </div>
  );
}
