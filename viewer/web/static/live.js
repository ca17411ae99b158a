// The live stream, one for all tabs of this browser that show the same search: over HTTP/1.1 a browser opens
// six connections to a server, and a seventh tab would hang. The tab that holds the lock has the stream and tells
// the others. Each counts for itself what it has seen, so whoever leads next goes on where it stands.

const RETRY_MS = 2000;
const SILENCE_MS = 5000; // without a first event for so long, something in between holds the stream back
const MOST_TO_FETCH = 2000;

// Calls `receive(item)` for each message, and for each gap ({from, to, count}), once and in order; `show(state,
// why)` when the connection changes. Returns a function that ends it.
export function follow({ q, after, receive, show }) {
  const query = new URLSearchParams(q && { q });
  const name = `fanout ${location.pathname} ${q}`; // of what the tabs share
  const channel = new BroadcastChannel(name);
  const end = new AbortController();
  let newest = after;
  let leads = false;
  let state = ["connecting", ""];
  let source = null;
  let work = Promise.resolve(); // what is received waits for what must be fetched before it

  function accept(item, previous) {
    work = work.then(async () => {
      if (previous > newest) await fetchMissing(previous).catch(() => {});
      const seq = item.to ?? item.seq;
      if (end.signal.aborted || seq <= newest) return;
      newest = seq;
      receive(item);
    });
  }

  async function fetchMissing(until) {
    if (until - newest > MOST_TO_FETCH) {
      receive({ from: newest + 1, to: until, count: null });
      newest = until;
    }
    while (newest < until) {
      const answer = await fetch(`api/messages?${query}&after=${newest}&limit=500`, { signal: end.signal });
      if (!answer.ok) return;
      const { messages, cursor } = await answer.json();
      for (const message of messages.reverse()) receive(message);
      newest = messages.length === 500 ? cursor : Math.max(cursor, until);
    }
  }

  function tell(words, why = "") {
    state = [words, why];
    show(...state);
    if (leads) channel.postMessage({ state, newest });
  }

  channel.onmessage = ({ data }) => {
    if (data.hello && leads) channel.postMessage({ state, newest });
    if (data.item) accept(data.item, data.previous);
    if (data.state) show(...data.state);
    if (data.newest > newest) work = work.then(() => fetchMissing(data.newest)).catch(() => {});
  };
  channel.postMessage({ hello: true });

  // ---- the leader

  let last = after; // of what this tab has received as leader

  function lead() {
    leads = true;
    last = newest;
    const silence = setTimeout(poll, SILENCE_MS);
    source = new EventSource(`api/stream?${query}&after=${newest}&gaps=1`);
    source.addEventListener("ready", () => { clearTimeout(silence); tell("live"); });
    for (const type of ["message", "gap"]) source.addEventListener(type, ({ data }) => pass(JSON.parse(data)));
    source.addEventListener("error", () => {
      clearTimeout(silence);
      // After a broken connection the browser comes back by itself; after an error answer it does not.
      if (source.readyState === EventSource.CLOSED) retry();
      else tell("reconnecting");
    });
  }

  function pass(item) {
    channel.postMessage({ item, previous: last });
    accept(item, last);
    last = item.to ?? item.seq;
  }

  function poll() {
    if (end.signal.aborted) return;
    source.close();
    import("./polling.js").then((module) => module.poll({ query, after: last, signal: end.signal, pass, tell }), retry);
  }

  function retry() {
    if (end.signal.aborted) return;
    tell("reconnecting");
    setTimeout(() => end.signal.aborted || lead(), RETRY_MS);
  }

  // Locks need a secure context (https, or localhost); without them each tab has a stream of its own.
  const ended = new Promise((resolve) => end.signal.addEventListener("abort", resolve));
  if (navigator.locks) {
    navigator.locks.request(name, { signal: end.signal }, () => {
      lead();
      return ended;
    }).catch(() => {});
  } else lead();

  return () => {
    end.abort();
    source?.close();
    channel.close();
  };
}
