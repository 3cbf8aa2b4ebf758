// The state of the host at a glance.
import { summary } from '../../store/agent';
import { Card } from '../../components/Card';
import { Loadable } from '../../components/Loadable';

export default function Overview() {
  return (
    <>
      <h1 class="hidden">Overview</h1>
      <Loadable resource={summary}>
        {(data) => (
          <Card title={data.alerts.firing === 0 ? `All ${data.rules} rules evaluated, nothing firing` : `${data.alerts.firing} firing`}>
            <p class="muted num">
              {data.metrics} metrics, {data.series} series
            </p>
          </Card>
        )}
      </Loadable>
    </>
  );
}
