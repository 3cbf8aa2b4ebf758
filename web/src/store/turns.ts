// Requests that are made again and again, one at a time.

type Work = (signal: AbortSignal) => Promise<void>;

/**
 * A request for what is already asked waits for that answer, so that a slow one is not ended by each refresh; one for
 * something else ends it.
 */
export class Turns {
  private key = '';
  private running: AbortController | undefined;
  private next: Work | undefined;

  /** True while a request is made. */
  get isBusy(): boolean {
    return this.running !== undefined;
  }

  take(key: string, work: Work): void {
    if (this.running && key === this.key) {
      this.next = work;
      return;
    }
    this.stop();
    void this.run(key, work);
  }

  stop(): void {
    this.running?.abort();
    this.running = this.next = undefined;
  }

  private async run(key: string, work: Work): Promise<void> {
    const mine = new AbortController();
    [this.key, this.running] = [key, mine];
    await work(mine.signal);
    if (this.running !== mine) return;
    const { next } = this;
    this.running = this.next = undefined;
    if (next) void this.run(key, next);
  }
}
