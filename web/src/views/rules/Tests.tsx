// Unit tests of a rule: series in, alerts out, run by the agent on virtual time.
import { useState } from 'preact/hooks';
import { asApiError, type ApiError, postJson } from '../../api/client';
import type { Rule, RuleTestFinding, RuleTests } from '../../api/types';
import { Card } from '../../components/Card';
import { Failure, Note } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { mayChange } from '../../store/session';
import { exampleOf } from './example';

interface Props {
  rule: Rule;
  /** The changed rule, which is tested in place of the configured one; none if nothing is changed. */
  draft: string | undefined;
}

export function Tests({ rule, draft }: Props) {
  const [text, setText] = useState(() => exampleOf(rule));
  const [results, setResults] = useState<RuleTests>();
  const [error, setError] = useState<ApiError>();
  const run = async (event: Event) => {
    event.preventDefault();
    try {
      setResults(await postJson<RuleTests>('api/v1/rules/test', { tests: text, ...(draft !== undefined && { rule: draft }) }));
      setError(undefined);
    } catch (cause) {
      setError(asApiError(cause));
    }
  };
  return (
    <Card title="Tests">
      <form class="rule-form" onSubmit={run}>
        <textarea class="code" rows={Math.min(18, text.split('\n').length + 1)} aria-label="Tests as YAML" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <div class="actions">
          <button type="submit" class="primary" disabled={!mayChange.value}>
            Run tests
          </button>
          <span class="muted">{draft === undefined ? 'Against the rule as it is configured.' : 'Against the changed rule.'}</span>
        </div>
      </form>
      {error && <Failure error={error} />}
      {results && <Results results={results} />}
    </Card>
  );
}

function Results({ results: { tests, warnings } }: { results: RuleTests }) {
  if (tests.length === 0) return <Note icon="info">There is no test below the key tests.</Note>;
  return (
    <ol class="test-results" aria-label="Results" aria-live="polite">
      {tests.map(({ name, passed, failures, warnings }, index) => (
        <li key={index}>
          <Badge tone={passed ? 'ok' : 'critical'} word={passed ? 'passed' : 'failed'} /> {name}
          {[...failures, ...warnings].map((finding, index) => (
            <Finding key={index} finding={finding} />
          ))}
        </li>
      ))}
      {warnings.map((warning) => (
        <li key={warning} class="muted small">
          {warning}
        </li>
      ))}
    </ol>
  );
}

const SIGNS = { expected: '− expected', got: '+ got', note: '' };

function Finding({ finding: { title, line, lines } }: { finding: RuleTestFinding }) {
  return (
    <div class="finding">
      <p>
        line {line}: {title}
      </p>
      <pre tabIndex={0} aria-label={`Difference of ${title}`}>
        {lines.map(({ kind, text }, index) => (
          <span key={index} class={kind === 'expected' ? 'removed' : kind === 'got' ? 'added' : 'muted'}>
            {`${SIGNS[kind].padEnd(11)}${text}\n`}
          </span>
        ))}
      </pre>
    </div>
  );
}
