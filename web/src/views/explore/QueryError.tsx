// The error of a query, with the place in it.

/** Shows the message, and the line of the query with a mark below the column that the error names. */
export function QueryError({ text, error }: { text: string; error: string | undefined }) {
  if (!error) return null;
  const place = /\b(\d+):(\d+): /.exec(error);
  const line = place ? text.split('\n')[Number(place[1]) - 1] : undefined;
  const column = Number(place?.[2] ?? 1) - 1;
  return (
    <div class="query-error" role="alert">
      <strong>{error.replace(/^invalid parameter "query": /, '')}</strong>
      {line !== undefined && (
        <pre aria-hidden="true">
          {line}
          {'\n'}
          {' '.repeat(Math.min(column, line.length))}^
        </pre>
      )}
    </div>
  );
}
