// The state of the host at a glance: what is wrong, the gauges, bottlenecks, collectors and channels, last events.
import { summary } from '../../store/agent';
import { Components } from './Components';
import { Events } from './Events';
import { Gauges } from './Gauges';
import { Score } from './Score';
import { Wrong } from './Wrong';
import { bottlenecksResource } from './bottlenecks';
import { Loadable } from '../../components/Loadable';

export default function Overview() {
  const bottlenecks = bottlenecksResource();
  return (
    <div class="overview">
      <h1 class="hidden">Overview</h1>
      <Loadable resource={summary} lines={5}>
        {(data) => <Wrong data={data} />}
      </Loadable>
      <Gauges resource={bottlenecks} />
      <div class="columns">
        <Score bottlenecks={bottlenecks} />
        <div class="stack">
          <Components />
          <Events />
        </div>
      </div>
    </div>
  );
}
