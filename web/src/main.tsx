import { render } from 'preact';
import { App } from './app/App';

const root = document.getElementById('app');
if (root) {
  root.replaceChildren(); // the frame that is painted before this code is here
  render(<App />, root);
}
