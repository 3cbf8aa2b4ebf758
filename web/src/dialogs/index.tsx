// The open dialog. Its code is loaded when the first one opens.
import { close, dialog } from '../store/dialogs';
import { AcknowledgeDialog } from './Acknowledge';
import { ConfirmDialog } from './Confirm';
import { KeysDialog } from './Keys';
import { PaletteDialog } from './Palette';
import { ResolveDialog } from './Resolve';
import { SilenceDialog } from './Silence';

export default function OpenDialog() {
  const open = dialog.value;
  switch (open?.kind) {
    case undefined:
      return null;
    case 'silence':
      return <SilenceDialog alert={open.alert} silence={open.silence} initial={open.matchers} onClose={close} />;
    case 'acknowledge':
      return <AcknowledgeDialog alert={open.alert} onClose={close} />;
    case 'resolve':
      return <ResolveDialog alert={open.alert} onClose={close} />;
    case 'confirm':
      return <ConfirmDialog {...open} onClose={close} />;
    case 'palette':
      return <PaletteDialog onClose={close} />;
    case 'keys':
      return <KeysDialog onClose={close} />;
  }
}
