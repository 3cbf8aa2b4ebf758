// The login, where users are configured and nobody is logged in.
import { useState } from 'preact/hooks';
import { asApiError } from '../api/client';
import { login } from '../store/session';
import { Icon } from '../components/Icon';

export function Login() {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError('');
    await login(user, password).catch((cause: unknown) => setError(asApiError(cause).message));
    setBusy(false);
  };
  return (
    <main class="login" id="main">
      <form class="card" onSubmit={submit}>
        <h1>Bellwether</h1>
        <label class="field">
          <span>User</span>
          <input name="user" autocomplete="username" required autofocus value={user} onInput={(event) => setUser(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Password</span>
          <input name="password" type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
        </label>
        {error && (
          <p role="alert" class="tone-critical">
            <Icon name="critical" /> {error}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          Log in
        </button>
      </form>
    </main>
  );
}
