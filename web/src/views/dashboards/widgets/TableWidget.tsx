// Series with their labels and latest values.
import { formatValue } from '../../../components/format';
import { useInstantQueries } from '../data';
import { unitText } from '../model';
import type { WidgetProps } from '.';
import { State } from '../../../components/State';

const MOST_ROWS = 500;

export function TableWidget({ title, widget, seen }: WidgetProps) {
  const answer = useInstantQueries(widget.queries, seen);
  const rows = (answer.data ?? []).flat();
  const all = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  // A label that all series share says nothing about any of them.
  const differing = all.filter((label) => new Set(rows.map((row) => row.labels[label])).size > 1);
  const labels = differing.length > 0 ? differing : all;
  return (
    <State answer={answer} filled={rows.length > 0}>
      {() => (
        <div class="scroll" tabIndex={0} role="region" aria-label={title}>
          <table class="widget-table">
            <thead>
              <tr>
                {labels.map((label) => (
                  <th key={label} scope="col">
                    {label === '__name__' ? 'metric' : label}
                  </th>
                ))}
                <th scope="col">value</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, MOST_ROWS).map((row) => (
                <tr key={JSON.stringify(row.labels)}>
                  {labels.map((label) => (
                    <td key={label}>{row.labels[label] ?? ''}</td>
                  ))}
                  <td class="num">{widget.words[String(row.value)] ?? formatValue(row.value, unitText(widget.unit))}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {rows.length > MOST_ROWS && <p class="muted">{rows.length - MOST_ROWS} more series</p>}
        </div>
      )}
    </State>
  );
}
