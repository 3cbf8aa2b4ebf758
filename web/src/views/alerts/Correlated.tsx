// Series that moved with the alert's.
import type { Alert, Correlations } from '../../api/types';
import { withQuery } from '../../api/client';
import { Sparkline } from '../../charts/Sparkline';
import { summary } from '../../store/agent';
import { useResource } from '../../store/resource';
import { onGrid, seriesOf, useRangeQuery } from '../../store/series';
import { Card } from '../../components/Card';
import { Loadable, Note } from '../../components/Loadable';
import { formatDuration } from '../../components/format';
import { href } from '../../app/router';

const POINTS = 120;

/** Window of the correlations in milliseconds; a history that is shorter has too few samples. */
const WINDOW = 3_600_000;

export function Correlated({ alert }: { alert: Alert }) {
  const firing = alert.state === 'firing';
  const oldest = summary.state.value.data?.health.history?.oldest;
  const enough = typeof oldest === 'string' && Date.now() - Date.parse(oldest) > WINDOW;
  const found = useResource<Correlations>(() => (firing && enough ? withQuery('api/v1/correlations', { alert: alert.rule, top: 3 }) : null), { every: 12 });
  if (!firing || !enough) return null;
  return (
    <Card title="Moved with it">
      {found.state.value.error?.cause === 'invalid' ? <Note icon="info">Nothing to compare: {found.state.value.error.message.split('; ')[0]}</Note> : <Loadable resource={found} empty={({ related }) => (related.length === 0 ? 'No other series moved like this one' : null)}>
        {({ related }) => (
          <ul class="lines">
            {related.map((one) => (
              <Related key={one.series} {...one} />
            ))}
          </ul>
        )}
      </Loadable>}
    </Card>
  );
}

function Related({ series, coefficient, lagSeconds }: Correlations['related'][number]) {
  const trend = useRangeQuery(series, POINTS, 12);
  const first = trend.state.value.data && seriesOf(trend.state.value.data)[0];
  const order = lagSeconds === 0 ? 'at the same time' : lagSeconds > 0 ? `${formatDuration(lagSeconds)} later` : `${formatDuration(-lagSeconds)} before`;
  return (
    <li class="related">
      <a class="mono" href={href('explore', { q1: series })}>
        {series}
      </a>
      <span class="muted small">
        {coefficient < 0 ? 'opposite' : 'alike'} <span class="num">{coefficient.toFixed(2)}</span>, {order}
      </span>
      {first && <Sparkline values={onGrid(first, POINTS)} label={`${series} in the range of the page`} width={240} />}
    </li>
  );
}
