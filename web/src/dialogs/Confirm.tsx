// A question before something that cannot be taken back.
import { Dialog } from '../components/Dialog';
import { Buttons } from './fields';

interface Props {
  title: string;
  text: string;
  action: string;
  run: () => Promise<unknown>;
  onClose: () => void;
}

export function ConfirmDialog({ title, text, action, run, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <Buttons>
        <button type="button" onClick={onClose} autofocus>
          Cancel
        </button>
        <button
          type="button"
          class="primary"
          onClick={() => {
            onClose();
            void run();
          }}
        >
          {action}
        </button>
      </Buttons>
    </Dialog>
  );
}
