// Series of all queries in one graph.
import { TimeChart } from '../../charts';
import { unitOf } from '../../components/format';
import { Note } from '../../components/Loadable';
import type { Answers } from '../../store/follower';
import { zoom } from '../../store/range';
import { namesOf } from '../../store/range-query';
import type { SeriesData } from '../../store/series';

const MOST_SERIES = 100;

export function Graph({ queries, results }: { queries: string[]; results: Answers<SeriesData> }) {
  if (!queries.some((text) => text.trim())) return <Note icon="explore">Type a query, or choose a metric.</Note>;
  const { start, end, step } = results.grid ?? { start: 0, end: 0, step: 1 };
  const all = queries.flatMap((text, at) => {
    const series = results.data[at] ?? [];
    const names = namesOf(series, null, text);
    return series.map(({ times, values }, index) => ({ name: names[index] ?? text, times, values }));
  });
  return (
    <>
      <div class="card explore-graph">
        <TimeChart
          title="Query result"
          series={all.slice(0, MOST_SERIES)}
          range={{ from: start, to: end }}
          step={step}
          unit={unitOfQueries(queries)}
          onRange={zoom}
        />
      </div>
      <p class="muted">
        {all.length} series, step {step} s{all.length > MOST_SERIES && `; the first ${MOST_SERIES} are drawn`}
      </p>
    </>
  );
}

/** Returns the unit of a query that is one metric; of all if they have the same. */
function unitOfQueries(queries: string[]): string {
  const units = new Set(queries.filter((text) => text.trim()).map((text) => unitOf(/^\s*([\w:]+)\s*(\{[^}]*\})?\s*$/.exec(text)?.[1] ?? '')));
  return units.size === 1 ? [...units][0]! : '';
}
