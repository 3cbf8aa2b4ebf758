// PromQL in the editor: language, completion from the agent, lint, and the help of a metric on hover.
import type { Extension } from '@codemirror/state';
import { hoverTooltip } from '@codemirror/view';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { BASE } from '../../api/client';
import { metadataOf } from './metadata';

/** Seconds for which names of metrics and labels are kept. */
const KEPT_SECONDS = 60;

export function promqlExtensions(): Extension {
  const promql = new PromQLExtension()
    .setComplete({ remote: { url: BASE.href.replace(/\/$/, ''), httpMethod: 'GET', cache: { maxAge: KEPT_SECONDS * 1000 } } })
    .activateCompletion(true)
    .activateLinter(true);
  return [promql.asExtension(), help];
}

const help = hoverTooltip(async (view, at) => {
  const { from, text } = view.state.doc.lineAt(at);
  const before = /[\w:]*$/.exec(text.slice(0, at - from))?.[0] ?? '';
  const after = /^[\w:]*/.exec(text.slice(at - from))?.[0] ?? '';
  const name = before + after;
  const metadata = name ? await metadataOf(name) : undefined;
  if (!metadata) return null;
  return {
    pos: at - before.length,
    end: at + after.length,
    above: true,
    create: () => {
      const dom = document.createElement('div');
      const title = document.createElement('b');
      title.textContent = `${name} `;
      dom.append(title, metadata.type, document.createElement('br'), metadata.help);
      return { dom };
    },
  };
});
