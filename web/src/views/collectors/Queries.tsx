// Queries of Neo4j: time of the last run and over the range, rows, errors.
import { Sparkline } from '../../charts/Sparkline';
import { Card } from '../../components/Card';
import { MISSING, failures, formatSeconds } from '../../components/format';
import { Badge } from '../../components/Severity';
import { useSamples, useSeries } from '../../store/follower';

const DURATION = 'bellwether_neo4j_query_duration_seconds';
const POINTS = 60;

/** `error` is that of the collector, which names the queries that fail. */
export function Queries({ error }: { error: string | null }) {
  const durations = useSeries([DURATION], POINTS).data[0] ?? [];
  const [success = [], rows = []] = useSamples(['bellwether_neo4j_query_success', 'bellwether_neo4j_query_rows'], POINTS).data;
  if (success.length === 0) return null;
  const failing = success.filter(({ value }) => value === 0).flatMap(({ labels }) => labels.query ?? []);
  const errors = error?.split('; ') ?? [];
  return (
    <Card title={failures(failing, `All ${success.length} queries of Neo4j succeed`)} class="scroll">
      <table class="rows">
        <thead>
          <tr>
            <th>State</th>
            <th>Query</th>
            <th class="right">Took</th>
            <th class="right">Slowest</th>
            <th class="right">Rows</th>
            <th>Time in the range</th>
          </tr>
        </thead>
        <tbody>
          {success.map(({ labels: { query = '' }, value }) => {
            const values = durations.find(({ labels }) => labels.query === query)?.values ?? [];
            const count = rows.find(({ labels }) => labels.query === query)?.value;
            const problem = errors.find((text) => text.startsWith(`${query}: `));
            return (
              <tr key={query}>
                <td>
                  <Badge tone={value === 0 ? 'critical' : 'ok'} word={value === 0 ? 'fails' : 'runs'} />
                </td>
                <td>
                  {query}
                  {problem && <p class="tone-critical small">{problem.slice(query.length + 2)}</p>}
                </td>
                <td class="right num" data-label="took">{secondsOf(values.at(-1))}</td>
                <td class="right num" data-label="slowest">{secondsOf(values.reduce<number | null>((most, one) => (one === null ? most : Math.max(most ?? 0, one)), null))}</td>
                <td class="right num" data-label="rows">{count ?? MISSING}</td>
                <td>
                  <Sparkline values={values} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Card>
  );
}

function secondsOf(value: number | null | undefined): string {
  return value === null || value === undefined ? MISSING : formatSeconds(value);
}
