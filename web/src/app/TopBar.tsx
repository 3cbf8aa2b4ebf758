// Host, state, time range, live or paused, age of the data, theme.
import { host, worst } from '../store/agent';
import { refresh, refreshInterval, togglePause } from '../store/clock';
import { ageSeconds, disconnectedSince } from '../store/connection';
import { open } from '../store/dialogs';
import { isLive } from '../store/live';
import { logout, session } from '../store/session';
import { theme, toggleTheme } from '../store/theme';
import { formatDuration } from '../components/format';
import { Icon } from '../components/Icon';
import { Menu } from '../components/Menu';
import { Badge } from '../components/Severity';
import { href } from './router';
import { TimeRange } from './TimeRange';

export function TopBar() {
  const paused = refreshInterval.value === null;
  const { tone, word, reason } = worst.value;
  return (
    <header class="topbar">
      <a class="host" href={href('')} title="Overview">
        {host.value || 'Bellwether'}
      </a>
      <a class="health" href={href(tone === 'ok' ? '' : 'alerts')}>
        <Badge tone={tone} word={word} /> <span class="reason">{reason}</span>
      </a>
      <span class="space" />
      <TimeRange />
      <div class="group">
        <button type="button" onClick={togglePause} aria-pressed={paused} title={paused ? 'Paused: go live' : 'Live: pause'}>
          <Icon name={paused ? 'play' : 'pause'} />
          <span class="wide">{paused ? 'Paused' : 'Live'}</span>
        </button>
        <button type="button" onClick={refresh} aria-label="Refresh" title="Refresh now">
          <Icon name="refresh" />
        </button>
      </div>
      <button type="button" onClick={() => open({ kind: 'palette' })} aria-label="Search" title="Search for anything (Ctrl-K)">
        <Icon name="search" />
      </button>
      <Age />
      <button type="button" class="plain" onClick={toggleTheme} aria-label="Theme" title={theme.value === 'dark' ? 'Light theme' : 'Dark theme'}>
        <Icon name={theme.value === 'dark' ? 'sun' : 'moon'} />
      </button>
      <User />
    </header>
  );
}

/** The user that is logged in, with the way out. */
function User() {
  const { user, role, login } = session.state.value.data ?? {};
  if (!login || !user) return null;
  return (
    <Menu name={`${user}, ${role}`} label={<><Icon name="user" /> <span>{user}</span></>}>
      {() => (
        <>
          <p class="muted">{role}</p>
          <button type="button" onClick={() => void logout()}>
            Log out
          </button>
        </>
      )}
    </Menu>
  );
}

function Age() {
  const age = ageSeconds.value;
  const away = disconnectedSince.value !== null;
  const text = age === null ? 'connecting' : `${age < 2 ? 'just now' : `${formatDuration(age)} ago`}`;
  return (
    <span class={`age ${away ? 'tone-critical' : ''}`} title={away ? 'Disconnected' : isLive.value ? 'Age of the data; changes come at once' : 'Age of the data; the page asks at its interval'}>
      <Icon name={away ? 'offline' : 'clock'} size={14} /> <span class="wide">{text}</span>
    </span>
  );
}
