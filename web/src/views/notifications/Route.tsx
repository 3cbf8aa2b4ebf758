// Where would this go: the routes that an alert with some labels takes, and why.
import { useState } from 'preact/hooks';
import { type ApiError, asApiError, postJson } from '../../api/client';
import type { RouteMatch } from '../../api/types';
import { queryOf, setQuery } from '../../app/router';
import { summary } from '../../store/agent';
import { equalTo, parseMatchers } from '../../store/matchers';
import { Card } from '../../components/Card';
import { Failure, Note } from '../../components/Loadable';
import { formatLabels } from '../../components/format';

export function Route() {
  const labels = queryOf('labels') ?? '';
  const [routes, setRoutes] = useState<RouteMatch[]>();
  const [error, setError] = useState<ApiError>();
  const parsed = parseMatchers(labels);
  const ask = async (event?: Event) => {
    event?.preventDefault();
    setError(undefined);
    const body = { labels: Object.fromEntries((parsed ?? []).map(({ name, value }) => [name, value])) };
    await postJson<{ routes: RouteMatch[] }>('api/v1/route', body).then(
      (answer) => setRoutes(answer.routes),
      (cause: unknown) => setError(asApiError(cause)),
    );
  };
  const active = summary.state.value.data?.alerts.active ?? [];
  return (
    <Card title="Where would an alert go?">
      <form class="route-form" onSubmit={ask}>
        <input class="mono" list="route-labels" aria-label="Labels of the alert" spellcheck={false} placeholder={'alertname="backlog", severity="critical"'} value={labels} onInput={(event) => setQuery({ labels: event.currentTarget.value || null })} />
        <datalist id="route-labels">
          {active.map((alert) => (
            <option key={alert.fingerprint} value={equalTo(alert.labels)} />
          ))}
        </datalist>
        <button type="submit" disabled={!parsed?.every((matcher) => matcher.operator === '=')}>
          Show
        </button>
      </form>
      {error && <Failure error={error} />}
      {routes?.length === 0 && <Note icon="warning">No route takes it, so nobody would be notified.</Note>}
      <ol class="routes">{routes?.map((route) => <Taken key={route.route + route.receiver} route={route} />)}</ol>
    </Card>
  );
}

/** A route that takes the alert: the matchers on its way from the root, then who is notified and when. */
function Taken({ route }: { route: RouteMatch }) {
  const steps = (route.matchers ?? '').split('}/{').map((text) => text.replace(/^\{|\}$/g, ''));
  return (
    <li>
      <ol class="way">
        {steps.map((step, index) => (
          <li key={index} class="mono">
            {step || 'every alert'}
          </li>
        ))}
        <li>
          <b>{route.receiver || route.channels.join(', ')}</b> <span class="muted">{route.receiver && route.channels.join(', ')}</span>
        </li>
      </ol>
      <p class="muted small">
        {route.route}; grouped as {formatLabels((route.group ?? {}) as Record<string, string>) || 'one'}; waits {route.groupWait}, then {route.groupInterval}
        {route.repeatInterval && `, repeats after ${route.repeatInterval}`}
        {route.fallback && `; falls back to ${route.fallback}`}
        {route.escalation.map(({ after, receiver }) => `; escalates to ${receiver} after ${after}`)}
        {route.mutedBy && <span class="tone-warning">; muted now by {String(route.mutedBy)}</span>}
      </p>
    </li>
  );
}
