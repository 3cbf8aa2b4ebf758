// Drawing of all charts in one animation frame. A hidden page and charts outside of the viewport
// draw nothing; the newest state is drawn once they are seen.

type Draw = () => void;

const waiting = new Map<Element, Draw>();
const visible = new WeakMap<Element, boolean>();
let frame = 0;

const observer =
  typeof IntersectionObserver === 'undefined'
    ? undefined
    : new IntersectionObserver(
        (entries) => {
          for (const entry of entries) visible.set(entry.target, entry.isIntersecting);
          request();
        },
        { rootMargin: '100px' },
      );

/** Draws in the next frame in which the element is visible; a later call replaces an earlier one. */
export function schedule(element: Element, draw: Draw): void {
  waiting.set(element, draw);
  request();
}

/** Begins to watch whether the element is visible. Returns the function that ends it. */
export function watch(element: Element): () => void {
  observer?.observe(element);
  return () => {
    observer?.unobserve(element);
    waiting.delete(element);
  };
}

function request(): void {
  if (frame === 0 && waiting.size > 0) frame = requestAnimationFrame(run);
}

function run(): void {
  frame = 0;
  for (const [element, draw] of waiting) {
    if (visible.get(element) === false) continue;
    waiting.delete(element);
    draw();
  }
}
