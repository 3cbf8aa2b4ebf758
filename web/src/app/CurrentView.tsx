// Loads the code of the view that the address names, and shows it.
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { host, summary } from '../store/agent';
import { Note } from '../components/Loadable';
import { findView, type View, type ViewProps } from '../views';
import { route } from './router';

const loaded = new Map<View, ComponentType<ViewProps>>();

export function CurrentView() {
  const match = findView(route.value.path);
  const title = match?.view.title ?? 'Not found';
  const firing = summary.state.value.data?.alerts.firing ?? 0;
  useEffect(() => {
    document.title = [firing > 0 ? `(${firing}) ${title}` : title, host.value, 'Bellwether'].filter(Boolean).join(' · ');
  }, [title, firing, host.value]);
  if (!match) return <Note icon="unknown">There is no such page. The views are on the left.</Note>;
  return <Mounted key={match.view.path} view={match.view} rest={match.rest} />;
}

function Mounted({ view, rest }: { view: View; rest: string }) {
  const [, redraw] = useState(0);
  const [failure, setFailure] = useState<string>();
  const [error, reset] = useErrorBoundary();
  useEffect(() => {
    if (loaded.has(view)) return;
    view.load().then(
      (module) => {
        loaded.set(view, module.default);
        redraw((count) => count + 1);
      },
      (cause: unknown) => setFailure(String(cause)),
    );
  }, [view]);
  const message = failure ?? (error ? String(error) : undefined);
  if (message) return <Broken message={message} retry={failure ? () => location.reload() : reset} />;
  const Component = loaded.get(view);
  return Component ? <Component rest={rest} /> : <div class="placeholder" role="status" aria-label="Loading" />;
}

/** Code that did not load belongs to another version of the agent, or the agent is away. */
function Broken({ message, retry }: { message: string; retry: () => void }) {
  return (
    <div class="failure" role="alert">
      <div>
        <strong>This view cannot be shown:</strong> <span>{message}</span>
      </div>
      <button type="button" onClick={retry}>
        Retry
      </button>
    </div>
  );
}
