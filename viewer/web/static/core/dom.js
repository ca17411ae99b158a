// Making elements. Text is only ever text, never markup.

// element("p", { class: "note", click: listener }, "text", child)
export const element = (name, attributes, ...children) =>
  complete(document.createElement(name), attributes, children);

export const shape = (name, attributes, ...children) =>
  complete(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function complete(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Whether the browser should follow the link itself, as into a new tab.
export const opensElsewhere = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
