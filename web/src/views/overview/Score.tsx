// The health score with its parts, and the bottlenecks with advice.
import type { Bottleneck, Bottlenecks, Score as ScoreData } from '../../api/types';
import { href } from '../../app/router';
import { Card } from '../../components/Card';
import { Loadable } from '../../components/Loadable';
import { formatLabels, formatValue } from '../../components/format';
import { Icon } from '../../components/Icon';
import type { Tone } from '../../store/agent';
import { useResource, type Resource } from '../../store/resource';

export function Score({ bottlenecks }: { bottlenecks: Resource<Bottlenecks> }) {
  const score = useResource<ScoreData>(() => 'api/v1/score', { every: 2 });
  return (
    <div class="stack">
      <Card title="Health">
        <Loadable resource={score}>{(data) => <Parts {...data} />}</Loadable>
      </Card>
      <Card title="Bottlenecks">
        <Loadable resource={bottlenecks} empty={(data) => (data.bottlenecks.length === 0 ? `None of ${data.clear.length} resources is near its limit` : null)}>
          {(data) => (
            <ol class="bottlenecks">
              {data.bottlenecks.slice(0, 6).map((one) => (
                <Row key={one.name + formatLabels(one.labels)} one={one} />
              ))}
            </ol>
          )}
        </Loadable>
      </Card>
    </div>
  );
}

const TONES: Record<string, Tone> = { good: 'ok', fair: 'info', poor: 'warning', critical: 'critical' };

function Parts({ score, rating, parts }: ScoreData) {
  return (
    <div class="score">
      <p class={`figure tone-${TONES[rating] ?? 'unknown'}`}>
        <b class="num">{Math.round(score)}</b> <span>of 100, {rating}</span>
      </p>
      <ul class="parts">
        {parts.slice(0, 8).map((part) => (
          <li key={`${part.cause} ${part.name} ${part.reason}`}>
            <b class="num">−{formatValue(Math.abs(part.points))}</b> <span>{part.name}</span> <span class="muted">{part.reason}</span>
          </li>
        ))}
        {parts.length === 0 && <li class="muted">Nothing takes points away</li>}
      </ul>
    </div>
  );
}

function Row({ one }: { one: Bottleneck }) {
  const tone: Tone = one.value >= one.critical === one.critical > one.warning ? 'critical' : 'warning';
  return (
    <li>
      <span class={`tone-${tone}`}>
        <Icon name={tone} /> <b class="num">{Math.round(one.impact)}</b>
      </span>
      <div>
        <a href={href('explore', { q1: one.promql })}>{one.name}</a>{' '}
        <span class="num">
          {formatValue(one.value)} {one.unit}
        </span>{' '}
        <span class="mono muted">{formatLabels(one.labels)}</span>
        <p class="muted">{one.advice}</p>
      </div>
    </li>
  );
}
