// The viewer's live stream of one search, as server-sent events.

const SILENCE_MS = 5000; // without a first event for so long, something in between holds the stream back

// Calls `item(message or gap)` for each, `ready()` whenever the stream is connected, `reconnecting()` when it
// broke and the browser connects again by itself, `refused()` when it does not, `failed(why)` when the viewer
// ended it for good, and `silent()` if nothing ever comes. Returns a function that closes it.
export function openStream(address, { item, ready, reconnecting, refused, failed, silent }) {
  const source = new EventSource(address);
  const silence = setTimeout(() => {
    source.close();
    silent();
  }, SILENCE_MS);
  source.addEventListener("ready", () => {
    clearTimeout(silence);
    ready();
  });
  for (const type of ["message", "gap"]) {
    source.addEventListener(type, ({ data }) => item(JSON.parse(data)));
  }
  source.addEventListener("error", ({ data }) => {
    clearTimeout(silence);
    if (data) {
      // Sent by the viewer; the browser's own errors have no data.
      source.close();
      failed(JSON.parse(data).detail);
    } else if (source.readyState === EventSource.CLOSED) refused();
    else reconnecting();
  });
  return () => {
    clearTimeout(silence);
    source.close();
  };
}
