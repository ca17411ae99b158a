// Shows the number of visits of this page, and what becomes of it.

const EVERY_MS = 1_000;
const number = document.querySelector("#visits");

async function update() {
  try {
    const response = await fetch("/api/visits");
    if (response.ok) {
      const visits = await response.json();
      number.textContent = visits[number.dataset.page].toLocaleString();
    }
  } catch {
    // The service is away: the next turn asks again.
  }
  setTimeout(update, EVERY_MS);
}

update();
