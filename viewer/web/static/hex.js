// What is no text, as hexadecimal numbers.

import { element } from "./words.js";

const MOST_BYTES = 4096;

export function hex(text) {
  const bytes = new TextEncoder().encode(text).slice(0, MOST_BYTES);
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    const codes = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const signs = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${codes}  ${signs}`);
  }
  return element("pre", { class: "hex" }, lines.join("\n"));
}
