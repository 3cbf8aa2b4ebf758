// Collectors: state, age, duration, errors; the queries of Neo4j; the stores of the agent.
import type { CollectorHealth, Health, Target } from '../../api/types';
import { summary, type Tone } from '../../store/agent';
import { useResource } from '../../store/resource';
import { href } from '../../app/router';
import { Ago } from '../../components/Ago';
import { Card } from '../../components/Card';
import { Loadable } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { MISSING, failures, formatBytes, formatDuration, formatSeconds } from '../../components/format';
import { Queries } from './Queries';

export default function Collectors() {
  const targets = useResource<{ activeTargets: Target[] }>(() => 'api/v1/targets', { every: 2 });
  return (
    <div class="stack">
      <h1 class="hidden">Collectors</h1>
      <Loadable resource={summary} lines={6}>
        {({ health }) => (
          <>
            <Table health={health} targets={targets.state.value.data?.activeTargets ?? []} />
            <Queries error={health.collectors.neo4j?.error ?? null} />
            <Stores health={health} />
          </>
        )}
      </Loadable>
    </div>
  );
}

function Table({ health, targets }: { health: Health; targets: Target[] }) {
  const rows = Object.entries(health.collectors).sort(([, a], [, b]) => Number(a.success ?? true) - Number(b.success ?? true));
  const failing = rows.filter(([, collector]) => collector.success === false).map(([name]) => name);
  const title = failures(failing, `All ${rows.length} collectors run`);
  return (
    <Card title={title} class="scroll">
      <table class="rows">
        <thead>
          <tr>
            <th>State</th>
            <th>Collector</th>
            <th class="right">Interval</th>
            <th class="right">Last success</th>
            <th class="right">Took</th>
            <th>Share of the interval</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, collector]) => (
            <Row key={name} name={name} collector={collector} target={targets.find((target) => target.scrapePool === name)} />
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Row({ name, collector, target }: { name: string; collector: CollectorHealth; target: Target | undefined }) {
  const [tone, word] = stateOf(collector);
  const interval = seconds(target?.scrapeInterval);
  return (
    <tr>
      <td>
        <Badge tone={tone} word={word} />
      </td>
      <td>
        <a href={href('metrics-list', { q: name })}>{name}</a>
        {collector.error && <p class="tone-critical small">{collector.error}</p>}
        {collector.notes.map((note) => (
          <p key={note} class="muted small">
            {note}
          </p>
        ))}
      </td>
      <td class="right num" data-label="every">{target?.scrapeInterval ?? MISSING}</td>
      <td class="right num" data-label="last success">
        <Ago at={collector.lastSuccess} />
      </td>
      <td class="right num" data-label="took">{formatSeconds(collector.lastDurationSeconds)}</td>
      <td>{interval !== null && <meter min={0} max={1} low={0.5} high={0.9} optimum={0} value={Math.min(1, collector.lastDurationSeconds / interval)} aria-label="Duration as a share of the interval" />}</td>
    </tr>
  );
}

function stateOf({ success, reason }: CollectorHealth): [Tone, string] {
  if (success === null) return ['unknown', 'not yet'];
  return success ? ['ok', 'runs'] : ['critical', reason ?? 'fails'];
}

function Stores({ health }: { health: Health }) {
  const { history, alertHistory, state, lastReload, configuration } = health;
  const rows: [string, string | null, preact.ComponentChildren][] = [
    ['History', history?.error ?? null, history ? <>{history.directory ?? 'in memory'}, {history.bytes > 0 && `${formatBytes(history.bytes)}, `}{history.series} series{history.oldest && <>, since <Ago at={history.oldest} /></>}{history.damaged > 0 && `, ${history.damaged} damaged`}</> : 'off'],
    ['Alert history', alertHistory?.error ?? null, alertHistory ? <>{alertHistory.directory ?? 'in memory'}, {formatBytes(alertHistory.bytes)}{alertHistory.oldest && <>, since <Ago at={alertHistory.oldest} /></>}</> : 'off'],
    ['State', state.error, state.directory ?? 'in memory'],
    ['Configuration', lastReload && !lastReload.success ? lastReload.error : null, <>{configuration.source}{configuration.includedFiles > 0 && ` and ${configuration.includedFiles} files`}, loaded <Ago at={configuration.loadedAt} /></>],
    ...health.remoteWrite.map(({ name, lastError, sent, lost, pendingBytes }): [string, string | null, preact.ComponentChildren] => [`Remote write ${name}`, lastError, `${sent} samples sent, ${lost} lost, ${formatBytes(pendingBytes)} pending`]),
  ];
  return (
    <Card title={`Version ${health.version}, up ${formatDuration(health.uptimeSeconds)}`} class="scroll">
      <table class="rows">
        <tbody>
          {rows.map(([name, error, text]) => (
            <tr key={name}>
              <td>
                <Badge tone={error ? 'critical' : 'ok'} word={error ? 'fails' : 'fine'} />
              </td>
              <th scope="row">{name}</th>
              <td>
                {text}
                {error && <p class="tone-critical small">{error}</p>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted small">
        <a href={licences} target="_blank" rel="noreferrer">
          Licences of the libraries in this page
        </a>
      </p>
    </Card>
  );
}

/** Address of the licences, which the document names. */
const licences = document.querySelector<HTMLLinkElement>('link[rel=license]')?.href ?? '';

function seconds(text: string | undefined): number | null {
  const found = text?.match(/^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/);
  if (!found) return null;
  const [, h = '0', m = '0', s = '0', ms = '0'] = found;
  return Number(h) * 3600 + Number(m) * 60 + Number(s) + Number(ms) / 1000 || null;
}
