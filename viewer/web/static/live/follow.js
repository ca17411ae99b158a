// Following a search live, with one stream for all tabs of this browser that show the same one: over HTTP/1.1
// a browser opens six connections to a server, so a seventh tab would hang. The tab that leads has the stream
// and passes on to the others what arrives. Each tab counts for itself what it has seen (in_order.js), so
// whichever leads next continues where it is.

import { Connection } from "./connection.js";
import { InOrder } from "./in_order.js";
import { whenLeading } from "./leader.js";

// Calls `receive(item)` for each message, and for each gap ({from, to, count}), once and in order;
// `show(state, why)` when the connection changes. Returns a function that ends it.
export function follow({ q, after, receive, show }) {
  const query = new URLSearchParams(q && { q });
  const name = `fanout ${location.pathname} ${q}`; // of what the tabs share
  const tabs = new BroadcastChannel(name);
  const end = new AbortController();
  const arrived = new InOrder({ query, after, receive, signal: end.signal });
  let leads = false;
  let state = ["connecting", ""];

  const postState = () => tabs.postMessage({ state, newest: arrived.newest });

  // ---- as the leader

  const connection = new Connection({
    query,
    signal: end.signal,
    newest: () => arrived.newest,
    pass(item, previous) {
      tabs.postMessage({ item, previous });
      arrived.take(item, previous);
    },
    tell(words, why = "") {
      state = [words, why];
      show(...state);
      postState();
    },
  });

  whenLeading(name, end.signal, () => {
    leads = true;
    connection.open();
  });

  // ---- as one of the others

  tabs.addEventListener("message", ({ data }) => {
    if (data.hello && leads) postState();
    if (data.item) arrived.take(data.item, data.previous);
    if (data.state) show(...data.state);
    if (data.newest) arrived.catchUp(data.newest);
  });
  tabs.postMessage({ hello: true });

  return () => {
    end.abort();
    tabs.close();
  };
}
