// The page while the database is away: comes back by itself when it can be served again.

async function look() {
  const answer = await fetch("health?probe=readiness").catch(() => null);
  if (answer?.ok) location.reload();
  else setTimeout(look, 1000);
}
look();
