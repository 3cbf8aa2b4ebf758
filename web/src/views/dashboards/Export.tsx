// A dashboard as text: YAML for the configuration, or JSON for Grafana.
import { useState } from 'preact/hooks';
import { Dialog } from '../../components/Dialog';
import { Loadable } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import { attempt } from '../../store/toast';

const FORMATS = [
  { format: 'yaml', label: 'YAML', note: 'Paste it into the configuration.', file: 'yaml' },
  { format: 'grafana', label: 'Grafana', note: 'Import it in Grafana: Dashboards, New, Import.', file: 'json' },
] as const;

export function Export({ name, close }: { name: string; close: () => void }) {
  const [chosen, setChosen] = useState<(typeof FORMATS)[number]>(FORMATS[0]);
  return (
    <Dialog title="Export" class="export" onClose={close}>
      <div class="presets" role="group" aria-label="Format">
        {FORMATS.map((one) => (
          <button key={one.format} type="button" aria-pressed={one === chosen} onClick={() => setChosen(one)}>
            {one.label}
          </button>
        ))}
      </div>
      <p class="muted">{chosen.note}</p>
      <Text key={chosen.format} name={name} {...chosen} />
    </Dialog>
  );
}

function Text({ name, format, file }: { name: string; format: string; file: string }) {
  const loaded = useResource<{ text: string }>(() => `api/v1/dashboards/${encodeURIComponent(name)}/export?format=${format}`, { every: 1000 });
  return (
    <Loadable resource={loaded}>
      {({ text }) => (
        <>
          <textarea class="code" readOnly rows={16} aria-label="Text" value={text} onFocus={(event) => event.currentTarget.select()} />
          <div class="actions">
            <button type="button" class="primary" onClick={() => attempt('Copied', () => navigator.clipboard.writeText(text))}>
              Copy
            </button>
            <button type="button" onClick={() => download(`${name}.${file}`, text)}>
              Download
            </button>
          </div>
        </>
      )}
    </Loadable>
  );
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
