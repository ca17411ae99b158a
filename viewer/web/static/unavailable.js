// The page while the database is away: reloads itself when it can be served again.

const RETRY_MS = 1000;

async function check() {
  const answer = await fetch("health?probe=readiness").catch(() => null);
  if (answer?.ok) location.reload();
  else setTimeout(check, RETRY_MS);
}

check();
