// Text: empty lines part paragraphs, lines that begin with `- ` are a list. No markup, so nothing in it can act.
import type { WidgetProps } from '.';

export function TextWidget({ title, widget }: WidgetProps) {
  const parts = (widget.text ?? '').trim().split(/\n\s*\n/);
  return (
    <div class="widget-text" role="group" aria-label={title} tabIndex={0}>
      {parts.map((part, index) => {
        const lines = part.split('\n');
        const list = lines.every((line) => line.startsWith('- '));
        return list ? (
          <ul key={index}>
            {lines.map((line, at) => (
              <li key={at}>{line.slice(2)}</li>
            ))}
          </ul>
        ) : (
          <p key={index}>{part}</p>
        );
      })}
    </div>
  );
}
