// Bytes in hexadecimal, for what is not text.

import { element } from "../core/dom.js";

const MAX_BYTES = 4096;
const BYTES_IN_LINE = 16;

// A button that is replaced by the bytes.
export function hexButton(text) {
  const show = () => button.replaceWith(hex(new TextEncoder().encode(text)));
  const button = element("button", { class: "plain", click: show }, "show as hex");
  return button;
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

// The first bytes, with the characters that they stand for.
export function hex(content) {
  const bytes = content.slice(0, MAX_BYTES);
  const lines = [];
  for (let at = 0; at < bytes.length; at += BYTES_IN_LINE) {
    lines.push(line(at, Array.from(bytes.slice(at, at + BYTES_IN_LINE))));
  }
  return element("pre", { class: "hex" }, lines.join("\n"));
}

function line(at, bytes) {
  const codes = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const signs = bytes.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
  return `${at.toString(16).padStart(4, "0")}  ${codes.padEnd(3 * BYTES_IN_LINE - 1)}  ${signs}`;
}
