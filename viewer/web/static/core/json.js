// Reading JSON without JSON.parse, which would round integers of 64 bits and lose repeated keys and their
// order. Nothing here recurses: JSON may nest ten thousand levels deep.

export const TOKEN = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\[^])*")|(-?\d[\d.eE+-]*|true|false|null)|([^]))/y;

// Returns the root node, or null if the text is not JSON. Text that was cut off is read as far as it goes. A
// node is {key, kind, start, end} with its `children`, where kind is "{" or "[", or its `text`; the root has
// the `count` of all nodes.
export function parse(text, cut = false) {
  const root = { children: [] };
  const stack = [root];
  let key = null;
  let count = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const [, sign, string, scalar, wrong] = TOKEN.exec(text);
    const at = TOKEN.lastIndex;
    const parent = stack.at(-1);
    if (wrong) {
      if (cut || !text.slice(at - 1).trim()) break;
      return null;
    }
    if (sign === "{" || sign === "[") {
      const node = { key, kind: sign, children: [], start: at - 1, end: text.length };
      parent.children.push(node);
      stack.push(node);
      key = null;
      count += 1;
    } else if (sign === "}" || sign === "]") {
      if (stack.length === 1 || parent.kind !== (sign === "}" ? "{" : "[")) return null;
      stack.pop().end = at;
    } else if (string && parent.kind === "{" && key === null) {
      key = decode(string);
    } else if (string || scalar) {
      parent.children.push({
        key,
        kind: string ? "string" : "scalar",
        text: string ?? scalar,
        start: at - (string ?? scalar).length,
        end: at,
      });
      key = null;
      count += 1;
    }
  }
  if (!cut && stack.length > 1) return null;
  return finish(root, count);
}

function finish(root, count) {
  if (root.children.length !== 1) return null;
  return Object.assign(root.children[0], { count });
}

// The members of a CloudEvent; null if the root is none.
export function eventFields(root) {
  return root?.children?.some((node) => node.key === "specversion") ? root.children : null;
}

// The node of the data: of a CloudEvent its `data`, undefined without; else the root itself.
export function dataOf(root) {
  const fields = eventFields(root);
  return fields ? fields.find((node) => node.key === "data") : root;
}

// The value of a string token.
export function decode(string) {
  if (!string.includes("\\")) return string.slice(1, -1); // nearly always, and there may be very many
  try {
    return JSON.parse(string);
  } catch {
    return string;
  }
}
