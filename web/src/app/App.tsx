// The frame around a view: rail, top bar, the view itself, messages.
import { useEffect } from 'preact/hooks';
import { startClock } from '../store/clock';
import { disconnectedSince, startConnection } from '../store/connection';
import { startLive } from '../store/live';
import { needsLogin } from '../store/session';
import { startTheme } from '../store/theme';
import { dismiss, toasts } from '../store/toast';
import { Ago } from '../components/Ago';
import { Icon } from '../components/Icon';
import { findView } from '../views';
import { startKeys } from './keys';
import { Dialogs } from './Dialogs';
import { startRouter } from './router';
import { Login } from './Login';
import { Rail } from './Rail';
import { TopBar } from './TopBar';
import { CurrentView } from './CurrentView';

startTheme();
startConnection();
startClock();
startKeys();
startLive();
startRouter((path) => findView(path) !== undefined);

export function App() {
  useEffect(() => document.body.classList.add('ready'), []);
  if (needsLogin.value) return <Login />;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <Rail />
      <TopBar />
      <main id="main" tabIndex={-1}>
        {disconnectedSince.value !== null && <Disconnected since={disconnectedSince.value} />}
        <CurrentView />
      </main>
      <Dialogs />
      <div class="toasts" role="status" aria-live="polite">
        {toasts.value.map(({ id, tone, text }) => (
          <p key={id} class={`toast tone-${tone}`}>
            <Icon name={tone} /> <span>{text}</span>
            <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
              <Icon name="close" size={14} />
            </button>
          </p>
        ))}
      </div>
    </>
  );
}

function Disconnected({ since }: { since: number }) {
  return (
    <p class="banner tone-critical" role="alert">
      <Icon name="offline" />
      <span>
        The agent has not answered for <Ago at={since} suffix="" />. Everything below is as of then; the page asks again by itself.
      </span>
    </p>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
