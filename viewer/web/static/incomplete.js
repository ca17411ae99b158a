// No module: notices when a script or style of the page cannot be loaded, and loads the page again once the viewer
// answers. Browsers drop requests when a network interface appears or vanishes, as with each container that starts.

{
  const RETRY_MS = 1000;
  const MAX_LOADS = 5;
  const COUNT = "incomplete loads";
  const loads = Number(sessionStorage.getItem(COUNT));
  let noticed = false;

  const again = async () => {
    const answer = await fetch("health").catch(() => null);
    if (!answer?.ok) return setTimeout(again, RETRY_MS);
    sessionStorage.setItem(COUNT, loads + 1);
    location.reload();
  };

  const notice = ({ target }) => {
    if (noticed || !(target instanceof Element) || !target.matches("script, link[rel=stylesheet]")) return;
    noticed = true;
    if (loads < MAX_LOADS) setTimeout(again, loads * RETRY_MS);
  };

  addEventListener("error", notice, true);
  addEventListener("load", () => {
    removeEventListener("error", notice, true); // what a view loads later is its own affair
    if (!noticed) return sessionStorage.removeItem(COUNT);
    const place = document.getElementById("connection");
    place.dataset.state = "broken";
    place.textContent =
      loads < MAX_LOADS ? "loading again" : "parts of this page cannot be loaded: reload it";
  });
}
