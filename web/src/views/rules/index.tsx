// Rules: the list, and the page of one rule.
import type { ViewProps } from '..';
import { Detail } from './Detail';
import { List } from './List';

export default function Rules({ rest }: ViewProps) {
  return rest ? <Detail key={rest} name={rest} /> : <List />;
}
