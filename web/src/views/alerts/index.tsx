// Alerts: the list, and the page of one alert.
import type { ViewProps } from '..';
import { Detail } from './Detail';
import { List } from './List';

export default function Alerts({ rest }: ViewProps) {
  return rest ? <Detail key={rest} fingerprint={rest} /> : <List />;
}
