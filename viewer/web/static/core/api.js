// Requests to the viewer's HTTP API.

export const canWrite = !document.body.hasAttribute("data-read-only");

// Returns the JSON of the answer; throws an Error whose message is meant for the reader, with the status of the
// answer if there was one.
export async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options).catch((error) => {
      if (options?.method) throw error; // it may have been done
      return fetch(path, options); // a request that the browser dropped: see incomplete.js
    });
  } catch {
    throw new Error("the viewer does not answer");
  }
  if (answer.status === 401) location.reload(); // the session has ended: leads to the login
  if (!answer.ok) {
    const { detail = answer.statusText } = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(detail), { status: answer.status });
  }
  return answer.json();
}

export const send = (method, path, body, type = "application/json") =>
  ask(path, { method, headers: { "Content-Type": type }, body });
