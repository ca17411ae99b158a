// The description of the API, shown by Swagger UI. No other server is asked for anything, so its validator is off.

const { SwaggerUIBundle } = globalThis;
const api = document.querySelector("#api");
const root = document.documentElement;

const dark = root.dataset.theme === "dark" || matchMedia("(prefers-color-scheme: dark)").matches;
root.classList.toggle("dark-mode", dark && root.dataset.theme !== "light"); // Swagger UI's name for it

// There is one server, so there is nothing to choose.
const withoutServers = () => ({ wrapComponents: { ServersContainer: () => () => null } });

SwaggerUIBundle({
  url: api.dataset.document,
  domNode: api,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [withoutServers],
  layout: "BaseLayout",
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  tryItOutEnabled: true,
  onComplete() {
    // The page has a title of its own, and the groups below this one are of level 3.
    api.querySelector(".title").setAttribute("aria-level", "2");
  },
});
