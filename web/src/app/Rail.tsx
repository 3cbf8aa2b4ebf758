// The views, on the left; at the bottom of a phone.
import { Icon } from '../components/Icon';
import { Menu } from '../components/Menu';
import { VIEWS, findView, type View } from '../views';
import { summary } from '../store/agent';
import { href, route } from './router';

/** Places in the bar of a phone; the others are behind "More". */
const BAR = 4;

export function Rail() {
  const active = findView(route.value.path)?.view;
  return (
    <nav class="rail" aria-label="Views">
      {VIEWS.map((view, index) => (
        <Item key={view.path} view={view} active={view === active} extra={index >= BAR ? 'beyond' : ''} />
      ))}
      {VIEWS.length > BAR && (
        <Menu class="rail-more" name="More views" label={<><Icon name="more" size={20} /><span>More</span></>}>
          {(close) => (
            <div onClick={close}>
              {VIEWS.slice(BAR).map((view) => (
                <Item key={view.path} view={view} active={view === active} extra="" />
              ))}
            </div>
          )}
        </Menu>
      )}
    </nav>
  );
}

function Item({ view, active, extra }: { view: View; active: boolean; extra: string }) {
  const firing = view.path === 'alerts' ? (summary.state.value.data?.alerts.firing ?? 0) : 0;
  return (
    <a class={`rail-item ${extra}`} href={href(view.path)} aria-current={active ? 'page' : undefined} title={view.title}>
      <Icon name={view.icon} size={20} />
      <span>{view.title}</span>
      {firing > 0 && (
        <b class="count" aria-label={`${firing} firing`}>
          {firing}
        </b>
      )}
    </a>
  );
}
